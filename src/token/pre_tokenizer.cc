#include "token/pre_tokenizer.h"

#include <utf8proc.h>

#include <string>

#include "token/utf8.h"

namespace samner::token {

namespace {

using Sink = PreTokenizer::Sink;

bool is_numeric(char32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    auto const category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t c) {
    if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    auto const category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

void apply(Regex const& regex, std::string_view text, Sink const& piece) {
    regex.split(text, piece);
}

void apply(DigitSplit const& options, std::string_view text, Sink const& piece) {
    std::size_t begin = 0;
    bool in_digits = false;
    for (std::size_t at = 0; at < text.size();) {
        auto const unit = utf8_unit(text, at);
        auto const digit = is_numeric(unit.value);
        auto const cut = digit != in_digits || (digit && options.each_alone);
        if (cut && at > begin) {
            piece(text.substr(begin, at - begin));
            begin = at;
        }
        in_digits = digit;
        at += unit.length;
    }
    if (begin < text.size()) piece(text.substr(begin));
}

void apply(PrefixSpace const&, std::string_view text, Sink const& piece) {
    if (text.starts_with(' ')) return piece(text);
    piece(' ' + std::string{text});
}

void apply(BertSplit const&, std::string_view text, Sink const& piece) {
    std::size_t begin = 0;
    auto const flush = [&](std::size_t end) {
        if (end > begin) piece(text.substr(begin, end - begin));
    };
    for (std::size_t at = 0; at < text.size();) {
        auto const unit = utf8_unit(text, at);
        auto const next = at + unit.length;
        if (is_white_space(unit.value)) {
            flush(at);
            begin = next;
        } else if (is_punctuation(unit.value)) {
            flush(at);
            piece(text.substr(at, unit.length));
            begin = next;
        }
        at = next;
    }
    flush(text.size());
}

}  // namespace

void PreTokenizer::split(std::string_view text, Sink const& piece) const {
    split_from(0, text, piece);
}

void PreTokenizer::split_from(std::size_t step, std::string_view text, Sink const& piece) const {
    if (text.empty()) return;
    if (step == steps_.size()) return piece(text);
    auto const deeper = [&](std::string_view part) { split_from(step + 1, part, piece); };
    auto const& next = step + 1 == steps_.size() ? piece : Sink{deeper};
    std::visit([&](auto const& options) { apply(options, text, next); }, steps_[step]);
}

}  // namespace samner::token
