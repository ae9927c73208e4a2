#include "report/page_data.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>

#include "core/error.h"
#include "core/fields.h"
#include "report/resources.h"

namespace samner::report {
namespace {

/// A training's losses are shown as the means of at most so many stretches.
constexpr std::size_t most_stretches = 400;

Json number(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

Json number(std::optional<double> value) {
    return value ? number(*value) : Json{};
}

/// With as many digits as a curve needs.
Json rounded(double value) {
    if (!std::isfinite(value)) return nullptr;
    return std::round(value * 1e4) / 1e4;
}

Json at(std::map<std::string, double> const& values, std::string const& name) {
    auto const found = values.find(name);
    return found == values.end() ? Json{} : number(found->second);
}

void add_interval(Json& json, std::optional<score::Interval> const& interval) {
    json["low"] = interval ? number(interval->low) : Json{};
    json["high"] = interval ? number(interval->high) : Json{};
}

void add_counts(Json& json, score::Counts const& counts) {
    json["tp"] = counts.true_positive;
    json["fp"] = counts.false_positive;
    json["fn"] = counts.false_negative;
}

Json json_of(ScoredCell const& scored) {
    Json json{{"experiment", scored.cell.experiment},
              {"system", scored.cell.system},
              {"target", scored.cell.target},
              {"repeat", scored.cell.repeat.label},
              {"trial", scored.cell.trial},
              {"asked", scored.target ? Json(*scored.target) : Json{}},
              {"status", store::status_name(scored.status())},
              {"f1", number(scored.f1())},
              {"sentences", scored.sentences},
              {"completions", scored.completions},
              {"unparsable", scored.unparsable},
              {"truncated", scored.truncated},
              {"tokens_in", scored.tokens_in},
              {"tokens_out", scored.tokens_out},
              {"seconds", number(scored.seconds)}};
    add_counts(json, scored.counts);
    add_interval(json, scored.interval);
    return json;
}

Json json_of(Value const& value) {
    Json json{{"mean", number(value.mean)},
              {"deviation", number(value.deviation)},
              {"status", store::status_name(value.status)},
              {"cells", value.cells}};
    add_counts(json, value.counts);
    add_interval(json, value.interval);
    return json;
}

Json json_of(plan::PaperValues const& printed) {
    auto rows = Json::array();
    for (auto const& row : printed.rows) {
        auto cells = Json::object();
        for (auto const& [target, value] : row.cells) cells[target] = number(value);
        rows.push_back({{"system", row.system},
                        {"base", row.base},
                        {"cells", cells},
                        {"average", number(row.average)},
                        {"doubtful", row.doubtful}});
    }
    return {{"place", printed.place}, {"rows", rows}};
}

Json json_of(DataView const& data) {
    return {{"expert", data.expert},      {"dataset", data.dataset},   {"types", data.types},    {"train", number(data.train)},
            {"dev", number(data.dev)},    {"test", number(data.test)}, {"sampled", data.sampled}};
}

Json json_of(Grid const& grid) {
    auto values = Json::array();
    for (auto const& row : grid.values) {
        auto line = Json::array();
        for (auto const& value : row) line.push_back(json_of(value));
        values.push_back(std::move(line));
    }
    auto averages = Json::array();
    for (auto const& value : grid.averages) averages.push_back(json_of(value));
    return {{"name", grid.experiment},
            {"title", grid.title},
            {"targets", grid.targets},
            {"systems", grid.systems},
            {"expressions", grid.expressions},
            {"values", std::move(values)},
            {"averages", std::move(averages)},
            {"trials", grid.trials},
            {"printed", grid.printed ? json_of(*grid.printed) : Json{}}};
}

Json json_of(SelectionView const& selection) {
    auto const& [key, task, result, targets, repeats, sampled, adapters, against_gold] = selection;
    auto candidates = Json::array();
    for (auto const& candidate : task.experts) {
        candidates.push_back({{"expert", candidate.name},
                              {"similarity", at(result.similarity, candidate.name)},
                              {"sampling_f1", at(result.sampling_f1, candidate.name)},
                              {"metric", at(result.metrics, candidate.name)},
                              {"chosen", result.rank_of(candidate.name)}});
    }
    auto const is_part = [](work::View const& view) { return !std::holds_alternative<work::First>(view); };
    Json json{{"texts", task.target.name()},
              {"whole", std::ranges::none_of(task.target.views, is_part)},
              {"targets", targets},
              {"repeats", repeats},
              {"metric", name_of_value(task.metric)},
              {"m", result.chosen.size()},
              {"rule", task.rule ? Json(name_of_value(*task.rule)) : Json{}},
              {"k", sampled ? Json(*sampled) : Json{}},
              {"answers", task.experts.empty() ? 0 : task.experts.front().answers().size()},
              {"labels", nullptr},
              {"candidates", std::move(candidates)}};
    if (result.pseudo_labels) json["labels"] = result.pseudo_labels->mentions;
    if (against_gold)
        json["labels_against_gold"] = {{"tp", against_gold->true_positive},
                                       {"fp", against_gold->false_positive},
                                       {"fn", against_gold->false_negative}};
    return json;
}

Json losses_of(std::vector<train::Step> const& steps) {
    auto const stretch = (steps.size() + most_stretches - 1) / most_stretches;
    auto losses = Json::array();
    for (std::size_t first = 0; first < steps.size(); first += stretch) {
        auto const last = std::min(first + stretch, steps.size());
        double sum = 0;
        for (std::size_t i = first; i < last; ++i) sum += steps[i].loss;
        losses.push_back({steps[last - 1].step, rounded(sum / static_cast<double>(last - first))});
    }
    return losses;
}

Json json_of(TrainingView const& training) {
    auto const& steps = training.result.steps;
    std::int64_t tokens = 0;
    double seconds = 0;
    for (auto const& step : steps) {
        tokens += step.tokens;
        seconds += step.seconds;
    }
    return {{"name", training.task.recipe.name()},
            {"key", training.key},
            {"repeat", training.repeat},
            {"samples", training.result.samples},
            {"left_out", training.result.left_out ? Json(*training.result.left_out) : Json{}},
            {"cut", training.result.cut ? Json(*training.result.cut) : Json{}},
            {"steps", steps.size()},
            {"tokens", tokens},
            {"first", steps.empty() ? Json{} : number(steps.front().loss)},
            {"last", steps.empty() ? Json{} : number(steps.back().loss)},
            {"step_seconds", number(seconds)},
            {"seconds", number(training.seconds)},
            {"losses", losses_of(steps)}};
}

Json json_of(MergeView const& merge) {
    auto const& [task, result, cells] = merge;
    Json json{{"experts", task.recipe.names},
              {"weights", task.recipe.weights},
              {"method", name_of_value(task.recipe.settings.method)},
              {"cells", cells},
              {"statistics", nullptr}};
    if (result.statistics) json["statistics"] = to_wire(*result.statistics);
    return json;
}

Json json_of(TaskCost const& cost) {
    return {{"kind", cost.kind},
            {"label", cost.label},
            {"seconds", number(cost.seconds)},
            {"ranks", cost.team.empty() ? std::vector{static_cast<int>(cost.rank)} : cost.team},
            {"ended", number(cost.ended)},
            {"ok", cost.ok},
            {"reused", cost.reused}};
}

Json json_of(Resource const& line) {
    return {{"quantity", line.quantity},
            {"formula", number(line.formula)},
            {"measured", number(line.measured)},
            {"units", line.units}};
}

Json json_of(plan::Repeat const& repeat) {
    return {{"label", repeat.label}, {"seeds", to_wire(repeat.seeds)}};
}

template <class Items>
Json list_of(Items const& items) {
    auto list = Json::array();
    for (auto const& item : items) list.push_back(json_of(item));
    return list;
}

/// Names, each with a number by which it is told.
class Numbers {
public:
    std::size_t of(std::string const& name) {
        auto const [found, added] = numbers_.try_emplace(name, names_.size());
        if (added) names_.push_back(name);
        return found->second;
    }
    std::vector<std::string> const& names() const { return names_; }

private:
    std::map<std::string, std::size_t> numbers_;
    std::vector<std::string> names_;
};

Json json_of(score::Mentions const& mentions, Numbers& types) {
    auto list = Json::array();
    for (auto const& mention : mentions) {
        list.push_back(mention.text);
        list.push_back(types.of(mention.type));
    }
    return list;
}

}  // namespace

Json data_of(View const& view) {
    auto kinds = Json::array();
    for (auto const& [kind, cost] : view.costs_by_kind) {
        kinds.push_back({{"kind", kind},
                         {"tasks", cost.tasks},
                         {"seconds", number(cost.seconds)},
                         {"rank_seconds", number(cost.rank_seconds)}});
    }
    auto experts = Json::array();
    for (auto const& expert : view.experts) experts.push_back({{"expert", expert.expert}, {"cell", expert.cell}});
    auto targets = Json::array();
    for (auto const& target : view.targets)
        targets.push_back({{"name", target.name}, {"columns", target.columns}, {"sentences", target.sentences.size()}});
    return {{"base", view.base},
            {"encoder", view.encoder},
            {"config", view.config},
            {"provenance", view.provenance},
            {"repeats", list_of(view.repeats)},
            {"cells", list_of(view.cells)},
            {"grids", list_of(view.grids)},
            {"targets", std::move(targets)},
            {"selections", list_of(view.selections)},
            {"experts", std::move(experts)},
            {"data", list_of(view.data)},
            {"trainings", list_of(view.trainings)},
            {"merges", list_of(view.merges)},
            {"resources", list_of(resources(usage_of(view)))},
            {"costs", list_of(view.costs)},
            {"kinds", std::move(kinds)}};
}

Json sentences_of(View const& view, std::size_t which) {
    auto const& target = view.targets.at(which);
    Numbers types;
    auto sentences = Json::array();
    for (auto const& sentence : target.sentences) {
        auto answers = Json::array();
        for (auto const& answer : sentence.answers) answers.push_back(json_of(answer, types));
        auto completions = Json::array();
        for (auto const& completion : sentence.completions)
            completions.push_back({completion.text, (completion.truncated ? 1 : 0) + (completion.unparsable ? 2 : 0)});
        sentences.push_back({sentence.text, json_of(sentence.gold, types), std::move(answers), std::move(completions)});
    }
    std::map<std::string, std::size_t> places;
    auto passes = Json::array();
    for (auto const& pass : target.passes) {
        places[pass.key] = passes.size();
        passes.push_back({pass.model, pass.completions});
    }
    auto cells = Json::array();
    for (std::size_t i = 0; i < view.cells.size(); ++i) {
        auto const& scored = view.cells[i];
        if (scored.target != which || scored.answers.empty()) continue;
        auto used = Json::array();
        for (auto const& key : scored.cell.answer.passes()) {
            if (auto const found = places.find(key); found != places.end()) used.push_back(found->second);
        }
        cells.push_back({i, std::move(used), scored.answers});
    }
    return {{"types", types.names()},
            {"sentences", std::move(sentences)},
            {"passes", std::move(passes)},
            {"cells", std::move(cells)}};
}

std::string embedded(Json const& json) {
    std::string result;
    for (char const c : to_text(json)) {
        if (c == '<')
            result += "\\u003c";
        else
            result += c;
    }
    return result;
}

}  // namespace samner::report
