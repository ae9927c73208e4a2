#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samner::prompt {

struct Member;

/// A value as a model wrote it: JSON, or what is near to it.
struct Value {
    enum class Kind {
        text,     ///< with or without quotes
        scalar,   ///< a number, true or false: `text` is its spelling
        nothing,  ///< null or none
        list,     ///< also a tuple
        object,   ///< also a set
    };
    Kind kind = Kind::nothing;
    std::string text = {};
    std::vector<Member> members = {};

    bool is_container() const { return kind == Kind::list || kind == Kind::object; }
};

/// Of an object or a list. A slip can give members of lists a key, and leave members of objects without one.
struct Member {
    std::optional<std::string> key;
    Value value;
};

struct Reading {
    Value value;
    std::size_t end = 0;      ///< byte behind what was read
    bool closed = false;      ///< whether its brackets were closed before the text ended
    std::size_t dropped = 0;  ///< texts, keys and containers that the text's end left without their end or content
};

/// Reads objects and lists of a text, whatever slips they have: commas too many or too few; brackets missing or of the
/// wrong kind; quotes of other kinds, missing, or unescaped inside; words without quotes; comments; Python's tuples,
/// sets, literals and calls. What the text's end cuts off is dropped, what is complete stays. JSON is read as what it
/// is. Never throws on any bytes; time in proportion to the text for each reading.
class LooseJson {
public:
    explicit LooseJson(std::string_view text) : text_{text}, endless_(8, text.size()) {}

    /// @param at  of an opening bracket
    Reading read(std::size_t at);

    /// Kinds of quotes: what one opens, some close.
    enum class Quote { none, ascii_double, ascii_single, backtick, double_marks, single_marks, guillemets, corners };

private:
    struct Open {
        char close;
        Value value;
        std::optional<std::string> key;      ///< in what holds it
        std::optional<std::string> pending;  ///< a key that still has no value
    };
    struct Mark {
        Quote quote = Quote::none;
        std::size_t size = 0;
    };

    Mark mark_at(std::size_t at) const;
    std::size_t behind_space(std::size_t at) const;
    bool word_ends_well(std::size_t at) const;
    bool follows_an_end(std::size_t at, Quote quote) const;
    std::size_t next_mark(std::size_t at, Quote opener) const;
    std::size_t separator_at(std::size_t at) const;
    std::size_t prefix_at(std::size_t at) const;
    void skip_filling();
    void open(char bracket);
    void close_one();
    void close(char bracket);
    bool goes_on() const;
    bool holds_more() const;
    bool ends_with(char bracket);
    void attach(Value value);
    void text(std::string text);
    void quoted(Mark mark);
    void bare();
    std::size_t bare_end(bool may_be_key) const;

    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<Open> open_;
    Reading reading_;
    std::vector<std::size_t> endless_;  ///< by kind of opening quote: from there on none ends
};

}  // namespace samner::prompt
