#include "corpus/encoding.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace samner::corpus {
namespace {

/// Unicode code points of the bytes 0x80 to 0x9F, 0 for undefined ones; the other bytes are as in Latin-1
/// (unicode.org, MAPPINGS/VENDORS/MICSFT/WINDOWS/CP1252.TXT).
constexpr std::array<char16_t, 32> upper_controls{0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                  0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                                  0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                  0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/// Whether all characters are below U+0300, which stay as they are in every normal form C.
bool is_composed(std::string_view text) {
    return std::ranges::all_of(text, [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; });
}

/// The canonical decomposition of every character, not yet in canonical order.
std::vector<utf8proc_int32_t> decomposed(std::string_view text) {
    constexpr int longest = 8;  // code points of one character's canonical decomposition are four at most
    std::vector<utf8proc_int32_t> points;
    points.reserve(text.size());
    while (!text.empty()) {
        auto const character = static_cast<utf8proc_int32_t>(take_character(text));
        std::array<utf8proc_int32_t, longest> parts{};
        int last_class = UTF8PROC_BOUNDCLASS_START;
        auto const count = utf8proc_decompose_char(character, parts.data(), longest,
                                                   static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), &last_class);
        if (count > 0 && count <= longest) {
            points.insert(points.end(), parts.begin(), parts.begin() + count);
        } else {
            points.push_back(character);
        }
    }
    return points;
}

/// Puts the marks of each character in canonical order. utf8proc's own way takes quadratic time over many marks.
void order_marks(std::vector<utf8proc_int32_t>& points) {
    auto const class_of = [](utf8proc_int32_t point) { return utf8proc_get_property(point)->combining_class; };
    auto const is_mark = [&](utf8proc_int32_t point) { return class_of(point) != 0; };
    for (auto at = points.begin(); at != points.end();) {
        auto const begin = std::find_if(at, points.end(), is_mark);
        at = std::find_if_not(begin, points.end(), is_mark);
        std::ranges::stable_sort(begin, at, {}, class_of);
    }
}

}  // namespace

std::string from_windows_1252(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (char const character : text) {
        auto const byte = static_cast<unsigned char>(character);
        auto const point = byte >= 0x80 && byte < 0xA0 ? upper_controls.at(byte - 0x80U) : char16_t{byte};
        if (point < 0x80) {  // ASCII, or a byte that stands for nothing
            result += character;
        } else if (point < 0x800) {
            result += static_cast<char>(0xC0 | (point >> 6));
            result += static_cast<char>(0x80 | (point & 0x3F));
        } else {
            result += static_cast<char>(0xE0 | (point >> 12));
            result += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
            result += static_cast<char>(0x80 | (point & 0x3F));
        }
    }
    return result;
}

char32_t take_character(std::string_view& text) {
    utf8proc_int32_t character = 0;
    auto const size = utf8proc_iterate(reinterpret_cast<utf8proc_uint8_t const*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &character);
    text.remove_prefix(size > 0 ? static_cast<std::size_t>(size) : 1);
    constexpr char32_t replacement = 0xFFFD;
    return size > 0 ? static_cast<char32_t>(character) : replacement;
}

std::string composed(std::string_view text) {
    if (is_composed(text)) return std::string{text};
    auto points = decomposed(text);
    order_marks(points);
    auto const count = utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                                                static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    points.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(count, 0)));
    std::string result;
    result.reserve(text.size());
    for (auto const point : points) {
        std::array<utf8proc_uint8_t, 4> bytes{};
        auto const length = utf8proc_encode_char(point, bytes.data());
        result.append(reinterpret_cast<char const*>(bytes.data()), static_cast<std::size_t>(length));
    }
    return result;
}

}  // namespace samner::corpus
