#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace samner::token {

/// What stands at a place of a byte string that should be UTF-8.
struct Utf8Unit {
    enum class Kind {
        character,  ///< a whole, valid character
        broken,     ///< the maximal part of a sequence that no further byte can make valid (Unicode 15, section 3.9)
        cut,        ///< the text ends within a sequence that is valid so far
    };
    Kind kind;
    std::size_t length;  ///< bytes, 1 to 4
    char32_t value;      ///< the code point of a character, else U+FFFD
};

/// @param at  below text.size()
Utf8Unit utf8_unit(std::string_view text, std::size_t at) noexcept;

bool is_valid_utf8(std::string_view text) noexcept;

/// The text with one U+FFFD for each maximal broken or cut part. Valid text comes back unchanged.
std::string to_valid_utf8(std::string_view text);

void append_utf8(std::string& text, char32_t code_point);

/// How many bytes at the end belong to a character that is valid so far but not complete: 0 to 3.
std::size_t cut_tail(std::string_view text) noexcept;

/// White_Space of Unicode: what `\s` and the WordPiece pre-tokeniser take as white space. U+180E is not.
constexpr bool is_white_space(char32_t c) noexcept {
    return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace samner::token
