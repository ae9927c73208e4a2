#pragma once

#include <string>

#include "report/view.h"

namespace samner::report {

/// A self-contained HTML page: page.html with its style, its script and what the view says. It needs no network.
std::string page_of(View const& view);

}  // namespace samner::report
