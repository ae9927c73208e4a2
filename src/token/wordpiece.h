#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "token/vocabulary.h"

namespace samner::token {

/// WordPiece (Schuster and Nakajima 2012, as in BERT): a word is cut from the left into the longest tokens there are;
/// a word that cannot be cut so, or is too long, is one unknown token.
class WordPiece {
public:
    struct Options {
        StringMap<std::int32_t> first;      ///< tokens that start a word
        StringMap<std::int32_t> following;  ///< tokens within a word, without their prefix
        std::int32_t unknown = 0;
        std::size_t max_characters = 100;  ///< of a word
    };
    explicit WordPiece(Options options);

    /// Appends the ids of a word (valid UTF-8). Const and thread-safe.
    void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

private:
    Options options_;
    std::size_t longest_ = 0;  // bytes of the longest token
};

/// The text of tokens that WordPiece gave, token by token.
struct WordPieceDecoder {
    std::string prefix = "##";
    bool clean_up = true;  ///< undo spaces before punctuation and English contractions

    /// What a token adds to the text. @param first  whether it is the first one
    std::string text(std::string_view token, bool first) const;
};

}  // namespace samner::token
