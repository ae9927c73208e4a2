#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace samner::plan {

/// Where something is written; line and column count from 1.
struct Place {
    std::string file;
    int line = 1;
    int column = 1;
    std::string text() const;  ///< `file:line:column`
};

/// An expression as written.
struct Syntax {
    enum class Kind { number, word, list, call };
    struct Argument {
        std::string keyword;  ///< empty when positional
        std::shared_ptr<Syntax const> value;
    };
    Kind kind;
    Place place;
    double number = 0;                ///< of a number
    std::string word;                 ///< of a word or the name of a call
    std::vector<Argument> arguments;  ///< of a call, or the items of a list
};
using SyntaxPtr = std::shared_ptr<Syntax const>;

/// What stands under `let`: an expression, or `(a, b=default) expression`.
struct Definition {
    struct Parameter {
        std::string name;
        SyntaxPtr fallback;  ///< null when the parameter must be given
    };
    bool function = false;
    std::vector<Parameter> parameters;
    SyntaxPtr body;
};

/// @param place  of the first character of `text`, which is one line
/// @throws InputError with the place of the first character that does not fit
SyntaxPtr parse_expression(std::string_view text, Place const& place);
Definition parse_definition(std::string_view text, Place const& place);

}  // namespace samner::plan
