#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/regex.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "core/error.h"
#include "token/utf8.h"

namespace samner::token {

namespace {

constexpr std::size_t max_pattern = 20'000;

// PCRE2's own \s under UCP also takes U+180E, which Unicode no longer counts as white space.
constexpr std::string_view white_space =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view not_white_space =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
    R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

/// The pattern in PCRE2's reading.
std::string translate(std::string_view pattern, std::string_view place) {
    auto const refuse = [&](std::string_view what) {
        throw InputError{fmt::format("regular expression '{}' has {}, which is not supported ({})",
                                     pattern.substr(0, 200), what, place),
                         "write the character class out"};
    };
    std::string result;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        auto const c = pattern[i];
        auto const next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (c == '\\') {
            if (next == 'h' || next == 'H') refuse(R"(\h)");
            if (next == 's' || next == 'S') {
                auto const& ranges = next == 's' ? white_space : not_white_space;
                result += in_class ? std::string{ranges} : fmt::format("[{}]", ranges);
            } else {
                result += c;
                if (i + 1 < pattern.size()) result += next;
            }
            ++i;
        } else if (!in_class && c == '[') {
            in_class = true;
            result += c;
            if (next == '^') result += pattern[++i];
            if (i + 1 < pattern.size() && pattern[i + 1] == ']') result += pattern[++i];
        } else if (in_class && c == '[' && next != ':') {
            refuse("a nested class");
        } else if (in_class && c == '&' && next == '&') {
            refuse("&& in a class");
        } else if (in_class && c == '[') {  // [:name:], whose brackets do not end the class
            auto const end = pattern.find(":]", i);
            if (end == std::string_view::npos) refuse("an open [:name:]");
            result += pattern.substr(i, end + 2 - i);
            i = end + 1;
        } else {
            if (in_class && c == ']') in_class = false;
            result += c;
        }
    }
    return result;
}

struct Free {
    void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
    void operator()(pcre2_compile_context* context) const noexcept { pcre2_compile_context_free(context); }
    void operator()(pcre2_match_data* data) const noexcept { pcre2_match_data_free(data); }
};

std::string message(int code) {
    std::array<PCRE2_UCHAR, 256> text{};
    if (pcre2_get_error_message(code, text.data(), text.size()) < 0) return fmt::format("PCRE2 error {}", code);
    return reinterpret_cast<char const*>(text.data());
}

}  // namespace

struct Regex::Impl {
    std::unique_ptr<pcre2_code, Free> code;
    std::string pattern;
    std::string place;
};

Regex::Regex(std::string_view pattern, Syntax syntax, std::string_view place) {
    if (pattern.empty() || pattern.size() > max_pattern) {
        throw InputError{fmt::format("regular expression of {} bytes, allowed are 1 to {} ({})", pattern.size(),
                                     max_pattern, place)};
    }
    auto const text = syntax == Syntax::literal ? std::string{pattern} : translate(pattern, place);
    std::unique_ptr<pcre2_compile_context, Free> const context{pcre2_compile_context_create(nullptr)};
    if (!context) throw Error{"PCRE2 cannot allocate memory"};
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    // In Ruby's syntax ^ and $ hold at every line.
    auto const options =
        PCRE2_UTF | (syntax == Syntax::literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
    int error = 0;
    PCRE2_SIZE offset = 0;
    std::unique_ptr<pcre2_code, Free> code{
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &error, &offset, context.get())};
    if (!code) {
        throw InputError{fmt::format("'{}' is not a valid regular expression: {} ({})", pattern.substr(0, 200),
                                     message(error), place)};
    }
    // Without JIT (a platform that lacks it) matching is slower and gives the same.
    auto const jit = pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    if (jit != 0 && jit != PCRE2_ERROR_JIT_BADOPTION && jit != PCRE2_ERROR_NOMEMORY) {
        throw InputError{fmt::format("'{}' cannot be compiled: {} ({})", pattern.substr(0, 200), message(jit), place)};
    }
    impl_ = std::make_unique<Impl const>(Impl{std::move(code), std::string{pattern}, std::string{place}});
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

void Regex::split(std::string_view text, std::function<void(std::string_view)> const& piece) const {
    std::unique_ptr<pcre2_match_data, Free> const data{pcre2_match_data_create(1, nullptr)};
    if (!data) throw Error{"PCRE2 cannot allocate memory"};
    std::size_t done = 0;  // up to here pieces were given out
    for (std::size_t from = 0; from < text.size();) {
        auto const found = pcre2_match(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                       PCRE2_NO_UTF_CHECK, data.get(), nullptr);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) {
            throw InputError{fmt::format("regular expression '{}' fails on a text of {} bytes: {} ({})",
                                         impl_->pattern.substr(0, 200), text.size(), message(found), impl_->place)};
        }
        auto const* const range = pcre2_get_ovector_pointer(data.get());
        auto const begin = range[0];
        auto const end = range[1];
        if (begin > done) piece(text.substr(done, begin - done));
        if (end > begin) piece(text.substr(begin, end - begin));
        done = end > begin ? end : std::max(done, begin);
        from = end > begin ? end : begin + (begin < text.size() ? utf8_unit(text, begin).length : 1);
    }
    if (done < text.size()) piece(text.substr(done));
}

}  // namespace samner::token
