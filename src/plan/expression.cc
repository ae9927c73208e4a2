#include "plan/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/yaml.h"
#include "merge/method.h"

namespace samner::plan {
namespace {

using Types = std::vector<Type>;

struct Parameter {
    std::string name;
    Types types;
    std::string fallback = {};  ///< an expression; empty: must be given, or may be absent when `optional`
    bool optional = false;
    std::vector<std::string> choices = {};  ///< of a name; empty: any
};

struct Operator {
    Type result;
    std::vector<Parameter> parameters;
    std::size_t repeats = 0;  ///< the only parameter is given this many times or more; 0: it is not repeated
};

/// Those that merge LoRA factors: model_stock needs an origin, which only its svd form has.
std::vector<std::string> merge_methods() {
    auto names = merge::method_names();
    std::erase(names, "model_stock");
    return names;
}

Types const sets{Type::set, Type::pool};
Types const answers{Type::predictions, Type::model};

std::map<std::string, Operator> const& operators() {
    using enum Type;
    static std::map<std::string, Operator> const table{
        {"pool", {pool, {{"experts", {name, pool}}}, 1}},
        {"mix", {pool, {{"pool", {pool}}, {"clusters", {number}}}}},
        {"without", {pool, {{"pool", {pool}}, {"expert", {name}}}}},
        {"select",
         {set,
          {{"pool", {pool}},
           {"metric", {name}, "", false, {"similarity", "sampling", "fused"}},
           {"m", {number}, "3"},
           {"k", {number}, "10"}}}},
        {"unite", {set, {{"first", sets}, {"second", sets}, {"cut", {number}, "", true}}}},
        {"intersect", {set, {{"first", sets}, {"second", sets}, {"if_empty", {name}, "fused", false, {"fused"}}}}},
        {"merge",
         {model,
          {{"set", sets},
           {"how", {name}, "ties", false, merge_methods()},
           {"weights", {name, list}, "equal", false, {"equal", "metric"}}}}},
        {"unified", {model, {{"pool", {pool}}}}},
        {"expert", {model, {{"pool", {pool}}, {"which", {name, number}}}}},
        {"base", {model, {}}},
        {"best_by_gold", {predictions, {{"pool", {pool}}}}},
        {"union", {predictions, {{"predictions", answers}}, 1}},
        {"each", {runs, {{"pool", {pool}}}}},
        {"sample", {runs, {{"model", {model}}, {"n", {number}, "5"}, {"temperature", {number}, "0.7"}}}},
        {"vote", {predictions, {{"runs", {runs}}}}},
        {"split",
         {predictions,
          {{"what", {name}, "", false, {"target", "pooled"}}, {"clusters", {number}}, {"system", answers}}}},
    };
    return table;
}

[[noreturn]] void fail(std::string const& what, Place const& place, std::string remedy = {}) {
    throw InputError{fmt::format("{} ({})", what, place.text()), std::move(remedy)};
}

std::string suggestion(std::string_view word, std::vector<std::string> const& candidates) {
    if (auto const near = did_you_mean(word, candidates)) return fmt::format("did you mean '{}'?", *near);
    return fmt::format("use one of {}", fmt::join(candidates, ", "));
}

std::size_t whole(Term const& number, std::string_view what) {
    if (number.number < 1 || number.number > 1e6 || number.number != std::floor(number.number))
        fail(fmt::format("{} is {}", what, number.number), number.place, "give a whole number of 1 or more");
    return static_cast<std::size_t>(number.number);
}

std::vector<std::string> experts_of(Term const& pool) {
    std::vector<std::string> result;
    if (pool.op == "without") {
        result = experts_of(*pool.argument("pool"));
        auto const out = pool.argument("expert");
        if (out->name == "target") return result;  // known per target only
        if (std::erase(result, out->name) == 0)
            fail(fmt::format("'{}' is not in the pool", out->name), out->place, suggestion(out->name, result));
    } else if (pool.op == "mix") {
        for (std::size_t i = 1; i <= whole(*pool.argument("clusters"), "mix's number of clusters"); ++i)
            result.push_back(std::to_string(i));
    } else {
        for (auto const& item : pool.all("experts")) {
            if (item->type == Type::name)
                result.push_back(item->name);
            else
                std::ranges::copy(experts_of(*item), std::back_inserter(result));
        }
    }
    return result;
}

/// What the types alone do not say.
void check_values(Term const& term) {
    if (term.op == "pool") {
        std::set<std::string> seen;
        for (auto const& name : experts_of(term))
            if (!seen.insert(name).second)
                fail(fmt::format("expert '{}' is named twice", name), term.place, "name each expert of a pool once");
    } else if (term.op == "select") {
        auto const size = pool_size(*term.argument("pool"));
        auto const m = term.argument("m");
        if (whole(*m, "m") > size)
            fail(fmt::format("m is {}, but the pool has {} experts", m->number, size), m->place, "choose a smaller m");
        whole(*term.argument("k"), "k");
    } else if (term.op == "expert") {
        auto const names = experts_of(*term.argument("pool"));
        auto const which = term.argument("which");
        if (which->type == Type::number) {
            if (whole(*which, "the expert's number") > names.size())
                fail(fmt::format("expert {} of a pool of {}", which->number, names.size()), which->place);
        } else if (std::ranges::find(names, which->name) == names.end()) {
            fail(fmt::format("'{}' is not in the pool", which->name), which->place, suggestion(which->name, names));
        }
    } else if (term.op == "without" || term.op == "mix") {
        if (experts_of(term).empty()) fail("the pool is empty", term.place);
    } else if (term.op == "sample") {
        whole(*term.argument("n"), "n");
        auto const temperature = term.argument("temperature");
        if (temperature->number <= 0) fail("the temperature is not above 0", temperature->place);
    } else if (term.op == "split") {
        whole(*term.argument("clusters"), "split's number of clusters");
    } else if (term.op == "unite") {
        if (auto const cut = term.argument("cut")) whole(*cut, "cut");
    } else if (term.op == "merge") {
        for (auto const& weight : term.argument("weights")->arguments)
            if (weight.second->type != Type::number) fail("a weight is not a number", weight.second->place);
    }
}

class Checker {
public:
    using Scope = std::map<std::string, Term::Ptr>;
    explicit Checker(std::map<std::string, Definition> const& definitions) : definitions_{definitions} {}

    Term::Ptr check(Syntax const& node, Scope const& scope) {
        switch (node.kind) {
            case Syntax::Kind::number:
                return make({.type = Type::number,
                             .op = {},
                             .number = node.number,
                             .name = {},
                             .arguments = {},
                             .place = node.place});
            case Syntax::Kind::list: {
                Term list{.type = Type::list, .op = {}, .number = 0, .name = {}, .arguments = {}, .place = node.place};
                for (auto const& item : node.arguments) list.arguments.emplace_back("", check(*item.value, scope));
                return make(std::move(list));
            }
            case Syntax::Kind::word:
                if (auto const bound = scope.find(node.word); bound != scope.end()) return bound->second;
                if (definitions_.contains(node.word)) {
                    if (definitions_.at(node.word).function)
                        fail(fmt::format("'{}' is a function", node.word), node.place,
                             fmt::format("write {}()", node.word));
                    return expand(node, scope);
                }
                if (node.word == "base") return apply(node, scope);
                return make({.type = Type::name,
                             .op = {},
                             .number = 0,
                             .name = node.word,
                             .arguments = {},
                             .place = node.place});
            case Syntax::Kind::call:
                break;
        }
        return definitions_.contains(node.word) ? expand(node, scope) : apply(node, scope);
    }

private:
    static Term::Ptr make(Term term) { return std::make_shared<Term const>(std::move(term)); }

    /// Gives each argument its parameter. @return values by parameter index, null where none was given
    template <class Parameters>
    std::vector<Term::Ptr> bind(Syntax const& call, Parameters const& parameters, Scope const& scope) {
        std::vector<Term::Ptr> values(parameters.size());
        std::size_t position = 0;
        for (auto const& argument : call.arguments) {
            std::size_t index = position++;
            if (!argument.keyword.empty()) {
                auto const found =
                    std::ranges::find(parameters, argument.keyword, [](auto const& p) { return p.name; });
                if (found == parameters.end()) {
                    std::vector<std::string> names;
                    for (auto const& p : parameters) names.push_back(p.name);
                    fail(fmt::format("'{}' has no parameter '{}'", call.word, argument.keyword), argument.value->place,
                         suggestion(argument.keyword, names));
                }
                index = static_cast<std::size_t>(found - parameters.begin());
            }
            if (index >= parameters.size())
                fail(fmt::format("'{}' takes at most {} arguments and was given {}", call.word, parameters.size(),
                                 call.arguments.size()),
                     argument.value->place);
            if (values[index])
                fail(fmt::format("parameter '{}' of '{}' is given twice", parameters[index].name, call.word),
                     argument.value->place);
            values[index] = check(*argument.value, scope);
        }
        return values;
    }

    Term::Ptr expand(Syntax const& call, Scope const& scope) {
        auto const& definition = definitions_.at(call.word);
        if (!definition.function && call.kind == Syntax::Kind::call)
            fail(fmt::format("'{}' is not a function", call.word), call.place, fmt::format("write {}", call.word));
        if (!active_.insert(call.word).second) fail(fmt::format("'{}' is defined by itself", call.word), call.place);
        // Arguments are checked outside of the definition, so that f(f(x)) is no recursion.
        active_.erase(call.word);
        auto values = bind(call, definition.parameters, scope);
        active_.insert(call.word);
        Scope inner;
        for (std::size_t i = 0; i < values.size(); ++i) {
            auto const& parameter = definition.parameters[i];
            if (!values[i] && !parameter.fallback)
                fail(fmt::format("parameter '{}' of '{}' is missing", parameter.name, call.word), call.place);
            inner[parameter.name] = values[i] ? values[i] : check(*parameter.fallback, {});
        }
        auto result = check(*definition.body, inner);
        active_.erase(call.word);
        return result;
    }

    Term::Ptr apply(Syntax const& call, Scope const& scope) {
        auto const found = operators().find(call.word);
        if (found == operators().end()) {
            std::vector<std::string> names;
            for (auto const& [name, definition] : definitions_) names.push_back(name);
            for (auto const& [name, op] : operators()) names.push_back(name);
            fail(fmt::format("unknown operator '{}'", call.word), call.place, suggestion(call.word, names));
        }
        auto const& op = found->second;
        Term term{.type = op.result, .op = call.word, .number = 0, .name = {}, .arguments = {}, .place = call.place};
        if (op.repeats > 0) {
            if (call.arguments.size() < op.repeats)
                fail(fmt::format("'{}' needs {} or more arguments", call.word, op.repeats), call.place);
            for (auto const& argument : call.arguments) {
                if (!argument.keyword.empty())
                    fail(fmt::format("'{}' takes no keywords", call.word), argument.value->place);
                add(term, op.parameters[0], check(*argument.value, scope));
            }
        } else {
            auto const values = bind(call, op.parameters, scope);
            for (std::size_t i = 0; i < values.size(); ++i) {
                auto const& parameter = op.parameters[i];
                if (values[i])
                    add(term, parameter, values[i]);
                else if (!parameter.fallback.empty())
                    add(term, parameter, check(*parse_expression(parameter.fallback, call.place), {}));
                else if (!parameter.optional)
                    fail(fmt::format("parameter '{}' of '{}' is missing", parameter.name, call.word), call.place);
            }
        }
        check_values(term);
        return make(std::move(term));
    }

    static void add(Term& term, Parameter const& parameter, Term::Ptr value) {
        if (std::ranges::find(parameter.types, value->type) == parameter.types.end()) {
            std::vector<std::string_view> wanted;
            for (auto const type : parameter.types) wanted.push_back(type_name(type));
            fail(fmt::format("'{}' of '{}' is a {}{}", parameter.name, term.op, type_name(value->type),
                             value->type == Type::name ? fmt::format(" ('{}')", value->name) : ""),
                 value->place, fmt::format("give a {}", fmt::join(wanted, " or ")));
        }
        if (value->type == Type::name && !parameter.choices.empty() &&
            std::ranges::find(parameter.choices, value->name) == parameter.choices.end())
            fail(fmt::format("'{}' of '{}' is '{}'", parameter.name, term.op, value->name), value->place,
                 suggestion(value->name, parameter.choices));
        term.arguments.emplace_back(parameter.name, std::move(value));
    }

    std::map<std::string, Definition> const& definitions_;
    std::set<std::string> active_;
};

}  // namespace

std::string_view type_name(Type type) {
    constexpr std::string_view names[]{"pool",   "set",  "model", "predictions", "list of predictions",
                                       "number", "name", "list"};
    return names[static_cast<std::size_t>(type)];
}

Term::Ptr Term::argument(std::string const& parameter) const {
    auto const found = std::ranges::find(arguments, parameter, [](auto const& a) { return a.first; });
    return found == arguments.end() ? nullptr : found->second;
}

std::vector<Term::Ptr> Term::all(std::string const& parameter) const {
    std::vector<Ptr> result;
    for (auto const& [key, value] : arguments)
        if (key == parameter) result.push_back(value);
    return result;
}

Json Term::json() const {
    if (type == Type::number) return number;
    if (type == Type::name) return name;
    Json items = Json::array();
    for (auto const& [key, value] : arguments)
        items.push_back(key.empty() ? value->json() : Json{{key, value->json()}});
    return type == Type::list ? items : Json{{"op", op}, {"arguments", std::move(items)}};
}

std::string Term::text() const {
    if (type == Type::number) return fmt::format("{}", number);
    if (type == Type::name) return name;
    bool const by_position = type == Type::list || operators().at(op).repeats > 0;
    std::vector<std::string> items;
    for (auto const& [key, value] : arguments) items.push_back(by_position ? value->text() : key + "=" + value->text());
    auto const inside = fmt::format("{}", fmt::join(items, ", "));
    return type == Type::list ? "[" + inside + "]" : fmt::format("{}({})", op, inside);
}

void Definitions::add(std::string const& name, Definition definition, Place const& place) {
    if (operators().contains(name)) fail(fmt::format("'{}' is an operator and cannot be defined", name), place);
    if (!definitions_.emplace(name, std::move(definition)).second)
        fail(fmt::format("'{}' is defined twice", name), place, "choose another name");
}

Term::Ptr Definitions::check(SyntaxPtr const& expression) const {
    return Checker{definitions_}.check(*expression, {});
}

Term::Ptr Definitions::check_row(SyntaxPtr const& expression) const {
    auto term = check(expression);
    if (term->type != Type::model && term->type != Type::predictions)
        fail(fmt::format("the row is a {}", type_name(term->type)), term->place, "a row is a model or predictions");
    return term;
}

std::size_t pool_size(Term const& pool) {
    return experts_of(pool).size();
}

}  // namespace samner::plan
