#include "plan/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "plan/operators.h"

namespace samner::plan {
namespace {

class Checker {
public:
    using Scope = std::map<std::string, Term::Ptr>;
    /// @param made  counts the terms that are made
    Checker(std::map<std::string, Definition> const& definitions, std::size_t& made)
        : definitions_{definitions}, made_{made} {}

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
    Term::Ptr make(Term term) {
        constexpr std::size_t most = 1'000'000;
        if (++made_ > most)
            fail(fmt::format("the rows expand to more than {} parts", most), term.place,
                 "use fewer rows, or definitions that hold less of one another");
        return std::make_shared<Term const>(std::move(term));
    }

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
        if (op.check) op.check(term);
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
    std::size_t& made_;
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
    return Checker{definitions_, made_}.check(*expression, {});
}

Term::Ptr Definitions::check_row(SyntaxPtr const& expression) const {
    auto term = check(expression);
    if (term->type != Type::model && term->type != Type::predictions)
        fail(fmt::format("the row is a {}", type_name(term->type)), term->place, "a row is a model or predictions");
    return term;
}

}  // namespace samner::plan
