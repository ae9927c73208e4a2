#include "plan/operators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/yaml.h"
#include "merge/method.h"

namespace samner::plan {
namespace {

std::int64_t whole(Term const& number, std::string_view what) {
    if (number.number < 1 || number.number > 1e6 || number.number != std::floor(number.number))
        fail(fmt::format("{} is {}", what, number.number), number.place, "give a whole number of 1 or more");
    return static_cast<std::int64_t>(number.number);
}

template <class Plan>
Plan planned(Term const& term) {
    auto const& entry = operators().at(term.op);
    if (auto const* const plan = std::get_if<Plan>(&entry.plan)) return *plan;
    fail(fmt::format("'{}' is not there yet", term.op), term.place, "leave this row out");
}

std::vector<std::string> names_of(std::vector<Expert> const& experts) {
    std::vector<std::string> names;
    for (auto const& expert : experts) names.push_back(expert.name);
    return names;
}

/// A pool, with equal metrics, or a set.
std::optional<std::vector<Chosen>> set_of(Term const& term, Planning const& planning) {
    if (term.type != Type::pool) return planned<PlanSet>(term)(term, planning);
    std::vector<Chosen> all;
    for (auto& expert : experts_of(term, planning.context.target)) all.push_back({std::move(expert), 1.0});
    return all;
}

std::optional<Model> model_of(Term const& term, Planning const& planning) {
    return planned<PlanModel>(term)(term, planning);
}

/// Predictions, or those of a model on the target.
work::Answer answer_of(Term const& term, Planning const& planning) {
    if (term.type != Type::model) return planned<PlanAnswer>(term)(term, planning);
    auto const model = model_of(term, planning);
    return work::Answer::stored(model ? planning.graph.infer(*model, planning.context) : std::string{});
}

std::vector<work::Answer> answers_of_experts(Term const& pool, Planning const& planning) {
    std::vector<work::Answer> answers;
    for (auto const& expert : experts_of(pool, planning.context.target)) {
        Model const model{planning.graph.train({expert}, planning.context.seeds), expert.name};
        answers.push_back(work::Answer::stored(planning.graph.infer(model, planning.context)));
    }
    return answers;
}

// pool

std::vector<Expert> plan_pool(Term const& term, std::string const& target) {
    std::vector<Expert> experts;
    for (auto const& item : term.all("experts")) {
        if (item->type == Type::name) {
            experts.push_back({item->name, {{item->name}}});
        } else {
            std::ranges::move(experts_of(*item, target), std::back_inserter(experts));
        }
    }
    return experts;
}

void check_pool(Term const& term) {
    std::set<std::string> seen;
    for (auto const& name : names_of(experts_of(term))) {
        if (!seen.insert(name).second)
            fail(fmt::format("expert '{}' is named twice", name), term.place, "name each expert of a pool once");
    }
}

// mix

std::vector<Expert> plan_mix(Term const& term, std::string const& target) {
    auto const clusters = whole(*term.argument("clusters"), "mix's number of clusters");
    auto const domains = experts_of(*term.argument("pool"), target);
    std::vector<Expert> experts;
    for (std::int64_t i = 0; i < clusters; ++i) {
        auto& expert = experts.emplace_back();
        expert.name = fmt::format("{}[{}]", term.text(), i + 1);
        for (auto const& domain : domains) expert.shares.push_back({domain.name, clusters, i});
    }
    return experts;
}

void check_mix(Term const& term) {
    whole(*term.argument("clusters"), "mix's number of clusters");
    auto const experts = experts_of(*term.argument("pool"));
    if (experts.empty()) fail("the pool is empty", term.place);
    for (auto const& expert : experts) {
        if (expert.mixed())
            fail(fmt::format("a mix of mixed experts ({})", expert.name), term.place, "mix experts of the run file");
    }
}

// without

std::vector<Expert> plan_without(Term const& term, std::string const& target) {
    auto experts = experts_of(*term.argument("pool"), target);
    auto const out = term.argument("expert")->name;
    std::erase_if(experts, [&](Expert const& expert) { return expert.name == (out == "target" ? target : out); });
    if (experts.empty()) {
        fail(target.empty() ? "the pool is empty" : fmt::format("the pool is empty for the target '{}'", target),
             term.place);
    }
    return experts;
}

void check_without(Term const& term) {
    auto const out = term.argument("expert");
    auto const names = names_of(experts_of(*term.argument("pool")));
    if (out->name != "target" && std::ranges::find(names, out->name) == names.end())
        fail(fmt::format("'{}' is not in the pool", out->name), out->place, suggestion(out->name, names));
    experts_of(term);  // fails for an empty one
}

// select

std::optional<std::vector<Chosen>> plan_select(Term const& term, Planning const& planning) {
    auto const m = whole(*term.argument("m"), "m");
    auto const experts = experts_of(*term.argument("pool"), planning.context.target);
    if (m > std::ssize(experts)) {
        fail(fmt::format("m is {}, but the pool has {} experts for the target '{}'", m, experts.size(),
                         planning.context.target),
             term.place, "choose a smaller m");
    }
    auto const metric = value_named<work::Metric>(term.argument("metric")->name, "metric", term.place.text());
    auto const key = planning.graph.select(metric, m, whole(*term.argument("k"), "k"), experts, planning.context);
    auto const* const selection = planning.graph.selection(key);
    if (!selection) {
        planning.open.insert(key);
        return std::nullopt;
    }
    std::vector<Chosen> chosen;
    for (auto const& name : selection->chosen) {
        auto const expert = std::ranges::find(experts, name, &Expert::name);
        if (expert == experts.end()) throw Error{fmt::format("'{}' was selected from a pool without it", name)};
        chosen.push_back({*expert, selection->metrics.at(name)});
    }
    return chosen;
}

void check_select(Term const& term) {
    auto const size = experts_of(*term.argument("pool")).size();
    auto const m = term.argument("m");
    if (std::cmp_greater(whole(*m, "m"), size))
        fail(fmt::format("m is {}, but the pool has {} experts", m->number, size), m->place, "choose a smaller m");
    whole(*term.argument("k"), "k");
}

// merge

/// Those that merge LoRA factors: model_stock needs an origin, which only its svd form has.
std::vector<std::string> factor_methods() {
    auto names = merge::method_names();
    std::erase(names, "model_stock");
    return names;
}

std::vector<double> weights_of(Term const& weights, std::vector<Chosen> const& experts) {
    std::vector<double> result(experts.size(), 1.0);
    if (weights.type == Type::list) {
        if (weights.arguments.size() != experts.size()) {
            fail(fmt::format("{} weights for {} experts", weights.arguments.size(), experts.size()), weights.place,
                 "give one weight an expert, best first");
        }
        for (std::size_t i = 0; i < result.size(); ++i) result[i] = weights.arguments[i].second->number;
    } else if (weights.name == "metric") {
        std::vector<double> metrics;
        for (auto const& expert : experts) metrics.push_back(expert.metric);
        std::ranges::sort(metrics);
        auto const middle = metrics[metrics.size() / 2];
        for (std::size_t i = 0; i < result.size(); ++i) result[i] = middle != 0 ? experts[i].metric / middle : 1.0;
    }
    return result;
}

template <class T>
struct SettingValue {
    using type = T;
};
template <class T>
struct SettingValue<std::optional<T>> {
    using type = T;
};

/// What `merge` takes: the set, the method, weights, and each setting of a merge, for which the run file gives the
/// value where it is left out.
std::vector<Parameter> merge_parameters() {
    using enum Type;
    std::vector<Parameter> parameters{
        {"set", {set, pool}},
        {"how", {name}, "ties", false, factor_methods()},
        {"weights", {name, list}, "equal", false, {"equal", "metric"}},
    };
    merge::for_each_setting([&]<class T, class Option>(merge::Setting<T, Option> const& setting) {
        Parameter parameter{std::string{setting.name}, {number}, "", true};
        using Value = typename SettingValue<T>::type;
        if constexpr (NamedEnum<Value>) {
            parameter.types = {name};
            for (auto const& [text, value] : enum_names(static_cast<Value const*>(nullptr)))
                parameter.choices.emplace_back(text);
        }
        parameters.push_back(std::move(parameter));
    });
    return parameters;
}

/// @param settings  where the term says nothing
merge::Settings settings_of(Term const& term, merge::Settings settings) {
    merge::for_each_setting([&](auto const& setting) {
        auto const value = term.argument(std::string{setting.name});
        if (!value) return;
        Json given = value->name;
        if (value->type == Type::number) {
            auto const number = value->number;
            given = std::trunc(number) == number && std::abs(number) < 1e15 ? Json(static_cast<std::int64_t>(number))
                                                                            : Json(number);
        }
        settings.set(setting.name, given, value->place.text());
    });
    return settings;
}

/// `ties(travel, zoo)`, and behind the experts the settings that the row gives.
std::string name_of_merge(Term const& term, std::vector<std::string> const& experts) {
    auto name = fmt::format("{}({}", term.argument("how")->name, fmt::join(experts, ", "));
    merge::for_each_setting([&](auto const& setting) {
        if (auto const value = term.argument(std::string{setting.name}))
            name += fmt::format(", {}={}", setting.name, value->text());
    });
    return name + ")";
}

std::optional<Model> plan_merge(Term const& term, Planning const& planning) {
    auto const experts = set_of(*term.argument("set"), planning);
    if (!experts) return std::nullopt;
    auto const weights = weights_of(*term.argument("weights"), *experts);
    std::vector<std::pair<std::string, double>> adapters;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < experts->size(); ++i) {
        auto const& expert = (*experts)[i].expert;
        adapters.emplace_back(planning.graph.train({expert}, planning.context.seeds), weights[i]);
        names.push_back(expert.name);
    }
    auto const how = term.argument("how");
    auto const method = merge::parse_method(how->name);
    auto const settings = settings_of(term, planning.graph.run().merge);
    try {
        if (adapters.size() == 1 && weights.front() == 1 &&
            merge::keeps_single_adapter(merge::of_method(settings, method, 0).options()))
            return Model{adapters.front().first, names.front()};
        return Model{planning.graph.merge(method, settings, std::move(adapters), names, planning.context.seeds),
                     name_of_merge(term, names)};
    } catch (InputError const& error) {
        fail(error.what(), how->place, error.remedy());
    }
}

void check_merge(Term const& term) {
    for (auto const& [none, weight] : term.argument("weights")->arguments) {
        if (weight->type != Type::number) fail("a weight is not a number", weight->place);
    }
    auto const how = term.argument("how")->name;
    merge::for_each_setting([&](auto const& setting) {
        auto const value = term.argument(std::string{setting.name});
        if (value && !setting.used_by(merge::parse_method(how)))
            fail(fmt::format("'{}' has no influence on {}", setting.name, how), value->place, "leave it out");
    });
    settings_of(term, {});  // whether each can have its value
}

// unified, expert, base

std::optional<Model> plan_unified(Term const& term, Planning const& planning) {
    auto experts = experts_of(*term.argument("pool"), planning.context.target);
    std::ranges::sort(experts, {}, &Expert::name);
    return Model{planning.graph.train(experts, planning.context.seeds), "unified"};
}

std::optional<Model> plan_expert(Term const& term, Planning const& planning) {
    auto const experts = experts_of(*term.argument("pool"), planning.context.target);
    auto const which = term.argument("which");
    auto const found =
        which->type == Type::number
            ? experts.begin() + std::min<std::ptrdiff_t>(whole(*which, "the expert's number") - 1, std::ssize(experts))
            : std::ranges::find(experts, which->name, &Expert::name);
    if (found == experts.end()) {
        fail(fmt::format("the pool has no such expert for the target '{}'", planning.context.target), which->place);
    }
    return Model{planning.graph.train({*found}, planning.context.seeds), found->name};
}

void check_expert(Term const& term) {
    auto const names = names_of(experts_of(*term.argument("pool")));
    auto const which = term.argument("which");
    if (which->type == Type::number) {
        if (std::cmp_greater(whole(*which, "the expert's number"), names.size()))
            fail(fmt::format("expert {} of a pool of {}", which->number, names.size()), which->place);
    } else if (std::ranges::find(names, which->name) == names.end()) {
        fail(fmt::format("'{}' is not in the pool", which->name), which->place, suggestion(which->name, names));
    }
}

std::optional<Model> plan_base(Term const&, Planning const&) {
    return Model{std::nullopt, "base"};
}

// predictions

work::Answer plan_union(Term const& term, Planning const& planning) {
    std::vector<work::Answer> parts;  // all of them, so that all their tasks are known
    for (auto const& part : term.all("predictions")) parts.push_back(answer_of(*part, planning));
    return work::Answer::of(work::Answer::Kind::unite, std::move(parts));
}

work::Answer plan_best_by_gold(Term const& term, Planning const& planning) {
    return work::Answer::of(work::Answer::Kind::best_by_gold, answers_of_experts(*term.argument("pool"), planning));
}

std::vector<work::Answer> plan_each(Term const& term, Planning const& planning) {
    return answers_of_experts(*term.argument("pool"), planning);
}

work::Answer plan_vote(Term const& term, Planning const& planning) {
    auto const runs = term.argument("runs");
    return work::Answer::of(work::Answer::Kind::vote, planned<PlanAnswers>(*runs)(*runs, planning));
}

// not there yet

void check_unite(Term const& term) {
    if (auto const cut = term.argument("cut")) whole(*cut, "cut");
}

void check_sample(Term const& term) {
    whole(*term.argument("n"), "n");
    auto const temperature = term.argument("temperature");
    if (temperature->number <= 0) fail("the temperature is not above 0", temperature->place);
}

void check_split(Term const& term) {
    whole(*term.argument("clusters"), "split's number of clusters");
}

}  // namespace

std::map<std::string, Operator, std::less<>> const& operators() {
    using enum Type;
    static std::vector<Type> const sets{set, pool};
    static std::vector<Type> const answers{predictions, model};
    static std::map<std::string, Operator, std::less<>> const table{
        {"pool", {pool, {{"experts", {name, pool}}}, 1, plan_pool, check_pool}},
        {"mix", {pool, {{"pool", {pool}}, {"clusters", {number}}}, 0, plan_mix, check_mix}},
        {"without", {pool, {{"pool", {pool}}, {"expert", {name}}}, 0, plan_without, check_without}},
        {"select",
         {set,
          {{"pool", {pool}},
           {"metric", {name}, "", false, {"similarity", "sampling", "fused"}},
           {"m", {number}, "3"},
           {"k", {number}, "10"}},
          0,
          plan_select,
          check_select}},
        {"unite", {set, {{"first", sets}, {"second", sets}, {"cut", {number}, "", true}}, 0, {}, check_unite}},
        {"intersect", {set, {{"first", sets}, {"second", sets}, {"if_empty", {name}, "fused", false, {"fused"}}}}},
        {"merge", {model, merge_parameters(), 0, plan_merge, check_merge}},
        {"unified", {model, {{"pool", {pool}}}, 0, plan_unified}},
        {"expert", {model, {{"pool", {pool}}, {"which", {name, number}}}, 0, plan_expert, check_expert}},
        {"base", {model, {}, 0, plan_base}},
        {"best_by_gold", {predictions, {{"pool", {pool}}}, 0, plan_best_by_gold}},
        {"union", {predictions, {{"predictions", answers}}, 1, plan_union}},
        {"each", {runs, {{"pool", {pool}}}, 0, plan_each}},
        {"sample",
         {runs, {{"model", {model}}, {"n", {number}, "5"}, {"temperature", {number}, "0.7"}}, 0, {}, check_sample}},
        {"vote", {predictions, {{"runs", {runs}}}, 0, plan_vote}},
        {"split",
         {predictions,
          {{"what", {name}, "", false, {"target", "pooled"}}, {"clusters", {number}}, {"system", answers}},
          0,
          {},
          check_split}},
    };
    return table;
}

std::vector<Expert> experts_of(Term const& pool, std::string const& target) {
    return planned<PlanPool>(pool)(pool, target);
}

work::Answer plan_row(Term const& row, Planning const& planning) {
    return answer_of(row, planning);
}

void fail(std::string const& what, Place const& place, std::string remedy) {
    throw InputError{fmt::format("{} ({})", what, place.text()), std::move(remedy)};
}

std::string suggestion(std::string_view word, std::vector<std::string> const& candidates) {
    if (auto const near = did_you_mean(word, candidates)) return fmt::format("did you mean '{}'?", *near);
    return fmt::format("use one of {}", fmt::join(candidates, ", "));
}

}  // namespace samner::plan
