#include "token/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "token/utf8.h"

namespace samner::token {

namespace {

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

struct Free {
    void operator()(utf8proc_uint8_t* memory) const noexcept { std::free(memory); }
};

std::string normal_form(std::string_view text, NormalForm form) {
    if (is_ascii(text)) return std::string{text};
    auto const options =
        form == NormalForm::nfc ? UTF8PROC_STABLE | UTF8PROC_COMPOSE : UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    utf8proc_uint8_t* memory = nullptr;
    auto const length =
        utf8proc_map(reinterpret_cast<utf8proc_uint8_t const*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &memory, static_cast<utf8proc_option_t>(options));
    std::unique_ptr<utf8proc_uint8_t, Free> const owner{memory};
    if (length < 0) {
        throw Error{fmt::format("cannot normalise a text of {} bytes: {}", text.size(), utf8proc_errmsg(length))};
    }
    return {reinterpret_cast<char const*>(memory), static_cast<std::size_t>(length)};
}

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_control(char32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    switch (category(c)) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CS:
            return true;
        default:
            return false;
    }
}

bool is_ideograph(char32_t c) {
    // The block that starts at U+2B920 starts at U+2B820 in Unicode; the reference has it so.
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

template <class Visit>
std::string map_characters(std::string_view text, Visit const& visit) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        auto const unit = utf8_unit(text, at);
        visit(unit.value, result);
        at += unit.length;
    }
    return result;
}

void append_clean(char32_t c, std::string& out, BertNormalization const& options) {
    if (options.clean_text) {
        if (c == 0 || c == 0xFFFD || is_control(c)) return;
        if (is_white_space(c)) c = ' ';
    }
    auto const apart = options.separate_ideographs && is_ideograph(c);
    if (apart) out += ' ';
    append_utf8(out, c);
    if (apart) out += ' ';
}

void append_lower(char32_t c, std::string& out) {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    if (c == 0x130) append_utf8(out, 0x307);  // the one character with a longer lower-case form
}

std::string bert_ascii(std::string_view text, BertNormalization const& options) {
    std::string result;
    result.reserve(text.size());
    for (auto c : text) {
        auto const space = c >= '\t' && c <= '\r';
        auto const control = (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
        if (options.clean_text && control) continue;
        if (options.clean_text && space) c = ' ';
        result += options.lowercase && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
    return result;
}

std::string apply_step(std::string_view text, NormalForm form) {
    return normal_form(text, form);
}

std::string apply_step(std::string_view text, BertNormalization const& options) {
    if (is_ascii(text)) return bert_ascii(text, options);
    auto result = map_characters(text, [&](char32_t c, std::string& out) { append_clean(c, out, options); });
    if (options.strip_accents) {
        result = map_characters(normal_form(result, NormalForm::nfd), [](char32_t c, std::string& out) {
            if (category(c) != UTF8PROC_CATEGORY_MN) append_utf8(out, c);
        });
    }
    if (options.lowercase) result = map_characters(result, append_lower);
    return result;
}

}  // namespace

std::string Normalizer::apply(std::string_view text) const {
    std::string result{text};
    for (auto const& step : steps_) {
        result = std::visit([&](auto const& options) { return apply_step(result, options); }, step);
    }
    return result;
}

}  // namespace samner::token
