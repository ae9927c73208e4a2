#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"
#include "score/score.h"

namespace samner::app {

/// Entities as they stand in a text, for a line of a predictions file: [{"text", "type", "start", "end"}…] in the order
/// of the text. Each mention stands once, where score::PlacedText::find finds it.
/// @param missing  set to how many are not in the text, and left out
Json entities_in(std::string_view text, score::Mentions const& mentions, std::int64_t& missing);

}  // namespace samner::app
