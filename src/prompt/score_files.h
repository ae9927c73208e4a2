#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "prompt/prompt.h"
#include "score/metric.h"

namespace samner::prompt {

/// A line of GOLD.jsonl: {"id", "entities": [{"text", "type", "start"?, "end"?}…], "text"?, "types"?, "target"?}.
struct GoldLine {
    std::string id;                  ///< a number or another JSON value as it is written
    std::string text;                ///< needed where completions are read
    std::string target;              ///< what it belongs to; may be empty
    std::vector<std::string> types;  ///< that were asked for; empty: all
    std::vector<score::Entity> entities = {};
    std::string place = {};         ///< file and line
    std::int64_t without_text = 0;  ///< entities that were left out because they have no text
};

/// Gold that nobody can find.
struct Misplaced {
    std::int64_t entities = 0;
    std::string first;  ///< with its place; empty: there is none
};

/// Entities without a text, that are not in the text of their line (as they are compared: normalised), or whose offsets
/// cut something else out of it. Lines without `text` are passed over.
Misplaced misplaced(std::span<GoldLine const> gold);

/// @param types  of lines that name none themselves
/// @throws InputError with file and line, also for an id that stands twice
std::vector<GoldLine> read_gold(std::filesystem::path const& path, std::vector<std::string> const& types);

/// One answer to a sentence.
struct Answer {
    std::vector<score::Entity> entities;
    std::vector<score::Entity> not_in_sentence;  ///< read from the completion, but not scored
    bool from_completion = false;
    bool unparsable = false;
    std::int64_t without_text = 0;  ///< entities that were left out because they have no text
};

/// Reads PREDICTIONS.jsonl of any tool: {"id", "entities"} or {"id", "completion"} a line; a line with both is taken by
/// its entities. Several answers to one sentence are told apart by "sample".
/// @param format  of completions; nothing: that of json, enumeration and sentences with which the fewest of the file's
///     are unparsable, the first of equals, which the log then names
/// @return shape [gold sentences][samples], in the order of `gold` and of the file
/// @throws InputError with file and line; for an id without gold, a gold line without an answer, an id and sample that
///     stand twice, sentences with different numbers of samples, and a completion whose types or text are not known
std::vector<std::vector<Answer>> read_answers(std::filesystem::path const& path, std::span<GoldLine const> gold,
                                              std::optional<Format> format);

}  // namespace samner::prompt
