#include "score/placed.h"

#include <utf8proc.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "corpus/encoding.h"

namespace samner::score {
namespace {

utf8proc_int32_t code_point(char32_t character) {
    return static_cast<utf8proc_int32_t>(character);
}

bool is_mark(char32_t character) {
    return utf8proc_get_property(code_point(character))->combining_class != 0;
}

bool is_of_a_word(char32_t character) {
    switch (utf8proc_category(code_point(character))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_NO:
            return true;
        default:
            return false;
    }
}

std::string composed_of(std::string_view a, std::string_view b) {
    return corpus::composed(std::string{a} + std::string{b});
}

std::int64_t length(std::string_view text) {
    std::int64_t count = 0;
    for (; !text.empty(); ++count) corpus::take_character(text);
    return count;
}

}  // namespace

/// The text goes through in segments, each of which is composed by itself: a character with the marks behind it, or
/// characters that become one (such as the parts of a Korean syllable).
PlacedText::PlacedText(std::string_view text) : text_{text} {
    bool gap = false;
    std::size_t begin = 0;  // of the segment
    std::int64_t first = 0;
    for (std::string_view left = text_; !left.empty();) {
        auto const at = text_.size() - left.size();
        auto const character = corpus::take_character(left);
        auto const end = text_.size() - left.size();
        auto const place = std::ssize(bytes_);
        bytes_.push_back(at);
        in_word_.push_back(is_of_a_word(character));
        if (at == begin || is_mark(character)) continue;
        auto const before = std::string_view{text_}.substr(begin, at - begin);
        auto const one = std::string_view{text_}.substr(at, end - at);
        if (composed_of(before, one) != corpus::composed(before) + corpus::composed(one)) continue;
        add_segment(before, first, gap);
        begin = at;
        first = place;
    }
    if (begin < text_.size()) add_segment(std::string_view{text_}.substr(begin), first, gap);
    bytes_.push_back(text_.size());
}

void PlacedText::add_segment(std::string_view segment, std::int64_t begin, bool& gap) {
    auto const whole = corpus::composed(segment);
    corpus::Span const all{begin, begin + length(segment)};
    bool const as_written = whole == segment;  // then each of its characters has a place of its own
    std::string normal;
    std::vector<Character> characters;
    std::int64_t index = begin;
    for (std::string_view rest = whole; !rest.empty(); ++index) {
        auto const before = rest;
        corpus::take_character(rest);
        auto const one = normalise(before.substr(0, before.size() - rest.size()));
        if (one.empty()) {
            gap = !normalised_.empty();
            continue;
        }
        characters.push_back({normal.size(), as_written ? corpus::Span{index, index + 1} : all});
        normal += one;
    }
    if (normal.empty()) return;
    if (auto again = corpus::composed(normal); again != normal) {  // as small letters they have a form of their own
        normal = std::move(again);
        characters.clear();
        for (std::string_view rest = normal; !rest.empty(); corpus::take_character(rest))
            characters.push_back({normal.size() - rest.size(), all});
    }
    if (std::exchange(gap, false)) {
        characters_.push_back({normalised_.size(), {begin, begin}});
        normalised_ += ' ';
    }
    for (auto const& [byte, span] : characters) characters_.push_back({normalised_.size() + byte, span});
    normalised_ += normal;
}

bool PlacedText::is_bounded(corpus::Span span) const {
    auto const joined = [&](std::int64_t at) {
        return at > 0 && at < std::ssize(in_word_) && in_word_[static_cast<std::size_t>(at - 1)] &&
               in_word_[static_cast<std::size_t>(at)];
    };
    return !joined(span.begin) && !joined(span.end);
}

std::string PlacedText::cut(corpus::Span span) const {
    auto const begin = bytes_[static_cast<std::size_t>(span.begin)];
    return text_.substr(begin, bytes_[static_cast<std::size_t>(span.end)] - begin);
}

std::optional<corpus::Span> PlacedText::find(std::string_view mention) const {
    if (mention.empty()) return std::nullopt;
    std::optional<corpus::Span> first;
    for (auto at = normalised_.find(mention); at != std::string::npos; at = normalised_.find(mention, at + 1)) {
        auto const begin = std::ranges::lower_bound(characters_, at, {}, &Character::byte);
        auto const end = std::ranges::lower_bound(characters_, at + mention.size(), {}, &Character::byte);
        if (begin == characters_.end() || begin->byte != at || end == begin) continue;
        corpus::Span const span{begin->span.begin, (end - 1)->span.end};
        if (normalise(cut(span)) != mention) continue;  // a part of characters that are written as one
        if (is_bounded(span)) return span;
        if (!first) first = span;
    }
    return first;
}

std::vector<PlacedMention> place(std::string_view text, Mentions const& mentions, std::int64_t& missing) {
    PlacedText const placed{text};
    std::vector<PlacedMention> found;
    missing = 0;
    for (auto const& mention : mentions) {
        if (auto const span = placed.find(mention.text)) {
            found.push_back({placed.cut(*span), mention.type, *span});
        } else {
            ++missing;
        }
    }
    std::ranges::stable_sort(found, {}, [](PlacedMention const& one) {
        return std::tuple{one.span.begin, one.span.end, one.type};
    });
    return found;
}

}  // namespace samner::score
