#pragma once

#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "corpus/tags.h"

namespace samner::corpus {

/// Reads `{"text": …, "entities": [{"text", "type", "start"?, "end"?}…]}` a line; other members are not looked at.
/// Offsets count code points, half-open, and must cut the entity's text out of the sentence's.
/// @throws InputError with file and line, unless broken lines are skipped
std::vector<Sentence> read_jsonl(std::string_view text, std::string_view place, Skipped* skipped = nullptr);

}  // namespace samner::corpus
