#pragma once

#include <cstddef>
#include <string>

#include "core/json.h"
#include "report/view.h"

namespace samner::report {

/// What page.js shows at once: all of a view but its sentences. NaN is null, and so is what is not there.
Json data_of(View const& view);

/// What it loads when a target's sentences are asked for: every sentence with its gold, its different answers and
/// completions, and which of them each cell and pass has. A mention is its text and the place of its type in `types`.
Json sentences_of(View const& view, std::size_t which);

/// JSON for a script element of HTML: whatever a model has answered, nothing in it ends the element.
std::string embedded(Json const& json);

}  // namespace samner::report
