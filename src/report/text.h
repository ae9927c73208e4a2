#pragma once

#include <string>

#include "report/view.h"

namespace samner::report {

/// A fraction in percent, `12.34`; `-` for NaN.
std::string percent(double fraction);

/// The grids as text, F1 in percent: systems down, targets across; `-` where there is no value.
std::string text_of(View const& view);

}  // namespace samner::report
