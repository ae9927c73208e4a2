#include "token/utf8.h"

#include <algorithm>

namespace samner::token {

namespace {

constexpr char32_t replacement = 0xFFFD;

struct Lead {
    std::size_t length;                     // of the whole sequence; 0: no sequence starts with this byte
    unsigned char second_low, second_high;  // the second byte excludes overlong forms, surrogates, above U+10FFFF
};

Lead lead_of(unsigned char byte) noexcept {
    if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};
    if (byte == 0xED) return {3, 0x80, 0x9F};
    if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
    if (byte == 0xF4) return {4, 0x80, 0x8F};
    return {0, 0, 0};
}

}  // namespace

Utf8Unit utf8_unit(std::string_view text, std::size_t at) noexcept {
    using Kind = Utf8Unit::Kind;
    auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    auto const first = byte(0);
    if (first < 0x80) return {Kind::character, 1, first};
    auto const lead = lead_of(first);
    if (lead.length == 0) return {Kind::broken, 1, replacement};
    char32_t value = first & (0x7FU >> lead.length);
    for (std::size_t i = 1; i < lead.length; ++i) {
        if (at + i == text.size()) return {Kind::cut, i, replacement};
        auto const low = i == 1 ? lead.second_low : 0x80;
        auto const high = i == 1 ? lead.second_high : 0xBF;
        if (byte(i) < low || byte(i) > high) return {Kind::broken, i, replacement};
        value = (value << 6) | (byte(i) & 0x3FU);
    }
    return {Kind::character, lead.length, value};
}

bool is_valid_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        auto const unit = utf8_unit(text, at);
        if (unit.kind != Utf8Unit::Kind::character) return false;
        at += unit.length;
    }
    return true;
}

std::string to_valid_utf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        auto const unit = utf8_unit(text, at);
        if (unit.kind == Utf8Unit::Kind::character) {
            valid.append(text, at, unit.length);
        } else {
            append_utf8(valid, replacement);
        }
        at += unit.length;
    }
    return valid;
}

void append_utf8(std::string& text, char32_t code_point) {
    auto const put = [&](char32_t byte) { text += static_cast<char>(byte); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | (code_point >> 6));
        put(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        put(0xE0 | (code_point >> 12));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | (code_point >> 18));
        put(0x80 | ((code_point >> 12) & 0x3F));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
}

std::size_t cut_tail(std::string_view text) noexcept {
    for (std::size_t length = std::min<std::size_t>(3, text.size()); length > 0; --length) {
        auto const unit = utf8_unit(text, text.size() - length);
        if (unit.kind == Utf8Unit::Kind::cut && unit.length == length) return length;
    }
    return 0;
}

}  // namespace samner::token
