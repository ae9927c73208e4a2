#include "token/byte_alphabet.h"

#include <array>

#include "token/utf8.h"

namespace samner::token {

namespace {

constexpr int alphabet_end = 256 + 68;  // 68 bytes are not printable in Latin-1

constexpr bool prints(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
    std::array<char32_t, 256> character{};
    std::array<int, alphabet_end> byte{};

    constexpr Alphabet() {
        byte.fill(-1);
        char32_t next = 256;
        for (int b = 0; b < 256; ++b) {
            auto const c = prints(b) ? static_cast<char32_t>(b) : next++;
            character[static_cast<std::size_t>(b)] = c;
            byte[c] = b;
        }
    }
};

constexpr Alphabet alphabet;

}  // namespace

std::string byte_token(std::uint8_t byte) {
    std::string token;
    append_utf8(token, alphabet.character[byte]);
    return token;
}

std::optional<std::string> bytes_of_token(std::string_view token) {
    std::string bytes;
    for (std::size_t at = 0; at < token.size();) {
        auto const unit = utf8_unit(token, at);
        if (unit.value >= alphabet_end || alphabet.byte[unit.value] < 0) return std::nullopt;
        bytes += static_cast<char>(alphabet.byte[unit.value]);
        at += unit.length;
    }
    return bytes;
}

}  // namespace samner::token
