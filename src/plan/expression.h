#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plan/syntax.h"

namespace samner::plan {

/// `runs` are several predictions of one target, as `each` and `sample` give and `vote` takes.
enum class Type { pool, set, model, predictions, runs, number, name, list };
std::string_view type_name(Type type);

/// A checked expression in normal form: definitions are expanded, every parameter of an operator stands by name with
/// its default written out, so that equal systems are equal terms.
struct Term {
    using Ptr = std::shared_ptr<Term const>;
    Type type;
    std::string op;  ///< the operator; empty for a number, name or list
    double number = 0;
    std::string name;
    std::vector<std::pair<std::string, Ptr>> arguments;  ///< in the operator's order; a list's items have no name
    Place place;                                         ///< not part of the value

    Ptr argument(std::string const& parameter) const;          ///< null when an optional one was not given
    std::vector<Ptr> all(std::string const& parameter) const;  ///< of a parameter that repeats
    std::string text() const;                                  ///< as an expression that checks to this term again
};

/// Names defined by `let`, in one scope for all included files.
class Definitions {
public:
    /// @throws InputError when the name is taken (by another definition or by an operator)
    void add(std::string const& name, Definition definition, Place const& place);

    /// Expands and checks an expression.
    /// @throws InputError with file, line and column: unknown operator, wrong arity or type, expert named twice, m
    ///         larger than the pool, recursive definition, more than a million parts in all that was checked
    Term::Ptr check(SyntaxPtr const& expression) const;
    /// Checks a row: its type must be a model or predictions.
    Term::Ptr check_row(SyntaxPtr const& expression) const;

private:
    std::map<std::string, Definition> definitions_;
    mutable std::size_t made_ = 0;  ///< terms, of all expressions that were checked
};

}  // namespace samner::plan
