#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "plan/planner.h"
#include "report/page.h"
#include "report/page_data.h"
#include "report/resources.h"
#include "report/tables.h"
#include "report/text.h"
#include "report/view.h"
#include "store/artifacts.h"
#include "store/results.h"
#include "temporary_folder.h"
#include "weights/safetensors.h"
#include "work/cluster.h"
#include "work/predictions.h"
#include "work/texts.h"

namespace samner::report {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto run_text = R"(
base: base<1>.gguf
encoder: minilm
experts:
  north: {datasets: [alpha], samples: 10}
  south: {datasets: [beta], samples: 10}
targets:
  a: {dataset: alpha}
  b: {dataset: beta}
)";

constexpr auto four_rows =
    "  base: base\n"
    "  best: best_by_gold(ours)\n"
    "  both: union(expert(ours, north), expert(ours, south))\n"
    "  sel: merge(select(ours, similarity, 1))\n";

using Lists = std::vector<score::Mentions>;
score::Mention place(std::string const& text) {
    return {text, "place"};
}
score::Mention person(std::string const& text) {
    return {text, "person"};
}

/// Gold of a: rome; ada; nothing; oslo and bob. Gold of b: rome; ada.
Lists const north_on_a{{place("rome")}, {}, {}, {place("oslo")}};                  // 2 right, 2 missed
Lists const south_on_a{{}, {person("ada")}, {place("nothing")}, {person("bob")}};  // 2 right, 1 wrong, 2 missed
Lists const all_of_a{{place("rome")}, {person("ada")}, {}, {place("oslo"), person("bob")}};
Lists const north_on_b{{place("rome")}, {person("ada")}};
Lists const south_on_b{{place("rome")}, {}};

/// A run of two made-up corpora, of which no model has done anything: a test says what they have found.
class Report : public testing::Test {
protected:
    void SetUp() override {
        for (auto const* part : {"descriptions", "data/alpha", "data/beta"}) fs::create_directories(folder / part);
        for (std::string const id : {"alpha", "beta"}) {
            write_atomically(folder / ("descriptions/" + id + ".yaml"),
                             "id: " + id +
                                 "\ndomain: d\ndescription: d\nlicence: none\nreader: {format: conll, "
                                 "separator: tab}\nsplits:\n  test: [{file: " +
                                 id + "/test.tsv}]\n  train: [{file: " + id +
                                 "/test.tsv}]\ntypes:\n  - {label: LOC, name: place, definition: ''}\n"
                                 "  - {label: PER, name: person, definition: ''}\n");
        }
        write_atomically(folder / "data/alpha/test.tsv",
                         "Rome\tB-LOC\n\nAda\tB-PER\n\nnothing\tO\n\nOslo\tB-LOC\nand\tO\nBob\tB-PER\n");
        write_atomically(folder / "data/beta/test.tsv", "Rome\tB-LOC\n\nAda\tB-PER\n");
        artifacts.emplace(folder / "artifacts");
    }

    plan::Plan plan(std::string const& rows, std::string const& settings = {}) {
        write_atomically(folder / "run.yaml", run_text + settings);
        write_atomically(folder / "experiment.yaml",
                         "experiment: demo\ntitle: 'A <title> & \"more\"'\naverage: mean\ntargets: [a, b]\nlet:\n  "
                         "ours: pool(north, south)\nrows:\n" +
                             rows);
        work::TextReader reader{{folder / "descriptions"}, folder / "data"};
        plan::Inputs inputs;
        inputs.base = "base-hash";
        inputs.encoder = "encoder-hash";
        for (auto const& [expert, id] : {std::pair{"north", "alpha"}, {"south", "beta"}})
            inputs.experts[expert] = {{reader.hashed(work::DatasetRef{id, {"train"}})}, 10};
        for (auto const& [target, id] : {std::pair{"a", "alpha"}, {"b", "beta"}}) {
            work::Texts const texts{{reader.hashed(work::DatasetRef{id, {"test"}})}};
            inputs.targets[target] = {texts, std::ssize(reader.read(texts))};
        }
        return {{plan::load_experiment(folder / "experiment.yaml")}, plan::load_run_file(folder / "run.yaml"), inputs};
    }

    /// The key of a model's pass over a target. @param seed  of the training; nothing: any
    static std::string pass(plan::Plan const& plan, std::string const& model, std::string const& target,
                            std::optional<std::uint64_t> seed = {}) {
        for (auto const& [key, planned] : plan.tasks()) {
            auto const* const infer = std::get_if<work::Infer>(&planned.task);
            if (!infer || infer->model != model || infer->texts != plan.inputs().targets.at(target).texts) continue;
            if (seed && std::get<work::Train>(plan.task(infer->adapter->key).task).recipe.seed != *seed) continue;
            return key;
        }
        throw Error{"no pass of " + model + " over " + target};
    }

    template <class Work>
    static std::vector<std::string> keys_of(plan::Plan const& plan) {
        std::vector<std::string> keys;
        for (auto const& [key, planned] : plan.tasks()) {
            if (std::holds_alternative<Work>(planned.task)) keys.push_back(key);
        }
        return keys;
    }

    void done(plan::Plan& plan, std::string const& key, work::Result const& result, double seconds = 1) {
        work::TaskRecord record{key, std::string{work::kind_of(plan.task(key).task)}, true};
        record.result = result;
        record.seconds = seconds;
        record.rank = 3;
        records[key] = record;
        plan.finished(key, result);
    }

    void predict(plan::Plan& plan, std::string const& key, Lists const& lists) {
        std::vector<work::Prediction> predictions;
        for (auto const& mentions : lists) predictions.push_back({"id", "text", mentions, "completion"});
        artifacts->commit(key, [&](fs::path const& path) { write_atomically(path, work::to_jsonl(predictions)); });
        done(plan, key, work::Pass{std::ssize(lists), 1, 2, 100, 10}, 2);
    }

    /// Everything but the base model on b, and a selection for b.
    plan::Plan four_rows_done() {
        auto made = plan(four_rows);
        predict(made, pass(made, "base", "a"), {{person("rome")}, {}, {}, {}});
        predict(made, pass(made, "north", "a"), north_on_a);
        predict(made, pass(made, "south", "a"), south_on_a);
        predict(made, pass(made, "north", "b"), north_on_b);
        predict(made, pass(made, "south", "b"), south_on_b);
        for (auto const& key : keys_of<work::Select>(made)) {
            if (std::get<work::Select>(made.task(key).task).target == made.inputs().targets.at("a").texts)
                done(made, key,
                     work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}, {{"north", 0.25}, {"south", 0.5}}});
        }
        return made;
    }

    View view(plan::Plan const& plan) const {
        return view_of(plan, records, *artifacts, {folder / "descriptions"}, folder / "data", "rows: <b>\n",
                       {{"host", "here"}});
    }

    static ScoredCell const& cell(View const& view, std::string const& system, std::string const& target) {
        for (auto const& scored : view.cells) {
            if (scored.cell.system == system && scored.cell.target == target) return scored;
        }
        throw Error{"no cell " + system};
    }

    TemporaryFolder folder;
    std::optional<store::Artifacts> artifacts;
    Records records;
};

std::vector<std::string> names_of(store::Table const& table) {
    std::vector<std::string> names;
    for (auto const& column : table.columns) names.push_back(column.name);
    return names;
}

TEST_F(Report, WritesTheGridAsText) {
    EXPECT_EQ(text_of(view(four_rows_done())),
              "demo: A <title> & \"more\" (entity micro-F1, percent)\n"
              "system           a           b     average\n"
              "base          0.00           -           -\n"
              "best         66.67      100.00       83.33\n"
              "both         88.89      100.00       94.44\n"
              "sel          57.14           -           -\n");
}

TEST_F(Report, CombinesPredictionsAsByHand) {
    auto const found = view(four_rows_done());
    EXPECT_EQ(cell(found, "best", "a").counts, (score::Counts{2, 0, 2}));  // north, not south
    EXPECT_EQ(cell(found, "both", "a").counts, (score::Counts{4, 1, 0}));
    EXPECT_EQ(cell(found, "sel", "a").counts, (score::Counts{2, 1, 2}));  // one expert is that expert
    auto const& both = cell(found, "both", "a");
    EXPECT_THAT(both.by_sentence, ElementsAre(score::Counts{1, 0, 0}, score::Counts{1, 0, 0}, score::Counts{0, 1, 0},
                                              score::Counts{2, 0, 0}));
    EXPECT_EQ(both.sentences, 4);
    EXPECT_EQ(both.unparsable, 2);  // of two passes
    EXPECT_EQ(both.truncated, 4);
    EXPECT_EQ(both.tokens_in, 200);
    EXPECT_EQ(both.tokens_out, 20);
    EXPECT_EQ(both.seconds, 4);
    EXPECT_FALSE(cell(found, "base", "b").f1());
    EXPECT_EQ(cell(found, "sel", "b").tokens_in, 0);  // nobody knows yet what it reads
}

TEST_F(Report, HasAMeanOnlyWhenAllRepeatsAreThere) {
    auto made = plan("  north: expert(ours, north)\n", "seeds: [1, 2]\n");
    predict(made, pass(made, "north", "a", 1), north_on_a);
    auto found = view(made).grids.front();
    EXPECT_TRUE(std::isnan(found.values[0][0].mean));
    EXPECT_FALSE(found.values[0][0].interval);
    EXPECT_EQ(found.values[0][0].counts, (score::Counts{2, 0, 2}));
    predict(made, pass(made, "north", "a", 2), all_of_a);
    found = view(made).grids.front();
    auto const& value = found.values[0][0];
    EXPECT_DOUBLE_EQ(value.mean, (2.0 / 3 + 1) / 2);
    EXPECT_EQ(value.counts, (score::Counts{6, 0, 2}));
    // Both repeats of a sentence are drawn together: as one target whose sentences have the counts of both.
    auto const pooled = std::vector<score::Counts>{{2, 0, 0}, {1, 0, 1}, {0, 0, 0}, {3, 0, 1}};
    auto const interval = score::f1_interval(std::span{&pooled, 1}, {});
    EXPECT_EQ(value.interval->low, interval.low);
    EXPECT_EQ(value.interval->high, interval.high);
    EXPECT_TRUE(std::isnan(found.averages[0].mean));
    EXPECT_FALSE(found.averages[0].interval);
    predict(made, pass(made, "north", "b", 1), north_on_b);
    predict(made, pass(made, "north", "b", 2), south_on_b);
    found = view(made).grids.front();
    EXPECT_DOUBLE_EQ(found.averages[0].mean, ((2.0 / 3 + 1) / 2 + (1 + 2.0 / 3) / 2) / 2);
    EXPECT_EQ(found.averages[0].cells.size(), 4U);
}

TEST_F(Report, HasIntervalsAroundItsValues) {
    auto const found = view(four_rows_done());
    int intervals = 0;
    auto const check = [&](Value const& value) {
        EXPECT_EQ(value.interval.has_value(), !std::isnan(value.mean));
        if (!value.interval) return;
        EXPECT_LE(value.interval->low, value.mean + 1e-12);
        EXPECT_GE(value.interval->high, value.mean - 1e-12);
        intervals += value.interval->low < value.interval->high;
    };
    for (auto const& row : found.grids.front().values) std::ranges::for_each(row, check);
    std::ranges::for_each(found.grids.front().averages, check);
    EXPECT_EQ(intervals, 5);  // those that are neither 0 nor 1
}

TEST_F(Report, LosesOnlyTheCellWhosePredictionsCannotBeRead) {
    auto const made = four_rows_done();
    write_atomically(folder / ("artifacts/" + pass(made, "north", "a")), "{\"id\": 1\n");
    auto found = view(made);
    EXPECT_EQ(text_of(found),
              "demo: A <title> & \"more\" (entity micro-F1, percent)\n"
              "system           a           b     average\n"
              "base          0.00           -           -\n"
              "best        failed      100.00           -\n"
              "both        failed      100.00           -\n"
              "sel          57.14           -           -\n");
    EXPECT_EQ(cell(found, "best", "a").cell.status, plan::Cell::Status::failed);
    EXPECT_EQ(cell(found, "best", "a").counts, score::Counts{});
    EXPECT_EQ(cell(found, "base", "b").cell.status, plan::Cell::Status::pending);
    fs::remove(folder / ("artifacts/" + pass(made, "south", "a")));
    fs::copy_file(folder / ("artifacts/" + pass(made, "north", "b")),  // of another target: too few
                  folder / ("artifacts/" + pass(made, "base", "a")), fs::copy_options::overwrite_existing);
    found = view(made);
    EXPECT_FALSE(cell(found, "sel", "a").f1());
    EXPECT_FALSE(cell(found, "base", "a").f1());
    EXPECT_TRUE(cell(found, "both", "b").f1());
}

TEST_F(Report, RefusesToScoreAgainstGoldThatHasChanged) {
    auto const made = four_rows_done();
    write_atomically(folder / "data/alpha/test.tsv", "Rome\tB-LOC\n");
    EXPECT_THROW(view(made), InputError);
}

TEST_F(Report, WritesTheColumnsOfItsTables) {
    auto const results = tables_of(view(four_rows_done()));
    std::map<std::string, std::vector<std::string>> names;
    for (auto const& table : results.tables) names[table.group] = names_of(table);
    EXPECT_EQ(
        names,
        (std::map<std::string, std::vector<std::string>>{
            {"cells", {"experiment", "base",    "system",      "target",    "trial",      "status",    "metric",
                       "seed",       "tp",      "fp",          "fn",        "f1",         "low",       "high",
                       "sentences",  "first",   "texts",       "answers",   "unparsable", "truncated", "tokens_in",
                       "tokens_out", "seconds", "predictions", "selections"}},
            {"sentences", {"tp", "fp", "fn"}},
            {"experts", {"expert", "key", "seed", "step", "loss", "grad_norm", "lr", "tokens", "seconds"}},
            {"selection", {"key",         "seeds",           "dataset",  "strategy", "expert",   "similarity",
                           "sampling_f1", "type_similarity", "metric",   "chosen",   "m",        "rule",
                           "k",           "answers",         "label_tp", "label_fp", "label_fn", "centroid",
                           "target_centroid", "predictions", "adapter"}},
            {"cost", {"key", "kind", "seconds", "rank", "bytes", "tokens_in", "tokens_out"}},
            {"repeats", {"repeat", "train", "sample", "merge", "cluster"}},
            {"resources", {"quantity", "formula", "measured", "units"}}}));
    EXPECT_THAT(results.provenance, ElementsAre(std::pair{"config", "rows: <b>\n"}, std::pair{"program", "samner"},
                                                std::pair{"host", "here"}));
    auto const path = folder / "results.h5";
    store::write_results(path, results);
    EXPECT_THAT(store::read_strings(path, "/cells/system"),
                ElementsAre("base", "base", "best", "best", "both", "both", "sel", "sel"));
    EXPECT_THAT(store::read_int64(path, "/cells/tp"), ElementsAre(0, 0, 2, 2, 4, 2, 2, 0));
    EXPECT_THAT(store::read_int64(path, "/cells/sentences"), ElementsAre(4, 0, 4, 2, 4, 2, 4, 0));
    EXPECT_THAT(store::read_double(path, "/cells/f1"),
                ElementsAre(0, testing::IsNan(), 2.0 / 3, 1, 8.0 / 9, 1, 4.0 / 7, testing::IsNan()));
    EXPECT_THAT(store::read_double(path, "/cells/low"),
                ElementsAre(0, testing::IsNan(), testing::Lt(2.0 / 3), 1, testing::Lt(8.0 / 9), 1, testing::Lt(4.0 / 7),
                            testing::IsNan()));
    // [target, system, seed]
    EXPECT_THAT(store::read_double(path, "/tables/demo/f1"),
                ElementsAre(0, 2.0 / 3, 8.0 / 9, 4.0 / 7, testing::IsNan(), 1, 1, testing::IsNan()));
    EXPECT_THAT(store::read_strings(path, "/tables/demo/status"),
                ElementsAre("done", "done", "done", "done", "pending", "done", "done", "pending"));
    EXPECT_THAT(store::read_strings(path, "/selection/dataset"), ElementsAre("alpha", "alpha"));
    EXPECT_THAT(store::read_strings(path, "/selection/expert"), ElementsAre("north", "south"));
    EXPECT_THAT(store::read_double(path, "/selection/metric"), ElementsAre(0.25, 0.5));
    EXPECT_THAT(store::read_double(path, "/selection/sampling_f1"), ElementsAre(testing::IsNan(), testing::IsNan()));
    EXPECT_THAT(store::read_int64(path, "/selection/chosen"), ElementsAre(0, 1));
    EXPECT_THAT(store::read_int64(path, "/selection/m"), ElementsAre(1, 1));
    EXPECT_THAT(store::read_strings(path, "/selection/rule"), ElementsAre("", ""));
    EXPECT_THAT(store::read_int64(path, "/selection/k"), ElementsAre(0, 0));
    EXPECT_THAT(store::read_double(path, "/selection/label_tp"), ElementsAre(testing::IsNan(), testing::IsNan()));
    EXPECT_THAT(store::read_int64(path, "/cost/rank"), testing::AllOf(testing::SizeIs(6), testing::Each(3)));
}

TEST_F(Report, KeepsTheCountsOfEachSentenceBehindEveryCell) {
    auto const path = folder / "results.h5";
    store::write_results(path, tables_of(view(four_rows_done())));
    auto const first = store::read_int64(path, "/cells/first");
    auto const sizes = store::read_int64(path, "/cells/sentences");
    for (auto const* name : {"tp", "fp", "fn"}) {
        auto const by_sentence = store::read_int32(path, std::string{"/sentences/"} + name);
        auto const sums = store::read_int64(path, std::string{"/cells/"} + name);
        EXPECT_EQ(by_sentence.size(), 20U);
        for (std::size_t i = 0; i < sums.size(); ++i) {
            auto const mine =
                std::span{by_sentence}.subspan(static_cast<std::size_t>(first[i]), static_cast<std::size_t>(sizes[i]));
            EXPECT_EQ(std::accumulate(mine.begin(), mine.end(), std::int64_t{0}), sums[i]) << name << " of cell " << i;
        }
    }
    // The union of north and south on a (cell 4): rome; ada; a wrong one; oslo and bob.
    auto const tp = store::read_int32(path, "/sentences/tp");
    auto const begin = tp.begin() + first[4];
    EXPECT_THAT((std::vector<std::int32_t>{begin, begin + 4}), ElementsAre(1, 1, 0, 2));
}

TEST_F(Report, SaysWhichCellsWereScoredOnTheSameSentences) {
    auto const texts = [&](View const& found) {
        store::write_results(folder / "results.h5", tables_of(found));
        return store::read_strings(folder / "results.h5", "/cells/texts");
    };
    auto found = view(four_rows_done());
    auto const before = texts(found);
    EXPECT_EQ(before[0], before[2]) << "base and best on a";
    EXPECT_EQ(before[1], "") << "base on b is not there";
    EXPECT_NE(before[2], before[3]) << "a and b";
    found.targets[0].sentences[0].gold = {person("rome")};
    auto const after = texts(found);
    EXPECT_NE(after[0], before[0]) << "another gold";
    EXPECT_EQ(after[3], before[3]);
}

TEST_F(Report, TellsTheSeedsOfARepeatByItsLabel) {
    auto made = plan("  north: expert(ours, north)\n", "seeds: {train: [5, 6], sample: 7}\n");
    auto const trainings = keys_of<work::Train>(made);
    ASSERT_EQ(trainings.size(), 2U);
    std::map<std::string, std::int64_t> labels;
    for (auto const& key : trainings) {
        labels[key] = static_cast<std::int64_t>(std::get<work::Train>(made.task(key).task).recipe.seed) - 5;
        done(made, key, work::Trained{10, {{1, 2.0, 1.0, 0.1, 50, 0.5}, {2, 1.0, 1.0, 0.1, 60, 0.5}}}, 7);
    }
    records.at(trainings[0]).team = {0, 1, 2};
    predict(made, pass(made, "north", "a", 6), north_on_a);
    auto const found = view(made);
    auto const path = folder / "results.h5";
    store::write_results(path, tables_of(found));
    EXPECT_THAT(store::read_int64(path, "/repeats/repeat"), ElementsAre(0, 1));
    EXPECT_THAT(store::read_int64(path, "/repeats/train"), ElementsAre(5, 6));
    EXPECT_THAT(store::read_int64(path, "/repeats/sample"), ElementsAre(7, 7));
    EXPECT_THAT(store::read_int64(path, "/repeats/cluster"), ElementsAre(0, 0));
    EXPECT_THAT(store::read_int64(path, "/tables/demo/seed"), ElementsAre(0, 1));
    EXPECT_THAT(store::read_int64(path, "/cells/seed"), ElementsAre(0, 1, 0, 1));
    EXPECT_THAT(store::read_double(path, "/cells/f1"),
                ElementsAre(testing::IsNan(), 2.0 / 3, testing::IsNan(), testing::IsNan()));
    auto const first = labels.at(trainings[0]);
    EXPECT_THAT(store::read_int64(path, "/experts/seed"), ElementsAre(first, first, 1 - first, 1 - first));
    EXPECT_THAT(store::read_int64(path, "/experts/step"), ElementsAre(1, 2, 1, 2));
    EXPECT_THAT(store::read_double(path, "/experts/loss"), ElementsAre(2, 1, 2, 1));
    EXPECT_THAT(store::read_strings(path, "/experts/expert"), testing::Each("north"));
    auto const& cost = found.costs_by_kind.at("train");
    EXPECT_EQ(cost.tasks, 2);
    EXPECT_EQ(cost.seconds, 14);
    EXPECT_EQ(cost.rank_seconds, 28);
    auto const training = data_of(found)["trainings"][0];
    EXPECT_EQ(training["name"], "north");
    EXPECT_EQ(training["repeat"], first);
    EXPECT_EQ(training["steps"], 2);
    EXPECT_EQ(training["tokens"], 110);
    EXPECT_EQ(training["losses"], Json({{1, 2.0}, {2, 1.0}}));
    EXPECT_TRUE(training["left_out"].is_null());
    done(made, trainings[0], work::Trained{10, {{1, 2.0, 1.0, 0.1, 50, 0.5}}, 3, 4}, 7);
    auto const cut = data_of(view(made))["trainings"][0];
    EXPECT_EQ(cut["left_out"], 3);
    EXPECT_EQ(cut["cut"], 4);
}

TEST_F(Report, CountsWhatTheExpertsOfAUnifiedModelTook) {
    auto made = plan(
        "  unified: unified(ours)\n  north: expert(ours, north)\n  both: union(expert(ours, north), expert(ours, "
        "south))\n");
    for (auto const& key : keys_of<work::Train>(made)) {
        bool const unified = std::get<work::Train>(made.task(key).task).recipe.parts.size() > 1;
        done(made, key, work::Trained{10, {{1, 2.0, 1.0, 0.1, unified ? 90 : 50, 0.5}}}, unified ? 11 : 7);
        records.at(key).bytes = unified ? 1000 : 100;
    }
    predict(made, pass(made, "north", "a"), north_on_a);
    predict(made, pass(made, "south", "a"), south_on_a);
    auto const usage = usage_of(view(made));
    EXPECT_EQ(usage.rank, 32);
    EXPECT_THAT(usage.adapter_bytes, ElementsAre(100, 100));
    ASSERT_TRUE(usage.trainings);
    EXPECT_EQ(usage.trainings->unified_tokens, 90);
    EXPECT_EQ(usage.trainings->experts_tokens, 100);
    EXPECT_EQ(usage.trainings->unified_seconds, 11);
    EXPECT_EQ(usage.trainings->experts_seconds, 14);
    EXPECT_EQ(usage.passes, (std::map<std::string, double>{{"both", 2}, {"north", 1}}));
}

TEST_F(Report, CountsWhatATaskTookThatFailed) {
    auto made = plan("  base: base\n");
    auto const key = pass(made, "base", "a");
    work::TaskRecord record{key, "infer", false};
    record.seconds = 5;
    record.error = "no luck";
    records[key] = record;
    made.failed(key);
    auto const found = view(made);
    EXPECT_EQ(cell(found, "base", "a").cell.status, plan::Cell::Status::failed);
    EXPECT_EQ(cell(found, "base", "a").seconds, 5);
    EXPECT_EQ(found.costs_by_kind.at("infer").seconds, 5);
    EXPECT_TRUE(found.selections.empty());
}

TEST_F(Report, TellsThePageWhatRowsAre) {
    auto const grid = data_of(view(four_rows_done()))["grids"][0];
    EXPECT_THAT(grid["expressions"],
                ElementsAre("base()", "best_by_gold(pool=pool(north, south))",
                            "union(expert(pool=pool(north, south), which=north), expert(pool=pool(north, south), "
                            "which=south))",
                            HasSubstr("select(pool=pool(north, south), metric=similarity, m=1")));
    EXPECT_EQ(grid["values"][1][0]["tp"], 2);
    EXPECT_LT(grid["values"][1][0]["low"], 2.0 / 3);
}

TEST_F(Report, HoldsPseudoLabelsAgainstTheGoldOfTheSampledSentences) {
    auto made = plan("  sel: merge(select(ours, sampling, 1, k=4))\n");
    // Gold of a: rome; ada; nothing; oslo and bob. Two voters: what one of them names is a label, and of a text with
    // two types the first of the target's.
    Lists const north{{place("rome")}, {person("ada")}, {}, {place("bob")}};
    Lists const south{{place("rome")}, {}, {place("nothing")}, {person("bob")}};
    for (auto const& key : keys_of<work::Select>(made)) {
        auto const& task = std::get<work::Select>(made.task(key).task);
        if (task.target != made.inputs().targets.at("a").texts) continue;
        predict(made, task.experts[0].predictions->key, north);
        predict(made, task.experts[1].predictions->key, south);
        done(made, key, work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}});
    }
    auto const found = view(made);
    ASSERT_EQ(found.selections.size(), 1U);
    // Labels: rome, ada, nothing and bob as a place. Right: rome and ada. Missed: oslo and bob as a person.
    EXPECT_EQ(found.selections[0].labels, (score::Counts{2, 2, 2}));
    EXPECT_EQ(data_of(found)["selections"][0]["labels_against_gold"], (Json{{"tp", 2}, {"fp", 2}, {"fn", 2}}));
    auto const path = folder / "results.h5";
    store::write_results(path, tables_of(found));
    EXPECT_THAT(store::read_double(path, "/selection/label_tp"), ElementsAre(2, 2));
    EXPECT_THAT(store::read_double(path, "/selection/label_fp"), ElementsAre(2, 2));
    EXPECT_THAT(store::read_double(path, "/selection/label_fn"), ElementsAre(2, 2));
    EXPECT_THAT(store::read_int64(path, "/selection/k"), ElementsAre(4, 4));
}

TEST_F(Report, HasNoPseudoLabelsAgainstGoldWhereTheVotesAreNotThere) {
    auto made = plan("  sel: merge(select(ours, sampling, 1, k=4))\n");
    done(made, keys_of<work::Select>(made).front(), work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}});
    auto const found = view(made);
    ASSERT_EQ(found.selections.size(), 1U);
    EXPECT_FALSE(found.selections[0].labels);
}

TEST_F(Report, HasTheEmbeddingsThatSelectionsCompare) {
    auto made = plan("  sel: merge(select(ours, similarity, 1))\n  other: merge(select(ours, similarity, 2))\n");
    auto const commit = [&](std::string const& key, std::vector<float> const& mean) {
        if (fs::exists(artifacts->path(key))) return;
        artifacts->commit(key, [&](fs::path const& path) {
            std::vector<weights::TensorView> const tensors{{"mean",
                                                            weights::Dtype::f32,
                                                            {static_cast<std::int64_t>(mean.size())},
                                                            std::as_bytes(std::span{mean})}};
            weights::write_safetensors(path, tensors, {});
        });
    };
    for (auto const& key : keys_of<work::Select>(made)) {
        auto const& task = std::get<work::Select>(made.task(key).task);
        commit(task.experts[0].centroid.key, {1, 0, 0});
        commit(task.experts[1].centroid.key, {0, 1, 0});
        bool const is_a = task.target == made.inputs().targets.at("a").texts;
        commit(task.target_centroid.key, is_a ? std::vector<float>{0.5F, 0.25F, 0} : std::vector<float>{1});
        done(made, key, work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}});
    }
    auto const path = folder / "results.h5";
    store::write_results(path, tables_of(view(made)));
    // That of b has another dimension, and is left out with a warning.
    EXPECT_THAT(store::read_strings(path, "/embeddings/name"), ElementsAre("north", "south", "a"));
    EXPECT_THAT(store::read_strings(path, "/embeddings/kind"), ElementsAre("expert", "expert", "target"));
    EXPECT_THAT(store::read_strings(path, "/embeddings/seeds"), testing::Each("0"));
    EXPECT_THAT(store::read_float(path, "/embeddings/vectors"), ElementsAre(1, 0, 0, 0, 1, 0, 0.5F, 0.25F, 0));
    auto const centroids = store::read_strings(path, "/selection/centroid");
    EXPECT_EQ(centroids.size(), 8U);
    EXPECT_EQ(store::read_strings(path, "/embeddings/key")[0], centroids[0]);
}

TEST_F(Report, TellsWhatASamplingEvaluationReads) {
    auto made = plan("  sel: merge(select(ours, sampling, 1, k=4))\n");
    for (auto const& key : keys_of<work::Select>(made)) {
        auto const& task = std::get<work::Select>(made.task(key).task);
        if (task.target != made.inputs().targets.at("a").texts) continue;
        for (auto const& candidate : task.experts) predict(made, candidate.predictions->key, Lists(4));
        done(made, key, work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}});
    }
    auto const path = folder / "results.h5";
    store::write_results(path, tables_of(view(made)));
    auto const keys = store::read_strings(path, "/cost/key");
    auto const tokens = store::read_int64(path, "/cost/tokens_in");
    auto const predictions = store::read_strings(path, "/selection/predictions");
    auto const adapters = store::read_strings(path, "/selection/adapter");
    ASSERT_EQ(predictions.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        auto const place = std::ranges::find(keys, predictions[i]) - keys.begin();
        EXPECT_EQ(tokens.at(static_cast<std::size_t>(place)), 100);
        auto const& training = std::get<work::Train>(made.task(adapters[i]).task);
        EXPECT_EQ(training.recipe.name(), i == 0 ? "north" : "south");
    }
}

TEST_F(Report, TellsHowManyExpertsARuleHasChosen) {
    auto made = plan("  sel: merge(select(ours, similarity, gap))\n");
    for (auto const& key : keys_of<work::Select>(made))
        done(made, key, work::Selection{{"south"}, {{"north", 0.25}, {"south", 0.5}}});
    auto const found = view(made);
    EXPECT_EQ(data_of(found)["selections"][0]["m"], 1);
    EXPECT_EQ(data_of(found)["selections"][0]["rule"], "gap");
}

TEST_F(Report, TellsThePageForWhichTargetsExpertsWereChosen) {
    auto made = plan("  north: expert(ours, north)\n  sel: merge(select(ours, sampling, 1, k=2))\n");
    predict(made, pass(made, "north", "a"), north_on_a);
    for (auto const& key : keys_of<work::Select>(made))
        done(made, key,
             work::Selection{{"south"},
                             {{"north", 0.25}, {"south", 0.5}},
                             {{"north", 0.5}},
                             {{"north", 0.25}, {"south", 0.5}},
                             {{2, 3}}});
    auto const found = view(made);
    auto const data = data_of(found);
    ASSERT_EQ(data["selections"].size(), 2U);
    std::set<std::string> targets;
    for (auto const& selection : data["selections"]) {
        targets.insert(selection["targets"][0].get<std::string>());
        EXPECT_EQ(selection["targets"].size(), 1U);
        EXPECT_EQ(selection["m"], 1);
        EXPECT_EQ(selection["k"], 2);
        EXPECT_EQ(selection["answers"], 1);
        EXPECT_EQ(selection["labels"], 3);
        EXPECT_THAT(selection["repeats"], ElementsAre(0));
        EXPECT_EQ(selection["candidates"][1]["chosen"], 1);
        EXPECT_TRUE(selection["candidates"][1]["similarity"].is_null());
    }
    EXPECT_THAT(targets, ElementsAre("a", "b"));
    // The row of an expert, and one that merges one alone, which is that expert.
    std::set<std::pair<std::string, std::string>> experts;
    for (auto const& expert : found.experts) experts.emplace(expert.expert, found.cells[expert.cell].cell.system);
    EXPECT_THAT(experts, testing::IsSupersetOf({std::pair{"north", "north"}}));
}

TEST_F(Report, TellsThePageOfMergesAndWhoUsesThem) {
    auto made = plan("  sel: merge(ours)\n");
    auto const merges = keys_of<work::Merge>(made);
    ASSERT_EQ(merges.size(), 1U);
    done(made, merges[0], work::Merged{2, work::MergeStatistics{{1, 2}, {{1, 0.5}, {0.5, 1}}, 1.5, 0.25, {}, {}}});
    auto const data = data_of(view(made));
    ASSERT_EQ(data["merges"].size(), 1U);
    EXPECT_THAT(data["merges"][0]["experts"], ElementsAre("north", "south"));
    EXPECT_THAT(data["merges"][0]["cells"], ElementsAre(0, 1));
    EXPECT_EQ(data["merges"][0]["statistics"]["cosine"][0][1], 0.5);
    EXPECT_TRUE(data["merges"][0]["statistics"]["sparsity"].is_null());
}

TEST_F(Report, KeepsWhatWasAnsweredToEachSentence) {
    auto const found = view(four_rows_done());
    ASSERT_EQ(found.targets.size(), 2U);
    auto const& target = found.targets[0];
    EXPECT_EQ(target.name, "a");
    ASSERT_EQ(target.sentences.size(), 4U);
    EXPECT_EQ(target.sentences[3].text, "Oslo and Bob");
    EXPECT_EQ(target.sentences[3].gold, all_of_a[3]);
    auto const& both = cell(found, "both", "a");
    EXPECT_EQ(target.sentences[3].answers[static_cast<std::size_t>(both.answers[3])], all_of_a[3]);
    EXPECT_EQ(target.passes.size(), 3U);  // base, north and south; `best` and `sel` read these
    EXPECT_EQ(target.sentences[3].completions, (std::vector<Completion>{{"completion"}}));
    auto const block = sentences_of(found, 0);
    EXPECT_EQ(block["cells"].size(), 4U);
    EXPECT_EQ(block["cells"][2][1].size(), 2U) << "of two passes";
}

TEST_F(Report, FindsTheSentencesOfAPassOverAPartOfATarget) {
    auto made = plan("  cut: split(target, 2, expert(ours, north))\n");
    for (auto const& key : keys_of<work::Cluster>(made)) {
        auto const texts = std::get<work::Cluster>(made.task(key).task).texts;
        std::vector<std::int64_t> labels;
        for (std::int64_t i = 0; i < texts; ++i) labels.push_back(i % 2);
        artifacts->commit(key, [&](fs::path const& path) { write_atomically(path, work::to_labels_file(labels)); });
        done(made, key, work::Clustered{texts, {texts / 2, texts / 2}, 0});
    }
    std::vector<std::vector<std::string>> const texts{{"Rome", "nothing"}, {"Ada", "Oslo and Bob"}};
    for (auto const& key : keys_of<work::Infer>(made)) {
        auto const& asked = std::get<work::Infer>(made.task(key).task).texts;
        if (asked.sources != made.inputs().targets.at("a").texts.sources) continue;
        auto const part = static_cast<std::size_t>(std::get<work::OfCluster>(asked.views.back()).index);
        std::vector<work::Prediction> predictions;
        for (auto const& text : texts[part]) predictions.push_back({"id", text, {place("oslo")}, "answer to " + text});
        artifacts->commit(key, [&](fs::path const& path) { write_atomically(path, work::to_jsonl(predictions)); });
        done(made, key, work::Pass{2, 0, 0, 10, 10});
    }
    auto const found = view(made);
    EXPECT_EQ(cell(found, "cut", "a").counts, (score::Counts{1, 3, 3}));
    auto const& target = found.targets.at(0);
    ASSERT_EQ(target.passes.size(), 2U);
    for (auto const& sentence : target.sentences)
        EXPECT_EQ(sentence.completions, (std::vector<Completion>{{"answer to " + sentence.text}}));
    std::set<std::vector<std::int32_t>> asked;
    for (auto const& pass : target.passes) asked.insert(pass.completions);
    EXPECT_THAT(asked, ElementsAre(std::vector{-1, 0, -1, 0}, std::vector{0, -1, 0, -1}));
}

TEST_F(Report, ShowsTheRestWherePredictionsCannotBeRead) {
    auto const made = four_rows_done();
    write_atomically(folder / ("artifacts/" + pass(made, "north", "a")), "{\"id\": 1\n");
    auto const found = view(made);
    auto const data = data_of(found);
    EXPECT_EQ(data["cells"][2]["status"], "failed");  // best on a
    EXPECT_EQ(data["cells"][2]["tp"], 0);
    EXPECT_EQ(data["cells"][6]["status"], "done");  // sel on a
    auto const block = sentences_of(found, 0);
    ASSERT_EQ(block["cells"].size(), 2U);
    EXPECT_EQ(block["cells"][0][0], 0);
    EXPECT_EQ(block["cells"][1][0], 6);
    EXPECT_THAT(page_of(found), HasSubstr("\"status\":\"failed\""));
}

TEST_F(Report, SaysWhenTasksRanAndWhoseTheyWere) {
    auto made = plan("  base: base\n");
    auto const key = pass(made, "base", "a");
    predict(made, key, north_on_a);
    records.at(key).ended = 1'800'000'000.5;
    records.at(key).reused = true;
    auto const found = view(made);
    ASSERT_EQ(found.costs.size(), 1U);
    auto const cost = data_of(found)["costs"][0];
    EXPECT_EQ(cost["ended"], 1'800'000'000.5);
    EXPECT_EQ(cost["reused"], true);
    EXPECT_EQ(cost["label"], "infer base on alpha");
    EXPECT_THAT(cost["ranks"], ElementsAre(3));
}

}  // namespace
}  // namespace samner::report
