#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samner::corpus {

/// A stretch of a text, half-open, counted in Unicode code points.
struct Span {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    friend bool operator==(Span const&, Span const&) = default;
};

struct Entity {
    std::string text;                         ///< its tokens, joined as in the sentence
    std::string type;                         ///< label as in the file
    std::optional<Span> span = std::nullopt;  ///< where it stands; nothing when the source does not tell
};

struct Sentence {
    std::string id;                              ///< `bc5cdr/test/17`, counted from 0 over the split's files
    std::string text;                            ///< tokens joined by single spaces, or the source's own text
    std::vector<Entity> entities;                ///< in the order of the text
    std::vector<std::uint32_t> token_ends = {};  ///< byte after each token; empty when the source has no tokens

    /// Views into `text`. A token may hold spaces itself, as upstream has it.
    std::vector<std::string_view> tokens() const;
};

}  // namespace samner::corpus
