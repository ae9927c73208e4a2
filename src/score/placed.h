#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "score/score.h"

namespace samner::score {

/// A text with what is known of where its normalised characters stand in it.
class PlacedText {
public:
    explicit PlacedText(std::string_view text);

    /// What score::normalise makes of the text.
    std::string const& normalised() const { return normalised_; }

    /// The first place of a mention that begins and ends where words do or, where there is none, its first one: a
    /// stretch that normalise makes into the mention. Between two letters, digits or marks no word begins.
    /// @param mention  normalised
    std::optional<corpus::Span> find(std::string_view mention) const;

    /// A stretch as it is written. @param span  within the text
    std::string cut(corpus::Span span) const;

private:
    struct Character {
        std::size_t byte = 0;  ///< of `normalised_`
        corpus::Span span;     ///< in the text
    };
    void add_segment(std::string_view segment, std::int64_t begin, bool& gap);
    bool is_bounded(corpus::Span span) const;

    std::string text_;
    std::vector<std::size_t> bytes_;  ///< of `text_` where each code point begins, and its size
    std::vector<bool> in_word_;       ///< whether each code point is a letter, digit or mark
    std::string normalised_;
    std::vector<Character> characters_;  ///< of `normalised_`, in order
};

/// A mention as it stands in its text.
struct PlacedMention {
    std::string text;
    std::string type;
    corpus::Span span;
};

/// Mentions in the order of the text (by begin, end, type), each once (PlacedText::find).
/// @param missing  set to how many are not in the text, and left out
std::vector<PlacedMention> place(std::string_view text, Mentions const& mentions, std::int64_t& missing);

}  // namespace samner::score
