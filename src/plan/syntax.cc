#include "plan/syntax.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace samner::plan {
namespace {

constexpr int deepest = 64;

bool starts_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Parser {
public:
    Parser(std::string_view text, Place place) : text_{text}, start_{std::move(place)} { skip_blanks(); }

    SyntaxPtr expression(int depth = 0) {
        if (depth > deepest) fail("the expression is nested too deeply");
        Syntax node{.kind = Syntax::Kind::word, .place = here(), .number = 0, .word = {}, .arguments = {}};
        char const c = peek();
        if (c == '[') {
            node.kind = Syntax::Kind::list;
            take('[');
            node.arguments = arguments(']', depth);
        } else if (is_digit(c) || c == '-' || c == '.') {
            node.kind = Syntax::Kind::number;
            node.number = number();
        } else if (starts_word(c)) {
            node.word = word();
            if (peek() == '(') {
                node.kind = Syntax::Kind::call;
                take('(');
                node.arguments = arguments(')', depth);
            }
        } else {
            fail(at_end() ? "the expression ends where a value should stand"
                          : fmt::format("'{}' stands where a value should", c));
        }
        return std::make_shared<Syntax const>(std::move(node));
    }

    Definition definition() {
        Definition result;
        if (peek() == '(') {
            result.function = true;
            take('(');
            while (peek() != ')') {
                if (!starts_word(peek())) fail("a parameter's name should stand here");
                Definition::Parameter parameter{word(), nullptr};
                for (auto const& other : result.parameters)
                    if (other.name == parameter.name) fail(fmt::format("parameter '{}' is named twice", other.name));
                if (peek() == '=') {
                    take('=');
                    parameter.fallback = expression();
                }
                result.parameters.push_back(std::move(parameter));
                if (peek() != ')') take(',');
            }
            take(')');
        }
        result.body = expression();
        return result;
    }

    void finish() const {
        if (!at_end()) fail(fmt::format("'{}' stands after the end of the expression", peek()));
    }

private:
    bool at_end() const { return position_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[position_]; }
    Place here() const { return {start_.file, start_.line, start_.column + static_cast<int>(position_)}; }
    [[noreturn]] void fail(std::string const& what) const {
        throw InputError{fmt::format("{} ({})", what, here().text()),
                         "experiments are written in calls, lists and names"};
    }
    void skip_blanks() {
        while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\n')) ++position_;
    }
    void take(char c) {
        if (peek() != c)
            fail(at_end() ? fmt::format("'{}' is missing at the end", c)
                          : fmt::format("'{}' stands where '{}' should", peek(), c));
        ++position_;
        skip_blanks();
    }
    std::string word() {
        auto const begin = position_;
        // Names may hold a version, as peft-0.18 does.
        while (!at_end() && (starts_word(peek()) || is_digit(peek()) || peek() == '-' || peek() == '.')) ++position_;
        std::string result{text_.substr(begin, position_ - begin)};
        skip_blanks();
        return result;
    }
    double number() {
        double value = 0;
        auto const* const begin = text_.data() + position_;
        auto const [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
        if (error != std::errc{} || !std::isfinite(value)) fail("this is not a finite number");
        position_ += static_cast<std::size_t>(end - begin);
        if (starts_word(peek())) fail("a number ends in a letter");
        skip_blanks();
        return value;
    }
    std::vector<Syntax::Argument> arguments(char close, int depth) {
        std::vector<Syntax::Argument> result;
        while (peek() != close) {
            Syntax::Argument argument;
            auto value = expression(depth + 1);
            if (peek() == '=' && value->kind == Syntax::Kind::word && close == ')') {
                take('=');
                argument.keyword = value->word;
                value = expression(depth + 1);
            } else if (!result.empty() && !result.back().keyword.empty()) {
                fail("a positional argument stands after one with a keyword");
            }
            argument.value = std::move(value);
            result.push_back(std::move(argument));
            if (at_end()) take(close);  // names what is missing
            if (peek() != close) take(',');
        }
        take(close);
        return result;
    }

    std::string_view text_;
    Place start_;
    std::size_t position_ = 0;
};

}  // namespace

std::string Place::text() const {
    return fmt::format("{}:{}:{}", file, line, column);
}

SyntaxPtr parse_expression(std::string_view text, Place const& place) {
    Parser parser{text, place};
    auto result = parser.expression();
    parser.finish();
    return result;
}

Definition parse_definition(std::string_view text, Place const& place) {
    Parser parser{text, place};
    auto result = parser.definition();
    parser.finish();
    return result;
}

}  // namespace samner::plan
