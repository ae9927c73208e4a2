#include "prompt/loose_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "score/score.h"

namespace samner::prompt {
namespace {

using Quote = LooseJson::Quote;

constexpr std::size_t max_depth = 64;
constexpr auto none = std::string_view::npos;

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool is_opening(char c) {
    return c == '[' || c == '{' || c == '(';
}

bool is_closing(char c) {
    return c == ']' || c == '}' || c == ')';
}

/// Whether a quote of this kind can end what the other began.
bool can_close(Quote quote, Quote opener) {
    if (quote == opener) return true;
    switch (opener) {
        case Quote::double_marks:
            return quote == Quote::ascii_double;
        case Quote::single_marks:
        case Quote::backtick:
            return quote == Quote::ascii_single;
        default:
            return false;
    }
}

void append_character(std::string& text, std::uint32_t c) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
    if (c < 0x80) {
        text += static_cast<char>(c);
    } else if (c < 0x800) {
        text += static_cast<char>(0xC0 | (c >> 6));
        text += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        text += static_cast<char>(0xE0 | (c >> 12));
        text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        text += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        text += static_cast<char>(0xF0 | (c >> 18));
        text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
        text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        text += static_cast<char>(0x80 | (c & 0x3F));
    }
}

std::optional<std::uint32_t> hexadecimal(std::string_view text, std::size_t at, std::size_t digits) {
    if (at + digits > text.size()) return std::nullopt;
    std::uint32_t value = 0;
    auto const* const end = text.data() + at + digits;
    auto const [stop, error] = std::from_chars(text.data() + at, end, value, 16);
    return error == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

/// Without the escapes of JSON and Python; one that neither knows stays as it is.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\' || at + 1 == text.size()) {
            result += text[at];
            continue;
        }
        constexpr std::string_view names = "\"'`\\/bfnrt";
        constexpr std::string_view meant = "\"'`\\/\b\f\n\r\t";
        auto const c = text[++at];
        if (auto const known = names.find(c); known != none) {
            result += meant[known];
        } else if (auto const code = c == 'u' ? hexadecimal(text, at + 1, 4) : std::nullopt) {
            at += 4;
            auto const low = *code >= 0xD800 && *code < 0xDC00 && text.substr(at + 1, 2) == "\\u"
                                 ? hexadecimal(text, at + 3, 4)
                                 : std::nullopt;
            if (low && *low >= 0xDC00 && *low < 0xE000) {
                append_character(result, 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00));
                at += 6;
            } else {
                append_character(result, *code);
            }
        } else if (auto const byte = c == 'x' ? hexadecimal(text, at + 1, 2) : std::nullopt) {
            append_character(result, *byte);
            at += 2;
        } else {
            result += '\\';
            result += c;
        }
    }
    return result;
}

std::string_view trimmed(std::string_view text, std::string_view what) {
    auto const begin = text.find_first_not_of(what);
    if (begin == none) return {};
    return text.substr(begin, text.find_last_not_of(what) + 1 - begin);
}

/// A word without quotes as what it means.
Value meaning_of(std::string_view word) {
    auto const lower = score::normalise(word);
    for (auto const* nothing : {"null", "none", "nil", "undefined", "n/a", "na"})
        if (lower == nothing) return {Value::Kind::nothing};
    double number = 0;
    auto const [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    bool const is_number = error == std::errc{} && end == word.data() + word.size();
    if (is_number || lower == "true" || lower == "false" || lower == "..." || lower == "\u2026")
        return {Value::Kind::scalar, std::string{word}};
    return {Value::Kind::text, std::string{word}};
}

}  // namespace

/// The quote that stands at a place; of size 0: none.
LooseJson::Mark LooseJson::mark_at(std::size_t at) const {
    if (at >= text_.size()) return {};
    auto const c = static_cast<unsigned char>(text_[at]);
    if (c == '"') return {Quote::ascii_double, 1};
    if (c == '\'') return {Quote::ascii_single, 1};
    if (c == '`') return {Quote::backtick, 1};
    if (c < 0xC2) return {};
    struct Known {
        std::string_view spelling;
        Quote quote;
    };
    static constexpr auto known = std::to_array<Known>({{"\u201C", Quote::double_marks},
                                                        {"\u201D", Quote::double_marks},
                                                        {"\u201E", Quote::double_marks},
                                                        {"\u201F", Quote::double_marks},
                                                        {"\uFF02", Quote::double_marks},
                                                        {"\u2018", Quote::single_marks},
                                                        {"\u2019", Quote::single_marks},
                                                        {"\u201A", Quote::single_marks},
                                                        {"\u201B", Quote::single_marks},
                                                        {"\uFF07", Quote::single_marks},
                                                        {"\u00AB", Quote::guillemets},
                                                        {"\u00BB", Quote::guillemets},
                                                        {"\u2039", Quote::guillemets},
                                                        {"\u203A", Quote::guillemets},
                                                        {"\u300C", Quote::corners},
                                                        {"\u300D", Quote::corners},
                                                        {"\u300E", Quote::corners},
                                                        {"\u300F", Quote::corners}});
    for (auto const& [spelling, quote] : known)
        if (text_.substr(at, spelling.size()) == spelling) return {quote, spelling.size()};
    return {};
}

std::size_t LooseJson::behind_space(std::size_t at) const {
    while (at < text_.size() && is_space(text_[at])) ++at;
    return at;
}

/// Bytes of what stands between a key and its value: `:`, `=`, `=>` or `->`; 0: something else is there.
std::size_t LooseJson::separator_at(std::size_t at) const {
    auto const two = text_.substr(std::min(at, text_.size()), 2);
    if (two == "=>" || two == "->" || two == ":=") return 2;
    return two.starts_with(':') || two.starts_with('=') ? 1 : 0;
}

/// Whether behind a comma or colon something can begin: no word that runs into the end of a quotation.
bool LooseJson::word_ends_well(std::size_t at) const {
    constexpr std::size_t longest = 96;
    at = behind_space(at);
    at += prefix_at(at);
    if (at >= text_.size() || mark_at(at).size > 0 || is_opening(text_[at]) || is_closing(text_[at])) return true;
    auto const end = std::min(at + longest, text_.size());
    for (; at < end; ++at) {
        auto const c = text_[at];
        if (c == ',' || c == ':' || c == ';' || c == '=' || c == '\n' || is_opening(c) || is_closing(c)) return true;
        auto const mark = mark_at(at);
        bool const apostrophe = (mark.quote == Quote::ascii_single || mark.quote == Quote::single_marks) &&
                                at + mark.size < text_.size() && is_word(text_[at + mark.size]);
        if (mark.size > 0 && !apostrophe) return false;
    }
    return at == text_.size();
}

/// Whether what stands at a place, behind a quote of this kind, says that the quote ended a text. It always does in
/// JSON.
bool LooseJson::follows_an_end(std::size_t at, Quote quote) const {
    at = behind_space(at);
    if (at >= text_.size()) return true;
    auto const c = text_[at];
    if (is_closing(c) || c == '[' || c == '{') return true;
    if (c == ',' || c == ';') return word_ends_well(at + 1);
    if (auto const size = separator_at(at)) return word_ends_well(at + size);
    if (c == '/' && at + 1 < text_.size() && (text_[at + 1] == '/' || text_[at + 1] == '*')) return true;
    if (auto const mark = mark_at(at); mark.quote == quote) {
        // A comma may be missing; or the text is quoted in quotes, and ends with that one.
        auto const next = behind_space(at + mark.size);
        return next < text_.size() && !is_closing(text_[next]) && text_[next] != ',' && text_[next] != ';' &&
               separator_at(next) == 0;
    }
    return false;
}

/// The next quote from a place on that could end what `opener` began, escaped ones passed over; npos: there is none.
std::size_t LooseJson::next_mark(std::size_t at, Quote opener) const {
    for (; at < text_.size(); ++at) {
        at = text_.find_first_of("\\\"'`\xC2\xE2\xE3\xEF", at);
        if (at == none) return at;
        if (text_[at] == '\\') {
            ++at;
        } else if (auto const mark = mark_at(at); mark.size > 0 && can_close(mark.quote, opener)) {
            return at;
        }
    }
    return none;
}

/// Bytes of the letters that Python has before a quote, as in u'Ada'; 0: there are none.
std::size_t LooseJson::prefix_at(std::size_t at) const {
    std::size_t size = 0;
    while (size <= 2 && at + size < text_.size() && std::string_view{"uUbBrRfF"}.find(text_[at + size]) != none) ++size;
    auto const mark = mark_at(at + size);
    return size <= 2 && (mark.quote == Quote::ascii_double || mark.quote == Quote::ascii_single) ? size : 0;
}

/// White space, commas and comments.
void LooseJson::skip_filling() {
    for (;;) {
        at_ = behind_space(at_);
        if (at_ >= text_.size()) return;
        auto const rest = text_.substr(at_);
        if (rest[0] == ',' || rest[0] == ';') {
            ++at_;
        } else if (rest.starts_with("//") || rest.starts_with("# ")) {
            at_ = std::min(text_.find('\n', at_), text_.size());
        } else if (rest.starts_with("/*")) {
            auto const end = text_.find("*/", at_ + 2);
            at_ = end == none ? text_.size() : end + 2;
        } else {
            return;
        }
    }
}

void LooseJson::open(char bracket) {
    std::optional<std::string> key;
    if (!open_.empty()) key = std::exchange(open_.back().pending, std::nullopt);
    bool const is_object = bracket == '{';
    char const close = is_object ? '}' : bracket == '[' ? ']' : ')';
    open_.push_back({close, {is_object ? Value::Kind::object : Value::Kind::list}, std::move(key), std::nullopt});
    ++at_;
}

/// Ends the innermost container.
void LooseJson::close_one() {
    if (open_.back().pending) attach({Value::Kind::nothing});
    auto closed = std::move(open_.back());
    open_.pop_back();
    if (open_.empty()) {
        reading_.value = std::move(closed.value);
    } else {
        open_.back().value.members.push_back({std::move(closed.key), std::move(closed.value)});
    }
}

/// A closing bracket: of the innermost container, or of one around it where brackets are missing, or a wrong one.
void LooseJson::close(char bracket) {
    ++at_;
    auto const next = behind_space(at_);
    bool const more = next < text_.size() && text_[next] == ',' && behind_space(next + 1) < text_.size();
    auto const found =
        std::find_if(open_.rbegin(), open_.rend(), [&](auto const& one) { return one.close == bracket; });
    if (found == open_.rend()) {
        if (!more && bracket != ')') close_one();
        return;
    }
    auto count = found - open_.rbegin() + 1;
    // A wrong bracket of the innermost, where closing the outermost would leave what follows outside.
    if (count > 1 && count == std::ssize(open_) && more) count = 1;
    for (; count > 0; --count) close_one();
}

/// Whether what follows a container that was closed belongs to it: it was closed too early, or it is the first of
/// several without brackets around them.
bool LooseJson::goes_on() const {
    auto const& value = reading_.value;
    auto at = behind_space(at_);
    if (at >= text_.size()) return false;
    bool const comma = text_[at] == ',';
    if (comma) at = behind_space(at + 1);
    if (at >= text_.size()) return false;
    bool const is_object = value.kind == Value::Kind::object;
    if (is_opening(text_[at])) {
        if (comma) return text_[at] != '(' || !is_object;
        if (is_object) return text_[at] == '{';
        auto const is_container = [](Member const& member) { return member.value.is_container(); };
        return text_[at] == '[' && !value.members.empty() && std::ranges::none_of(value.members, is_container);
    }
    auto const mark = mark_at(at);
    if (!comma || !is_object || mark.size == 0) return false;
    auto const end = next_mark(at + mark.size, mark.quote);
    return end != none && separator_at(behind_space(end + mark_at(end).size)) > 0;
}

void LooseJson::attach(Value value) {
    auto& [close, container, own_key, pending] = open_.back();
    auto& members = container.members;
    std::optional<std::string> key = std::exchange(pending, std::nullopt);
    // {"person": "Ada", "Bob"}: of the same key.
    if (!key && container.kind == Value::Kind::object && value.kind == Value::Kind::text && !members.empty() &&
        members.back().value.kind == Value::Kind::text)
        key = members.back().key;
    members.push_back({std::move(key), std::move(value)});
}

/// A text that was read whole: a key when a separator follows it.
void LooseJson::text(std::string text) {
    auto const behind = behind_space(at_);
    auto const separator = separator_at(behind);
    // {"person" ["Ada"]}: it is missing.
    bool const missing = separator == 0 && open_.back().value.kind == Value::Kind::object && behind < text_.size() &&
                         (text_[behind] == '[' || text_[behind] == '{');
    if ((separator == 0 && !missing) || open_.back().pending) return attach({Value::Kind::text, std::move(text)});
    at_ = behind + separator;
    // A key in a list of an object, behind members without: the list was not closed.
    auto const& list = open_.back();
    auto const has_key = [](Member const& member) { return member.key.has_value(); };
    if (open_.size() > 1 && list.close == ']' && list.key && open_[open_.size() - 2].close == '}' &&
        !list.value.members.empty() && std::ranges::none_of(list.value.members, has_key))
        close_one();
    open_.back().pending = std::move(text);
}

void LooseJson::quoted(Mark mark) {
    auto const begin = at_ + mark.size;
    auto const end_with = [&](std::size_t end, std::size_t next) {
        at_ = next;
        text(unescaped(text_.substr(begin, end - begin)));
    };
    auto& endless = endless_[static_cast<std::size_t>(mark.quote)];
    for (auto at = begin >= endless ? none : next_mark(begin, mark.quote); at != none;) {
        auto const found = mark_at(at);
        if (follows_an_end(at + found.size, found.quote)) return end_with(at, at + found.size);
        auto const next = next_mark(at + found.size, mark.quote);
        // ["Ada, "Bob"]: a quote that begins a text where one can begin; the end of the one before is missing.
        auto const before = text_.substr(begin, at - begin).find_last_not_of(" \t\r\n");
        bool const begins = before != none && std::string_view{",[{(:"}.find(text_[begin + before]) != none;
        if (begins && next != none && follows_an_end(next + mark_at(next).size, found.quote)) {
            auto const last = text_.substr(begin, at - begin).find_last_not_of(" \t\r\n,[]{}():");
            auto const end = last == none ? begin : begin + last + 1;
            return end_with(end, end);
        }
        at = next;
    }
    endless = std::min(endless, begin);
    // Without an end: cut off, unless brackets follow on the line.
    auto const line_end = std::min(text_.find('\n', begin), text_.size());
    auto const line = text_.substr(begin, line_end - begin);
    auto const last = line.find_last_not_of(" \t\r,]}");
    bool const brackets = line.find_last_of("]}") != none && (last == none || line.find_last_of("]}") > last);
    if (last != none && brackets && next_mark(begin, mark.quote) >= line_end)
        return end_with(begin + last + 1, begin + last + 1);
    ++reading_.dropped;
    at_ = line_end;
}

/// Where a word or words without quotes end.
std::size_t LooseJson::bare_end(bool may_be_key) const {
    std::size_t parentheses = 0;
    auto at = at_;
    for (; at < text_.size(); ++at) {
        auto const c = text_[at];
        if (c == ',' || c == ';' || c == '\n' || c == ']' || c == '}' || c == '[' || c == '{') break;
        if (c == '(') {
            bool const is_name = at > at_ && std::all_of(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                         text_.begin() + static_cast<std::ptrdiff_t>(at), is_word);
            if (is_name && parentheses == 0) break;
            ++parentheses;
        } else if (c == ')') {
            if (parentheses == 0) break;
            --parentheses;
        }
        auto const separator = may_be_key && at > at_ ? separator_at(at) : 0;
        if (separator == 0) continue;
        auto const next = at + separator;
        bool const apart = next >= text_.size() || is_space(text_[next]) || mark_at(next).size > 0 ||
                           is_opening(text_[next]) || is_word(text_[next]);
        bool const of_number = text_[at - 1] >= '0' && text_[at - 1] <= '9' && next < text_.size() &&
                               text_[next] >= '0' && text_[next] <= '9';
        if (apart && !of_number) break;
    }
    return at;
}

/// Words without quotes.
void LooseJson::bare() {
    auto const begin = at_;
    auto const end = bare_end(!open_.back().pending);
    auto const word = trimmed(text_.substr(begin, end - begin), " \t\r\\\"'`*");
    at_ = std::max(end, begin + 1);
    if (end >= text_.size()) {
        ++reading_.dropped;
    } else if (word.empty()) {
        if (end > begin && !trimmed(text_.substr(begin, end - begin), " \t\r\\*").empty()) text("");
    } else if (text_[end] == '(' && !open_.back().pending) {
        open_.back().pending = std::string{word};  // the name of a call
    } else if (text_[end] == '(') {
        at_ = end;
    } else if (separator_at(behind_space(end)) > 0) {
        text(std::string{word});
    } else {
        attach(meaning_of(word));
    }
}

/// Whether a container that was opened again holds more than what has just ended.
bool LooseJson::holds_more() const {
    auto at = behind_space(at_);
    bool const comma = at < text_.size() && text_[at] == ',';
    if (comma) at = behind_space(at + 1);
    return at < text_.size() && (is_opening(text_[at]) || is_closing(text_[at]) || (comma && mark_at(at).size > 0));
}

/// Closing brackets, and what follows them. @return whether the reading is at its end
bool LooseJson::ends_with(char bracket) {
    close(bracket);
    if (open_.empty()) {
        reading_.closed = true;
        reading_.end = at_;
        if (!goes_on()) return true;
        bool const is_object = reading_.value.kind == Value::Kind::object;
        open_.push_back({is_object ? '}' : ']', std::move(reading_.value), std::nullopt, std::nullopt});
    } else if (reading_.closed && open_.size() == 1) {
        reading_.end = at_;
        return !holds_more();
    }
    return false;
}

Reading LooseJson::read(std::size_t at) {
    at_ = at;
    open_.clear();
    reading_ = {};
    open(text_[at_]);
    for (;;) {
        skip_filling();
        if (at_ >= text_.size()) break;
        auto const c = text_[at_];
        auto const mark = mark_at(at_);
        if (is_opening(c)) {
            if (open_.size() >= max_depth) break;
            open(c);
        } else if (is_closing(c)) {
            if (ends_with(c)) break;
        } else if (auto const separator = separator_at(at_)) {
            at_ += separator;
        } else if (mark.size > 0) {
            quoted(mark);
        } else if (auto const size = prefix_at(at_)) {
            at_ += size;
        } else {
            bare();
        }
    }
    if (!reading_.closed) reading_.end = at_;
    while (!open_.empty()) {
        auto& innermost = open_.back();
        bool const again = reading_.closed && open_.size() == 1;
        if (!again && (innermost.value.members.empty() || innermost.pending)) ++reading_.dropped;
        innermost.pending.reset();
        close_one();
    }
    return std::move(reading_);
}

}  // namespace samner::prompt
