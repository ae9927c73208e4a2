#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "report/view.h"

namespace samner::report {

/// Made-up runs of which nothing was planned or computed: what a page has to show.
class SampleView {
public:
    /// @param repeats  seeds 0, 1, …
    explicit SampleView(std::int64_t repeats) {
        view.base = "models/base <1>";
        view.encoder = "models/encoder";
        view.config = "experiments: <b>\n";
        view.provenance = {{"version", "0.1.0"}, {"commit", "abcdef"}, {"date", "2026-01-31T12:00:00Z"}};
        for (std::int64_t repeat = 0; repeat < repeats; ++repeat)
            view.repeats.push_back({repeat, plan::Seeds::all(static_cast<std::uint64_t>(repeat))});
    }

    /// A target with its sentences: texts and their gold.
    void add_target(std::string const& name, std::vector<std::pair<std::string, score::Mentions>> const& sentences) {
        TargetView target{name, {}, {}, {}};
        for (auto const& [text, gold] : sentences) target.sentences.push_back({text, gold});
        view.targets.push_back(std::move(target));
    }

    Grid& add_grid(std::string const& name, std::string const& title, std::vector<std::string> targets) {
        auto& grid = view.grids.emplace_back();
        grid.experiment = name;
        grid.title = title;
        grid.targets = std::move(targets);
        return grid;
    }

    /// A row of the last grid. @param answer  mentions(target, sentence, repeat)
    template <class Answer>
    void add_row(std::string const& system, std::string const& expression, Answer const& answer,
                 std::map<std::string, plan::Cell::Status> const& states = {}) {
        auto& grid = view.grids.back();
        grid.systems.push_back(system);
        grid.expressions.push_back(expression);
        Value average;
        auto& values = grid.values.emplace_back();
        for (auto const& name : grid.targets) {
            auto const place = target_named(name);
            auto& target = view.targets[place];
            target.columns[grid.experiment] = name;
            Value value;
            for (auto const& repeat : view.repeats) {
                auto const found = states.find(name);
                auto const status = found == states.end() ? plan::Cell::Status::done : found->second;
                value.cells.push_back(view.cells.size());
                ScoredCell scored{{grid.experiment, system, name, repeat, status, {}}};
                scored.target = place;
                if (status == plan::Cell::Status::done) predict(scored, target, answer);
                if (value.status == store::CellStatus::done) value.status = scored.status();
                value.counts += scored.counts;
                value.mean += scored.f1().value_or(std::numeric_limits<double>::quiet_NaN()) /
                              static_cast<double>(view.repeats.size());
                view.cells.push_back(std::move(scored));
            }
            if (value.mean == value.mean) value.interval = {value.mean - 0.05, value.mean + 0.05};
            average.mean += value.mean / static_cast<double>(grid.targets.size());
            average.counts += value.counts;
            average.cells.insert(average.cells.end(), value.cells.begin(), value.cells.end());
            values.push_back(std::move(value));
        }
        if (average.mean == average.mean) average.interval = {average.mean - 0.03, average.mean + 0.03};
        grid.averages.push_back(std::move(average));
    }

    View view;

private:
    std::size_t target_named(std::string const& name) const {
        for (std::size_t i = 0; i < view.targets.size(); ++i) {
            if (view.targets[i].name == name) return i;
        }
        throw Error{"no target " + name};
    }

    template <class Answer>
    void predict(ScoredCell& scored, TargetView& target, Answer const& answer) {
        auto const key = fmt::format("key-{}", view.cells.size());
        scored.cell.answer = work::Answer::stored(key);
        PassView pass{key, scored.cell.system, {}};
        for (std::size_t i = 0; i < target.sentences.size(); ++i) {
            auto& sentence = target.sentences[i];
            auto const mentions = answer(target.name, i, scored.cell.repeat.label);
            Completion completion{"", i % 10 == 9, false};
            for (auto const& mention : mentions)
                completion.text += "[\"" + mention.text + "\", \"" + mention.type + "\"] ";
            scored.by_sentence.push_back(score::count(sentence.gold, mentions));
            scored.counts += scored.by_sentence.back();
            scored.answers.push_back(place(sentence.answers, mentions));
            pass.completions.push_back(place(sentence.completions, completion));
        }
        scored.sentences = std::ssize(target.sentences);
        scored.interval = {scored.counts.f1() - 0.05, scored.counts.f1() + 0.05};
        target.passes.push_back(std::move(pass));
    }

    template <class T>
    static std::int32_t place(std::vector<T>& values, T const& value) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (values[i] == value) return static_cast<std::int32_t>(i);
        }
        values.push_back(value);
        return static_cast<std::int32_t>(values.size() - 1);
    }
};

constexpr auto hostile = "</script><img src=x onerror=\"window.hacked = 1\"><!-- <script>window.hacked = 2</script>";

/// All that a page can show, with texts that want to be more than texts: two seeds, a sweep, printed values, cells that
/// wait and that failed.
inline View full_view() {
    SampleView sample{2};
    auto& view = sample.view;
    sample.add_target(
        "science", {{"Marie Curie worked in Paris on radium .", {{"marie curie", "scientist"}, {"paris", "city"}}},
                    {std::string{"An odd one: "} + hostile, {{hostile, "city"}}},
                    {"The University of Oslo is in Oslo .", {{"university of oslo", "university"}, {"oslo", "city"}}},
                    {"Nothing   here", {}}});
    sample.add_target("poetry", {{"Ada read Byron .", {{"ada", "writer"}, {"byron", "writer"}}}, {"Rain .", {}}});
    sample.add_grid("table<1>", std::string{"A table & "} + hostile, {"science", "poetry"});
    auto const gold = [&](std::string const& target, std::size_t i, std::int64_t) {
        return view.targets[target == "science" ? 0 : 1].sentences[i].gold;
    };
    auto const half = [&](std::string const& target, std::size_t i, std::int64_t repeat) {
        auto mentions = gold(target, i, repeat);
        if (!mentions.empty() && i % 2 == 0) mentions.erase(mentions.begin());
        if (i == 0) mentions.insert({"radium", "city"});
        if (i == 1) mentions.insert({"<img onerror=1>", "place"});
        if (repeat == 1 && i == 2) mentions.clear();
        return mentions;
    };
    auto const none = [](std::string const&, std::size_t, std::int64_t) { return score::Mentions{}; };
    sample.add_row("base", "base()", none);
    sample.add_row("half<i>", "merge(set=select(pool=pool(a, b), metric=similarity, m=2), how=ties)", half);
    sample.add_row("gold", "best_by_gold(pool(a, b))", gold);
    sample.add_row("waiting", "union(a, b)", gold, {{"poetry", plan::Cell::Status::pending}});
    sample.add_row("broken", "union(a, c)", gold, {{"science", plan::Cell::Status::failed}});
    view.grids.back().printed =
        plan::PaperValues{"Table 1",
                          {{"half<i>", "llama", {{"science", 40.5}, {"poetry", 99}}, 60.25, {"poetry"}},
                           {"half<i>", "qwen", {{"science", 88}}, {}, {}},
                           {"gold", "llama", {{"science", 99}}, 50, {}}}};
    sample.add_grid("figure", "A sweep", {"science", "poetry"});
    for (int m = 1; m <= 3; ++m) {
        sample.add_row(fmt::format("m={}", m), fmt::format("sam(m={})", m),
                       [&](std::string const& target, std::size_t i, std::int64_t repeat) {
                           return static_cast<int>(i) < m ? gold(target, i, repeat) : half(target, i, repeat);
                       });
    }
    sample.add_row("best", "best_by_gold(pool(a, b))", gold);

    for (auto const metric : {work::Metric::similarity, work::Metric::sampling}) {
        for (std::int64_t m = 1; m <= 2; ++m) {
            SelectionView selection;
            selection.task.metric = metric;
            selection.task.m = m;
            selection.task.experts = {{"a", {}, {}}, {"b<b>", {}, {}}, {"c", {}, {}}};
            selection.result.chosen = {"b<b>", "a"};
            selection.result.chosen.resize(static_cast<std::size_t>(m));
            selection.result.similarity = {{"a", 0.5}, {"b<b>", 0.75}, {"c", -0.25}};
            if (metric == work::Metric::sampling) {
                selection.result.sampling_f1 = {{"a", 0.25}, {"b<b>", 0.5}};
                selection.result.pseudo_labels = {{10, 20}};
                selection.sampled = 10;
                selection.labels = score::Counts{9, 23, 23};
            }
            if (m == 2) selection.task.rule = work::Rule::gap;
            selection.result.metrics = selection.result.similarity;
            selection.targets = {"science"};
            selection.repeats = {0, 1};
            view.selections.push_back(std::move(selection));
        }
    }
    view.data = {{"zebra<b>", "savanna:train+dev", 3, 1200, std::numeric_limits<double>::quiet_NaN(), 80, 64}};
    auto other =
        view.selections.back();  // of a larger pool, and for a part of a target: neither is mixed with the others
    other.task.experts.push_back({"zebra", {}, {}});
    other.result.similarity["zebra"] = 0.99;
    other.result.chosen = {"zebra"};
    view.selections.push_back(other);
    auto part = view.selections.front();
    part.task.target.views = {work::OneSentence{}};
    part.result.chosen = {"c"};
    view.selections.push_back(part);
    for (auto& scored : view.cells) {
        scored.completions = 2 * scored.sentences;
        if (scored.cell.system == "half<i>" && scored.cell.target == "poetry") scored.unparsable = 1;
    }
    view.base_size = {2048, 16, 128'256, 1'000'000'000, 900'000'000, 10'000'000, 2'000'000'000};
    view.rank = 32;
    view.experts = {{"a", 0}, {"b<b>", 4}, {"c", 8}};
    for (auto const* name : {"a", "b<b>"}) {
        TrainingView training{name, 0, {}, {}, 50};
        training.task.recipe.parts = {{}};
        training.result.samples = 100;
        for (std::int64_t step = 1; step <= 1000; ++step)
            training.result.steps.push_back({step, 3.0 / static_cast<double>(step), 1, 0.001, 500, 0.05});
        view.trainings.push_back(std::move(training));
    }
    view.trainings.back().result.steps[3].loss = std::numeric_limits<double>::quiet_NaN();
    MergeView merge;
    merge.task.recipe.names = {"a", "b<b>"};
    merge.task.recipe.weights = {1, 0.5};
    merge.result = {2, work::MergeStatistics{{1.5, 2}, {{1, 0.125}, {0.125, 1}}, 1.25, 0.4, 0.3, {0.5, 0.5}}};
    merge.cells = {4, 5};
    view.merges.push_back(merge);
    merge.result.statistics.reset();
    view.merges.push_back(merge);
    for (int i = 0; i < 6; ++i) {
        TaskCost cost{fmt::format("task-{}", i), i < 2 ? "train" : "infer", 10, i % 2};
        cost.label = fmt::format("train {}", hostile);
        cost.ended = 1'800'000'000.0 + 10 * (i / 2 + 1) + (i > 3 ? 5000 : 0);
        cost.ok = i != 5;
        view.costs.push_back(cost);
        auto& sum = view.costs_by_kind[cost.kind];
        ++sum.tasks;
        sum.seconds += cost.seconds;
        sum.rank_seconds += cost.seconds;
    }
    return std::move(sample.view);
}

/// A run of a size that people have: words at random, so that no text helps to pack another.
inline View large_view(std::size_t systems, std::size_t sentences) {
    SampleView sample{1};
    std::uint64_t state = 1;
    auto const random = [&](std::uint64_t below) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        return (state >> 33U) % below;
    };
    auto const word = [&] {
        std::string text;
        for (auto letters = 2 + random(8); letters > 0; --letters) text += static_cast<char>('a' + random(26));
        return text;
    };
    std::vector<std::pair<std::string, score::Mentions>> texts;
    std::vector<std::vector<std::string>> tokens(sentences);
    for (auto& words : tokens) {
        auto& [text, gold] = texts.emplace_back();
        for (int i = 0; i < 30; ++i) {
            words.push_back(word());
            text += (i > 0 ? " " : "") + words.back();
        }
        for (int i = 0; i < 5; ++i) gold.insert({words[random(30)], fmt::format("type {}", random(10))});
    }
    sample.add_target("large", texts);
    sample.add_grid("large", "Many systems", {"large"});
    for (std::size_t system = 0; system < systems; ++system) {
        sample.add_row(fmt::format("system_{}", system), "sam()", [&](std::string const&, std::size_t i, std::int64_t) {
            score::Mentions mentions;
            for (int mention = 0; mention < 5; ++mention)
                mentions.insert({tokens[i][random(30)], fmt::format("type {}", random(10))});
            return mentions;
        });
    }
    return std::move(sample.view);
}

}  // namespace samner::report
