#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prompt/prompt.h"

namespace samner::prompt {

/// A type's name as names are compared: lower case with '_' and '-' as spaces.
std::string folded(std::string_view type);

/// Whether a text says that there is nothing: none, NA, null, [], {}, no entities, nothing at all.
bool is_none(std::string_view text);

/// Gathers what an answer names, sorted by whether it occurs in the sentence.
class Collector {
public:
    Collector(std::span<std::string const> types, std::string_view sentence);

    /// The type that is meant by a name.
    std::optional<std::string> type(std::string_view name) const;
    /// Whether a normalised text stands in the sentence.
    bool occurs(std::string const& normalised) const { return sentence_.find(normalised) != std::string::npos; }
    /// Whether a text is a mention: Na, null and a full stop are, where the sentence has them; none never is.
    bool is_span(std::string_view text) const;
    void add(std::string_view span, std::string const& its_type);
    bool found_any() const { return !parsed.mentions.empty() || !parsed.not_in_sentence.empty(); }

    Parsed parsed;

private:
    std::span<std::string const> types_;
    std::vector<std::string> folded_;
    std::string sentence_;
};

}  // namespace samner::prompt
