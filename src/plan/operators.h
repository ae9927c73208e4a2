#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plan/expression.h"
#include "plan/graph.h"
#include "work/answer.h"

namespace samner::plan {

struct Parameter {
    std::string name;
    std::vector<Type> types;
    std::string fallback = {};  ///< an expression; empty: must be given, or may be absent when `optional`
    bool optional = false;
    std::vector<std::string> choices = {};  ///< of a name; empty: any
    std::string help = {};                  ///< for docs/experiments.md, in whole sentences
};

/// What operators plan with: the graph that they add tasks to, and on what the expression is evaluated.
struct Planning {
    Graph& graph;
    Context const& context;
    std::set<std::string>& open;  ///< keys of the selections that the expression waits for are added
};

/// What an operator plans, by its type. A set and a model are nothing while a selection that they need is open.
using PlanPool = std::vector<Expert> (*)(Term const&, std::string const& target);
using PlanSet = std::optional<std::vector<Chosen>> (*)(Term const&, Planning const&);
using PlanModel = std::optional<Model> (*)(Term const&, Planning const&);
using PlanAnswer = work::Answer (*)(Term const&, Planning const&);
using PlanAnswers = std::vector<work::Answer> (*)(Term const&, Planning const&);
struct NotThereYet {};

/// An operator of the language: all that is known of it stands in its entry of `operators`.
struct Operator {
    Type result;
    std::string help;     ///< for docs/experiments.md, in whole sentences
    std::string example;  ///< that checks, with the definitions of experiments/common.yaml
    std::vector<Parameter> parameters = {};
    std::size_t repeats = 0;  ///< the only parameter is given this many times or more; 0: it is not repeated
    std::variant<NotThereYet, PlanPool, PlanSet, PlanModel, PlanAnswer, PlanAnswers> plan = {};
    void (*check)(Term const&) = nullptr;  ///< what types do not say; throws InputError
};

std::map<std::string, Operator, std::less<>> const& operators();

/// The experts of a pool.
/// @param target  that `without(pool, target)` leaves out; empty: none
std::vector<Expert> experts_of(Term const& pool, std::string const& target = {});

/// Whether a term is a selection with a sampling evaluation.
bool samples(Term const& term);

/// The merges in a row that are bound to overshoot, as warnings.
/// @param settings  of the run file
std::vector<std::string> excessive_merges(Term const& row, merge::Settings const& settings);

/// What is thrown where a set is empty and the row has nothing that stands in for it.
struct EmptySet {};

/// The predictions that a row gives; open ones where a selection is not known. Adds the tasks that it needs.
/// @throws InputError for what is not there yet or does not fit
/// @throws EmptySet
work::Answer plan_row(Term const& row, Planning const& planning);

/// @throws InputError `WHAT (file:line:column) — REMEDY`
[[noreturn]] void fail(std::string const& what, Place const& place, std::string remedy = {});

/// `did you mean 'x'?`, or the candidates.
std::string suggestion(std::string_view word, std::vector<std::string> const& candidates);

}  // namespace samner::plan
