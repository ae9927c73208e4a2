#pragma once

#include <string>

#include "report/view.h"

namespace samner::report {

/// A self-contained HTML page: grids with their intervals, selections, training curves, costs, configuration.
std::string page_of(View const& view);

}  // namespace samner::report
