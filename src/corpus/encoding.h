#pragma once

#include <string>
#include <string_view>

namespace samner::corpus {

/// How the characters of a file are stored.
enum class Encoding { utf8, windows_1252 };

/// A text in Windows-1252 as UTF-8. The five bytes that the code page leaves undefined (81, 8D, 8F, 90, 9D) stay as
/// they are, so that a reader refuses the line they stand in.
std::string from_windows_1252(std::string_view text);

/// Takes the first character off a text that is not empty; U+FFFD for a byte that is not UTF-8.
char32_t take_character(std::string_view& text);

/// A text in the Unicode normal form C: canonically equal texts, such as an e with an accent as one character and as
/// two, become the same bytes. What is not UTF-8 may become U+FFFD. In time n log n at most.
std::string composed(std::string_view text);

}  // namespace samner::corpus
