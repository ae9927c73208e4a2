#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "score/score.h"

namespace samner::work {

/// One line of a predictions file: {"id", "text", "entities": [{"text", "type"}…], "completion", "finish",
/// "unparsable"}.
struct Prediction {
    std::string id;
    std::string text;
    score::Mentions mentions;  ///< normalised, and found in the text
    std::string completion;
    bool truncated = false;
    bool unparsable = false;
    std::int64_t not_in_text = 0;  ///< mentions that were left out, for their text is not there; in no file
};

std::string to_jsonl(std::vector<Prediction> const& predictions);

/// @throws InputError with the line of what is not such a file
std::vector<Prediction> read_predictions(std::filesystem::path const& path);

/// Just the mentions.
std::vector<score::Mentions> read_mentions(std::filesystem::path const& path);

}  // namespace samner::work
