#include "plan/operators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "core/yaml.h"
#include "merge/method.h"
#include "merge/overshoot.h"

namespace samner::plan {
namespace {

std::int64_t whole(Term const& number, std::string_view what) {
    if (number.number < 1 || number.number > 1e6 || number.number != std::floor(number.number))
        fail(fmt::format("{} is {}", what, number.number), number.place, "give a whole number of 1 or more");
    return static_cast<std::int64_t>(number.number);
}

void check_temperature(Term const& temperature) {
    if (!(temperature.number > 0)) fail("the temperature is not above 0", temperature.place);
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

/// A pool, in which each data set has one expert.
std::vector<Expert> pool_of(Term const& term, Planning const& planning) {
    return planning.graph.set_apart(experts_of(term, planning.context.target));
}

/// A pool, with equal metrics, or a set.
std::optional<std::vector<Chosen>> set_of(Term const& term, Planning const& planning) {
    if (term.type != Type::pool) return planned<PlanSet>(term)(term, planning);
    std::vector<Chosen> all;
    for (auto& expert : pool_of(term, planning)) all.push_back({std::move(expert), 1.0});
    return all;
}

std::optional<Model> model_of(Term const& term, Planning const& planning) {
    return planned<PlanModel>(term)(term, planning);
}

/// What an answer of a model that is not known yet waits for.
std::string awaited(Term const& model, Planning const& planning, std::string const& how = {}) {
    auto const& context = planning.context;
    return fmt::format("{} {} {} {}", model.text(), how, canonical(to_wire(context.texts)),
                       canonical(to_wire(context.seeds)));
}

/// Predictions, or those of a model on the target.
work::Answer answer_of(Term const& term, Planning const& planning) {
    if (term.type != Type::model) return planned<PlanAnswer>(term)(term, planning);
    auto const model = model_of(term, planning);
    if (!model) return work::Answer::awaiting(awaited(term, planning));
    return work::Answer::stored(planning.graph.infer(*model, planning.context));
}

std::vector<work::Answer> answers_of_experts(Term const& pool, Planning const& planning) {
    std::vector<work::Answer> answers;
    for (auto const& expert : pool_of(pool, planning)) {
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

/// That no more experts are asked for than the pool has for any target.
void check_m(Term const& term) {
    auto const size = experts_of(*term.argument("pool")).size();
    auto const m = term.argument("m");
    if (m->type == Type::name) return;  // a rule
    if (std::cmp_greater(whole(*m, "m"), size))
        fail(fmt::format("m is {}, but the pool has {} experts", m->number, size), m->place, "choose a smaller m");
}

/// That no more are asked for than the pool has for this target.
void fits_pool(std::int64_t m, std::vector<Expert> const& pool, Term const& given, Planning const& planning) {
    if (m <= std::ssize(pool)) return;
    fail(fmt::format("m is {}, but the pool has {} experts for the target '{}'", m, pool.size(),
                     planning.context.target),
         given.place, "choose a smaller m");
}

/// What a selection has found; nothing while it is open.
std::optional<std::vector<Chosen>> selected(Planning const& planning, work::Metric metric,
                                            std::variant<std::int64_t, work::Rule> m, Evaluation const& evaluation,
                                            std::vector<Expert> const& experts) {
    auto const key = planning.graph.select(metric, m, evaluation, experts, planning.context);
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

work::Metric metric_of(Term const& select) {
    auto const metric = select.argument("metric");
    return value_named<work::Metric>(metric->name, "metric", metric->place.text());
}

Evaluation evaluation_of(Term const& select) {
    Evaluation evaluation{whole(*select.argument("k"), "k")};
    auto const answers = select.argument("answers");
    if (!answers || whole(*answers, "answers") == 1) return evaluation;
    evaluation.answers = whole(*answers, "answers");
    auto const temperature = select.argument("temperature");
    evaluation.temperature = temperature ? temperature->number : work::usual_temperature;
    return evaluation;
}

std::optional<std::vector<Chosen>> plan_select(Term const& term, Planning const& planning) {
    auto const experts = pool_of(*term.argument("pool"), planning);
    auto const metric = metric_of(term);
    auto const evaluation = evaluation_of(term);
    auto const& m = *term.argument("m");
    if (m.type == Type::name)
        return selected(planning, metric, value_named<work::Rule>(m.name, "m", m.place.text()), evaluation, experts);
    auto const number = whole(m, "m");
    fits_pool(number, experts, m, planning);
    return selected(planning, metric, number, evaluation, experts);
}

void check_select(Term const& term) {
    check_m(term);
    auto const several = evaluation_of(term).answers > 1;
    if (several && !work::by_sampling(metric_of(term)))
        fail(fmt::format("'answers' has no influence on {}, which samples no sentences", term.argument("metric")->name),
             term.argument("answers")->place, "leave it out, or select by sampling or fused");
    auto const temperature = term.argument("temperature");
    if (!temperature) return;
    if (!several)
        fail("'temperature' has no influence on a single answer, which is the most likely one", temperature->place,
             "leave it out, or give answers=2 or more");
    check_temperature(*temperature);
}

// random

std::optional<std::vector<Chosen>> plan_random(Term const& term, Planning const& planning) {
    auto experts = pool_of(*term.argument("pool"), planning);
    auto const m = whole(*term.argument("m"), "m");
    fits_pool(m, experts, *term.argument("m"), planning);
    std::ranges::sort(experts, {}, &Expert::name);  // a draw does not change with the order of the pool
    auto const& context = planning.context;
    auto const purpose =
        fmt::format("random experts/{}/{}", context.texts.name(), whole(*term.argument("draw"), "draw"));
    auto order = RandomStream{context.seeds.sample, purpose}.permutation(experts.size());
    order.resize(static_cast<std::size_t>(m));
    std::vector<Chosen> drawn;
    for (auto const i : order) drawn.push_back({experts[i], 1.0});
    return drawn;
}

void check_random(Term const& term) {
    check_m(term);
    whole(*term.argument("draw"), "draw");
}

// unite, intersect

/// By their best rank in one of two sets, those of the first before equal ones.
std::vector<Chosen> by_best_rank(std::vector<Chosen> const& first, std::vector<Chosen> const& second) {
    std::vector<Chosen> all;
    auto const take = [&](std::vector<Chosen> const& from, std::size_t rank) {
        if (rank >= from.size()) return;
        auto const known = [&](Chosen const& one) { return one.expert == from[rank].expert; };
        if (std::ranges::none_of(all, known)) all.push_back(from[rank]);
    };
    for (std::size_t rank = 0; rank < std::max(first.size(), second.size()); ++rank) {
        take(first, rank);
        take(second, rank);
    }
    return all;
}

bool holds(std::vector<Chosen> const& set, Expert const& expert) {
    return std::ranges::any_of(set, [&](Chosen const& one) { return one.expert == expert; });
}

std::optional<std::vector<Chosen>> plan_unite(Term const& term, Planning const& planning) {
    auto const first = set_of(*term.argument("first"), planning);
    auto const second =
        set_of(*term.argument("second"), planning);  // also where the first is open: all tasks are known
    if (!first || !second) return std::nullopt;
    auto all = by_best_rank(*first, *second);
    if (auto const cut = term.argument("cut"))
        all.resize(std::min(all.size(), static_cast<std::size_t>(whole(*cut, "cut"))));
    return all;
}

void check_unite(Term const& term) {
    if (auto const cut = term.argument("cut")) whole(*cut, "cut");
}

/// The experts among which a set is chosen, each once.
std::vector<Expert> candidates_of(Term const& term, Planning const& planning) {
    if (term.type == Type::pool) return pool_of(term, planning);
    if (auto const pool = term.argument("pool")) return candidates_of(*pool, planning);
    auto all = candidates_of(*term.argument("first"), planning);
    for (auto& expert : candidates_of(*term.argument("second"), planning)) {
        if (std::ranges::find(all, expert) == all.end()) all.push_back(std::move(expert));
    }
    return all;
}

/// Of the evaluations of the selections below, that of the most sentences; nothing: there is none.
std::optional<Evaluation> largest_evaluation(Term const& term) {
    if (samples(term)) return evaluation_of(term);
    std::optional<Evaluation> largest;
    for (auto const& [parameter, argument] : term.arguments) largest = std::max(largest, largest_evaluation(*argument));
    return largest;
}

std::optional<std::vector<Chosen>> plan_intersect(Term const& term, Planning const& planning) {
    auto const first = set_of(*term.argument("first"), planning);
    auto const second = set_of(*term.argument("second"), planning);
    if (!first || !second) return std::nullopt;
    auto both = by_best_rank(*first, *second);
    std::erase_if(both, [&](Chosen const& one) { return !holds(*first, one.expert) || !holds(*second, one.expert); });
    if (!both.empty()) return both;
    if (term.argument("if_empty")->name == "none") throw EmptySet{};
    return selected(planning, work::Metric::fused, std::int64_t{1}, largest_evaluation(term).value_or(Evaluation{}),
                    candidates_of(term, planning));
}

// merge

/// @param weights  a list
void require_weights(Term const& weights, std::size_t experts) {
    if (weights.arguments.size() != experts)
        fail(fmt::format("{} weights for {} experts", weights.arguments.size(), experts), weights.place,
             "give one weight an expert, best first");
}

std::vector<double> weights_of(Term const& weights, std::vector<Chosen> const& experts) {
    std::vector<double> result(experts.size(), 1.0);
    if (weights.type == Type::list) {
        require_weights(weights, experts.size());
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
        {.name = "set", .types = {set, pool}, .help = "What is merged; a pool as a whole, with equal metrics."},
        {.name = "how",
         .types = {name},
         .fallback = "ties",
         .choices = merge::method_names(),
         .help = "The [method](#methods-of-merging)."},
        {.name = "weights",
         .types = {name, list},
         .fallback = "equal",
         .choices = {"equal", "metric"},
         .help = "1 each (equal), by what the selection went by (metric: divided by the middle one), or a list of "
                 "numbers, one an expert, best first."},
    };
    merge::for_each_setting([&]<class T, class Option>(merge::Setting<T, Option> const& setting) {
        Parameter parameter{.name = std::string{setting.name}, .types = {number}, .optional = true};
        parameter.help = fmt::format("In place of the run file's `merge.{}`.", setting.name);
        using Value = typename SettingValue<T>::type;
        if constexpr (NamedEnum<Value>) {
            parameter.types = {name};
            parameter.choices = names_of_values<Value>();
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

/// Settings and method of a merge, of which nothing but the adapters is left to be known.
/// @param usual  settings where the term says nothing
/// @throws InputError with its place for what does not go together
std::pair<merge::Method, merge::Settings> method_and_settings(Term const& term, merge::Settings const& usual) {
    auto const how = term.argument("how");
    auto const method = merge::parse_method(how->name);
    auto const settings = settings_of(term, usual);
    auto const given = term.argument("space");
    auto const& place = given ? given->place : how->place;
    bool const delta = settings.space == merge::Space::delta;
    auto const plain = merge::to_string(merge::operator_of(method));
    if (delta && merge::is_svd(method)) {
        fail(fmt::format("{} brings updates back to a rank, and space is delta, which keeps them as they are",
                         how->name),
             place, fmt::format("use {}, or space=factor", plain));
    }
    if (delta && method == merge::Method::cat)
        fail("cat puts factors side by side, and space is delta, which has none", place,
             "use linear, which is the same sum there, or space=factor");
    if (!delta && method == merge::Method::model_stock)
        fail("model_stock needs the base as its origin, which factors do not have", place,
             "use model_stock_svd, or space=delta");
    try {
        merge::of_method(settings, method, 0).options();
    } catch (InputError const& error) {
        fail(error.what(), how->place, error.remedy());
    }
    return {method, settings};
}

std::optional<Model> plan_merge(Term const& term, Planning const& planning) {
    auto const [method, settings] = method_and_settings(term, planning.graph.run().merge);  // before any work
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
    if (adapters.size() == 1 && weights.front() == 1 &&
        merge::keeps_single_adapter(merge::of_method(settings, method, 0).options()))
        return Model{adapters.front().first, names.front()};
    try {
        return planning.graph.merge(method, settings, std::move(adapters), names, planning.context.seeds,
                                    name_of_merge(term, names));
    } catch (InputError const& error) {
        fail(error.what(), term.argument("how")->place, error.remedy());
    }
}

/// How many experts a set has; nothing where that depends on what is selected.
std::optional<std::size_t> size_of_set(Term const& set) {
    if (set.type == Type::pool) return experts_of(set).size();
    if (set.op == "select" || set.op == "random") {
        if (set.argument("m")->type == Type::name) return std::nullopt;
        return static_cast<std::size_t>(whole(*set.argument("m"), "m"));
    }
    return std::nullopt;
}

/// The weights of a merge before it is known what is merged: those by metric are 1 in the middle.
std::vector<double> expected_weights(Term const& merge) {
    auto const weights = merge.argument("weights");
    if (weights->type != Type::list) return std::vector(size_of_set(*merge.argument("set")).value_or(1), 1.0);
    std::vector<double> numbers;
    for (auto const& [none, weight] : weights->arguments) numbers.push_back(weight->number);
    return numbers;
}

std::optional<std::string> warning_of_merge(Term const& merge, merge::Settings const& settings) {
    auto const how = merge.argument("how");
    auto const of_row = settings_of(merge, settings);
    if (of_row.space == merge::Space::delta) return std::nullopt;  // the products are summed
    auto const options = merge::of_method(of_row, merge::parse_method(how->name), 0).options();
    auto const weights = expected_weights(merge);
    auto const sum = merge::excessive_weight(options, weights);
    if (!sum) return std::nullopt;
    return fmt::format(
        "{} adds up the factors of {} experts with weights that sum to {:.3g} ({}): the merged update will be far "
        "larger than theirs — give normalize=weights, or weights that sum to 1",
        how->name, weights.size(), *sum, merge.place.text());
}

void check_merge(Term const& term) {
    for (auto const& [none, weight] : term.argument("weights")->arguments) {
        if (weight->type != Type::number) fail("a weight is not a number", weight->place);
    }
    auto const set = term.argument("set");
    if (term.argument("weights")->type == Type::list && set->op == "select" && set->argument("m")->type == Type::name)
        fail("weights are listed for a set whose size is not known before", term.argument("weights")->place,
             "weigh by metric or equal, or give m as a number");
    auto const& weights = *term.argument("weights");
    if (auto const size = size_of_set(*set); weights.type == Type::list && size) require_weights(weights, *size);
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
    auto experts = pool_of(*term.argument("pool"), planning);
    std::ranges::sort(experts, {}, &Expert::name);
    return Model{planning.graph.train(experts, planning.context.seeds), "unified"};
}

std::optional<Model> plan_expert(Term const& term, Planning const& planning) {
    auto const experts = pool_of(*term.argument("pool"), planning);
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
    if (!planning.context.texts.has_gold())
        fail(fmt::format("best_by_gold on '{}', which has no gold", planning.context.target), term.place,
             "leave this row out, or give the target its gold");
    return work::Answer::of(work::Answer::Kind::best_by_gold, answers_of_experts(*term.argument("pool"), planning));
}

std::vector<work::Answer> plan_each(Term const& term, Planning const& planning) {
    return answers_of_experts(*term.argument("pool"), planning);
}

work::Answer plan_vote(Term const& term, Planning const& planning) {
    auto const runs = term.argument("runs");
    return work::Answer::of(work::Answer::Kind::vote, planned<PlanAnswers>(*runs)(*runs, planning));
}

std::vector<work::Answer> plan_sample(Term const& term, Planning const& planning) {
    auto const model = model_of(*term.argument("model"), planning);
    auto const temperature = term.argument("temperature")->number;
    std::vector<work::Answer> answers;
    for (std::int64_t i = 0; i < whole(*term.argument("n"), "n"); ++i) {
        work::Sampling const sampling{temperature, planning.context.seeds.sample, static_cast<std::uint64_t>(i)};
        if (model) {
            answers.push_back(work::Answer::stored(planning.graph.infer(*model, planning.context, sampling)));
        } else {
            auto const how = fmt::format("answer {} at {}", i + 1, temperature);
            answers.push_back(work::Answer::awaiting(awaited(*term.argument("model"), planning, how)));
        }
    }
    return answers;
}

void check_sample(Term const& term) {
    whole(*term.argument("n"), "n");
    check_temperature(*term.argument("temperature"));
}

work::Answer plan_split(Term const& term, Planning const& planning) {
    auto const what = term.argument("what");
    if (what->name == "pooled" && !planning.context.pooled)
        fail(fmt::format("the target '{}' is not pooled", planning.context.target), what->place,
             "split target, or give the experiment the targets {pooled: [...]}");
    auto const clusters = whole(*term.argument("clusters"), "split's number of clusters");
    auto const& system = *term.argument("system");
    if (clusters == 1) return answer_of(system, planning);
    work::Answer answer{.kind = work::Answer::Kind::clusters};
    try {
        answer.key = planning.graph.cluster(planning.context, clusters);
    } catch (InputError const& error) {
        fail(error.what(), term.argument("clusters")->place, error.remedy());
    }
    for (std::int64_t i = 0; i < clusters; ++i) {
        auto part = planning.context;
        part.texts = part.texts.with(work::OfCluster{{answer.key}, i});
        part.sentences = (part.sentences + clusters - 1) / clusters;  // expected
        answer.parts.push_back(answer_of(system, {planning.graph, part, planning.open}));
    }
    return answer;
}

void check_split(Term const& term) {
    whole(*term.argument("clusters"), "split's number of clusters");
}

}  // namespace

std::map<std::string, Operator, std::less<>> const& operators() {
    using enum Type;
    static std::vector<Type> const sets{set, pool};
    static std::vector<Type> const answers{predictions, model};
    static std::string const whole_number = "A whole number, 1 or more.";
    static std::map<std::string, Operator, std::less<>> const table{
        {"pool",
         {.result = pool,
          .help = "Experts of the run file, in the order of the arguments.",
          .example = "pool(three, stem)",
          .parameters = {{.name = "experts",
                          .types = {name, pool},
                          .help = "Names of experts, and pools, which stand for their experts; each expert once."}},
          .repeats = 1,
          .plan = plan_pool,
          .check = check_pool}},
        {"mix",
         {.result = pool,
          .help = "Mixed experts (Table 9): k-means splits each domain's samples by their embeddings, and expert i is "
                  "trained on cluster i of every domain.",
          .example = "mix(six, 5)",
          .parameters = {{.name = "pool", .types = {pool}, .help = "Experts that are trained on one domain each."},
                         {.name = "clusters",
                          .types = {number},
                          .help = "Clusters of a domain, and experts of the result. " + whole_number}},
          .plan = plan_mix,
          .check = check_mix}},
        {"without",
         {.result = pool,
          .help = "A pool without one of its experts.",
          .example = "without(langs, target)",
          .parameters = {{.name = "pool", .types = {pool}},
                         {.name = "expert",
                          .types = {name},
                          .help = "`target` stands for the expert that is named as the target (Table 10)."}},
          .plan = plan_without,
          .check = check_without}},
        {"select",
         {.result = set,
          .help = "The experts of a pool that suit a target best, best first (section 3.2). Of equal ones the more "
                  "similar comes first, then the one whose name does.",
          .example = "select(six, sampling, m=3, k=10)",
          .parameters =
              {{.name = "pool", .types = {pool}},
               {.name = "metric",
                .types = {name},
                .choices = names_of_values<work::Metric>(),
                .help = "similarity: cosine of the mean embeddings of target and domain. sampling: F1 on "
                        "sampled sentences of the target, against the vote of all experts. types: cosine of the "
                        "mean embeddings of the target's entity types and of those of the expert's corpora, each "
                        "as `name: definition`. fused: the mean of similarity and sampling, similarity_types: that "
                        "of similarity and types, each scaled to 0 … 1 over the pool."},
               {.name = "m",
                .types = {number, name},
                .fallback = "3",
                .choices = names_of_values<work::Rule>(),
                .help = "How many are chosen: 1 to the size of the pool; or what tells it from the metrics x(1) "
                        "≥ … ≥ x(n) of the pool. gap: those before the largest gap, the least m < n with the "
                        "largest x(m) - x(m+1). mean: those with x(i) > (x(1) + … + x(n)) / n. Where all are "
                        "equal, both choose all."},
               {.name = "k",
                .types = {number},
                .fallback = "10",
                .help = "Sentences that are sampled; similarity and types have no use for them. " + whole_number},
               {.name = "answers",
                .types = {number},
                .optional = true,
                .help = "Of each expert to each sampled sentence, for sampling and fused. One, as where it is left "
                        "out, is the most likely one; several are drawn, with the seed `sample`: all of them vote, and "
                        "an expert's F1 is that of all its answers. " +
                        whole_number},
               {.name = "temperature",
                .types = {number},
                .optional = true,
                .help = fmt::format("At which several answers are drawn: above 0, and {} where it is left out.",
                                    work::usual_temperature)}},
          .plan = plan_select,
          .check = check_select}},
        {"random",
         {.result = set,
          .help =
              "Experts of a pool that are drawn by lot, without repetition, with the seed `sample`: what a selection "
              "has to be better than. Each target, each cluster of it and each draw has a lot of its own, whatever "
              "the order of the pool. A smaller m takes the first of what a larger one takes.",
          .example = "random(six, 3, draw=2)",
          .parameters = {{.name = "pool", .types = {pool}},
                         {.name = "m",
                          .types = {number},
                          .fallback = "3",
                          .help = "How many are drawn: 1 to the size of the pool."},
                         {.name = "draw", .types = {number}, .fallback = "1", .help = "Which draw. " + whole_number}},
          .plan = plan_random,
          .check = check_random}},
        {"unite",
         {.result = set,
          .help = "The experts of either set, by their best rank in one, those of the first before equal ones.",
          .example = "unite(ds(), se(), cut=3)",
          .parameters =
              {{.name = "first", .types = sets},
               {.name = "second", .types = sets},
               {.name = "cut", .types = {number}, .optional = true, .help = "Only so many of them. " + whole_number}},
          .plan = plan_unite,
          .check = check_unite}},
        {"intersect",
         {.result = set,
          .help = "The experts of both sets, by their best rank in one, those of the first before equal ones.",
          .example = "intersect(ds(), se())",
          .parameters = {{.name = "first", .types = sets},
                         {.name = "second", .types = sets},
                         {.name = "if_empty",
                          .types = {name},
                          .fallback = "fused",
                          .choices = {"fused", "none"},
                          .help = "What stands in for an empty one: the first by the fused metric among the experts "
                                  "that both were chosen from; or nothing, and the cell says so."}},
          .plan = plan_intersect}},
        {"merge",
         {.result = model,
          .help = "The base with the merged adapter of a set (section 3.3), or, where space is delta, with the merged "
                  "updates in its weights. One expert alone is that expert, unless weight, lambda, rank or follow "
                  "change it. A setting that has no influence on the method is refused.",
          .example = "merge(ds(), ties, density=0.3, weights=[1.5, 1, 0.5])",
          .parameters = merge_parameters(),
          .plan = plan_merge,
          .check = check_merge}},
        {"unified",
         {.result = model,
          .help = "One model that is trained on the samples of all experts of a pool.",
          .example = "unified(six)",
          .parameters = {{.name = "pool", .types = {pool}}},
          .plan = plan_unified}},
        {"expert",
         {.result = model,
          .help = "One expert of a pool.",
          .example = "expert(six, legal)",
          .parameters = {{.name = "pool", .types = {pool}},
                         {.name = "which",
                          .types = {name, number},
                          .help = "Its name, or its place in the pool from 1: mixed experts have no names."}},
          .plan = plan_expert,
          .check = check_expert}},
        {"base",
         {.result = model,
          .help = "The base model as it is. The only operator that may be written without parentheses.",
          .example = "base",
          .plan = plan_base}},
        {"best_by_gold",
         {.result = predictions,
          .help = "The predictions of the expert that is best on the target by the gold labels: an upper bound for "
                  "choosing one. Of equal ones the first.",
          .example = "best_by_gold(six)",
          .parameters = {{.name = "pool", .types = {pool}}},
          .plan = plan_best_by_gold}},
        {"union",
         {.result = predictions,
          .help = "The mentions that any of the predictions has.",
          .example = "union(merge(ds()), merge(se()))",
          .parameters = {{.name = "predictions", .types = answers, .help = "A model stands for its predictions."}},
          .repeats = 1,
          .plan = plan_union}},
        {"each",
         {.result = runs,
          .help = "The predictions of each expert of a pool.",
          .example = "each(six)",
          .parameters = {{.name = "pool", .types = {pool}}},
          .plan = plan_each}},
        {"sample",
         {.result = runs,
          .help = "Answers of one model that are drawn several times, with the seed `sample` (Table 8).",
          .example = "sample(unified(six), n=5, temperature=0.7)",
          .parameters = {{.name = "model", .types = {model}},
                         {.name = "n", .types = {number}, .fallback = "5", .help = "How often. " + whole_number},
                         {.name = "temperature",
                          .types = {number},
                          .fallback = fmt::format("{}", work::usual_temperature),
                          .help = "Above 0."}},
          .plan = plan_sample,
          .check = check_sample}},
        {"vote",
         {.result = predictions,
          .help = "Texts that at least half of the predictions name, each with its most frequent type; of equally "
                  "frequent ones the first in the target's list (section 3.2).",
          .example = "vote(each(six))",
          .parameters = {{.name = "runs", .types = {runs}}},
          .plan = plan_vote}},
        {"split",
         {.result = predictions,
          .help = "The sentences in clusters by their embeddings, and the system anew for each of them (Figures 4 and "
                  "5). One cluster is the target as it is.",
          .example = "split(target, 3, sam())",
          .parameters = {{.name = "what",
                          .types = {name},
                          .choices = {"target", "pooled"},
                          .help = "The sentences of the target; or of all targets together, where the experiment has "
                                  "`targets: {pooled: [...]}`."},
                         {.name = "clusters", .types = {number}, .help = whole_number},
                         {.name = "system", .types = answers, .help = "What is done with a cluster as a target."}},
          .plan = plan_split,
          .check = check_split}},
    };
    return table;
}

std::vector<Expert> experts_of(Term const& pool, std::string const& target) {
    return planned<PlanPool>(pool)(pool, target);
}

bool samples(Term const& term) {
    return term.op == "select" && work::by_sampling(metric_of(term));
}

std::vector<std::string> excessive_merges(Term const& row, merge::Settings const& settings) {
    std::vector<std::string> found;
    if (row.op == "merge") {
        if (auto warning = warning_of_merge(row, settings)) found.push_back(std::move(*warning));
    }
    for (auto const& [parameter, argument] : row.arguments)
        std::ranges::move(excessive_merges(*argument, settings), std::back_inserter(found));
    return found;
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
