#include "corpus/encoding.h"

#include <array>

namespace samner::corpus {
namespace {

/// Unicode code points of the bytes 0x80 to 0x9F, 0 for undefined ones; the other bytes are as in Latin-1
/// (unicode.org, MAPPINGS/VENDORS/MICSFT/WINDOWS/CP1252.TXT).
constexpr std::array<char16_t, 32> upper_controls{0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                  0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                                  0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                  0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

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

}  // namespace samner::corpus
