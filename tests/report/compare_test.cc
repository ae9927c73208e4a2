#include "report/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "plan/run_file.h"
#include "report/compare_plans.h"
#include "sample_view.h"
#include "temporary_folder.h"

namespace samner::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

score::Mentions const ada{{"ada", "person"}};
score::Mentions const rome{{"rome", "place"}};
score::Mentions const nothing;

/// Gold of x: ada; rome; nothing. Gold of y: rome; ada.
void add_targets(SampleView& sample) {
    sample.add_target("x", {{"Ada .", ada}, {"Rome .", rome}, {"None .", nothing}});
    sample.add_target("y", {{"To Rome .", rome}, {"By Ada .", ada}});
    sample.add_grid("demo", "A demo", {"x", "y"});
}

/// Right everywhere.
score::Mentions gold(std::string const& target, std::size_t i, std::int64_t) {
    if (target == "y") return i == 0 ? rome : ada;
    return i == 0 ? ada : i == 1 ? rome : nothing;
}

/// Ada everywhere, with seed 1 Rome.
score::Mentions one_answer(std::string const&, std::size_t, std::int64_t repeat) {
    return repeat == 0 ? ada : rome;
}

SampleView sample_of(std::int64_t repeats) {
    SampleView sample{repeats};
    add_targets(sample);
    sample.add_row("right", "base()", gold);
    sample.add_row("dull", "merge()", one_answer);
    return sample;
}

TEST(CompareRows, FindNoDifferenceBetweenARowAndItself) {
    auto const sample = sample_of(2);
    auto const row = row_named(sample.view, "dull", "run");
    auto const found = compare_rows(row, row, {});
    ASSERT_EQ(found.targets.size(), 2U);
    EXPECT_THAT(found.left_out, IsEmpty());
    for (auto const& line : {found.targets[0], found.targets[1], *found.mean}) {
        EXPECT_EQ(line.f1_a, line.f1_b) << line.target;
        EXPECT_EQ(line.comparison.difference, 0) << line.target;
        EXPECT_EQ(line.comparison.interval.low, 0) << line.target;
        EXPECT_EQ(line.comparison.interval.high, 0) << line.target;
        EXPECT_EQ(line.comparison.p_value, 1) << line.target;
    }
}

TEST(CompareRows, GiveTheNumbersOfAHandComputation) {
    auto const sample = sample_of(1);
    auto const found =
        compare_rows(row_named(sample.view, "demo/right", "run"), row_named(sample.view, "dull", "run"), {.seed = 5});
    ASSERT_EQ(found.targets.size(), 2U);
    auto const& x = found.targets[0];
    EXPECT_EQ(x.target, "x");
    EXPECT_EQ(x.sentences, 3U);
    EXPECT_EQ(x.a, (score::Counts{2, 0, 0}));
    EXPECT_EQ(x.b, (score::Counts{1, 2, 1}));
    EXPECT_EQ(x.f1_a, 1);
    EXPECT_DOUBLE_EQ(x.f1_b, 2.0 / 5);
    EXPECT_DOUBLE_EQ(x.comparison.difference, 3.0 / 5);
    EXPECT_DOUBLE_EQ(found.targets[1].f1_b, 1.0 / 2);
    // Of a mean: of the targets' F1, not of summed counts.
    ASSERT_TRUE(found.mean);
    EXPECT_EQ(found.mean->sentences, 5U);
    EXPECT_DOUBLE_EQ(found.mean->f1_b, (2.0 / 5 + 1.0 / 2) / 2);
    EXPECT_DOUBLE_EQ(found.mean->comparison.difference, 1 - 9.0 / 20);
    // The bootstrap is that of score, on both rows' sentences.
    score::TargetCounts const right{{{1, 0, 0}, {1, 0, 0}, {0, 0, 0}}};
    score::TargetCounts const dull{{{1, 0, 0}, {0, 1, 1}, {0, 1, 0}}};
    auto const expected = score::compare_f1(right, dull, {.seed = 5});
    EXPECT_EQ(x.comparison.interval.low, expected.interval.low);
    EXPECT_EQ(x.comparison.interval.high, expected.interval.high);
    EXPECT_EQ(x.comparison.p_value, expected.p_value);
}

TEST(CompareRows, SumASentencesCountsOverSeedsAlsoWhereOneRunHasMore) {
    auto const two = sample_of(2);
    auto const one = sample_of(1);
    auto const found = compare_rows(row_named(two.view, "dull", "two"), row_named(one.view, "dull", "one"), {});
    ASSERT_EQ(found.targets.size(), 2U);
    EXPECT_EQ(found.targets[0].a, (score::Counts{2, 4, 2}));
    EXPECT_EQ(found.targets[0].b, (score::Counts{1, 2, 1}));
    EXPECT_EQ(found.targets[0].comparison.difference, 0);
}

TEST(CompareRows, LeaveOutWhatIsNotDoneOrNotTheSame) {
    using Status = plan::Cell::Status;
    auto sample = sample_of(1);
    sample.add_row("early", "a()", gold, {{"x", Status::pending}});
    sample.add_row("partly", "b()", gold, {{"x", Status::failed}, {"y", Status::excluded}});
    auto const reasons = [&](ViewRow const& a, ViewRow const& b) {
        std::string text;
        auto const found = compare_rows(a, b, {});
        for (auto const& [target, reason] : found.left_out) text += target + ": " + reason + "\n";
        EXPECT_EQ(found.left_out.size() + found.targets.size(), 2U);
        EXPECT_FALSE(found.mean);
        EXPECT_EQ(compare_averages(a, b).targets, found.targets.size());
        return text;
    };
    auto const row = [&](char const* name) { return row_named(sample.view, name, "run"); };
    EXPECT_EQ(reasons(row("right"), row("early")), "x: pending in b\n");
    EXPECT_EQ(reasons(row("partly"), row("early")), "x: failed in a, pending in b\ny: excluded in a\n");
    EXPECT_TRUE(std::isnan(compare_averages(row("partly"), row("early")).a));
    auto other = sample_of(1);
    auto const against = [&] { return reasons(row("right"), row_named(other.view, "right", "other")); };
    other.view.targets[0].sentences[1].text = "Roma .";
    EXPECT_EQ(against(), "x: 1 of 3 sentences are others in b\n");
    other = sample_of(1);
    other.view.targets[1].sentences[0].gold = ada;
    EXPECT_EQ(against(), "y: 1 of 2 sentences have another gold in b\n");
    other = sample_of(1);
    other.view.cells[0].by_sentence.pop_back();  // one that has only the first sentences
    EXPECT_EQ(against(), "x: a has 3 sentences, b 2\n");
    other = sample_of(1);
    for (auto& scored : other.view.cells) scored.cell.trial = scored.cell.target == "x";
    EXPECT_EQ(against(), "x: the trials are others\n");
    other = sample_of(1);
    other.view.grids[0].targets[0] = "z";
    auto const found = compare_rows(row("right"), row_named(other.view, "right", "other"), {});
    ASSERT_EQ(found.left_out.size(), 2U);
    EXPECT_EQ(found.left_out[0].reason, "no target of b");
    EXPECT_EQ(found.left_out[1].target, "z");
    EXPECT_EQ(found.left_out[1].reason, "no target of a");
}

TEST(CompareRows, DoNotTestTrialsButAverageThem) {
    auto sample = sample_of(1);
    for (auto& scored : sample.view.cells) scored.cell.trial = 1;
    auto const right = row_named(sample.view, "right", "run");
    auto const dull = row_named(sample.view, "dull", "run");
    auto const found = compare_rows(right, dull, {});
    EXPECT_THAT(found.targets, IsEmpty());
    ASSERT_EQ(found.left_out.size(), 2U);
    EXPECT_THAT(found.left_out[0].reason, HasSubstr("trials"));
    auto const averages = compare_averages(right, dull);
    EXPECT_EQ(averages.targets, 2U);
    EXPECT_DOUBLE_EQ(averages.a, 1);
    EXPECT_DOUBLE_EQ(averages.b, (2.0 / 5 + 1.0 / 2) / 2);
}

TEST(CompareRows, AreFoundByNameAndSuggestedWhenMisspelt) {
    auto sample = sample_of(1);
    auto const message = [&](std::string const& name) {
        try {
            row_named(sample.view, name, "runs/x");
        } catch (InputError const& error) {
            return describe(error);
        }
        return std::string{"no error"};
    };
    EXPECT_THAT(message("rihgt"), testing::AllOf(HasSubstr("did you mean right?"), HasSubstr("runs/x")));
    EXPECT_THAT(message("demo/dul"), HasSubstr("did you mean demo/dull?"));
    sample.add_grid("other", "Another", {"x"});
    sample.add_row("dull", "base()", gold);
    EXPECT_THAT(message("dull"), HasSubstr("say which: demo/dull, other/dull"));
    EXPECT_EQ(row_named(sample.view, "other/dull", "run").grid, 1U);
}

/// Plans of made-up corpora, in which nothing is computed.
class ComparePlans : public testing::Test {
protected:
    plan::Plan plan(std::string const& rows, std::string const& settings = {}) {
        write_atomically(folder / "run.yaml",
                         "base: base.gguf\nencoder: minilm\nexperts:\n  north: {datasets: [alpha], samples: 10}\n  "
                         "south: {datasets: [beta], samples: 10}\ntargets: {a: {dataset: alpha}}\n" +
                             settings);
        write_atomically(
            folder / "demo.yaml",
            "experiment: demo\ntargets: [a]\nlet: {ours: \"pool(north, south)\"}\nrows:\n  base: base\n" + rows);
        auto const texts = [](std::string const& id, std::string const& split) {
            return work::Texts{{work::DatasetSource{id, {{split, "hash of " + id + split}}}}};
        };
        plan::Inputs inputs;
        inputs.base = "base-hash";
        inputs.encoder = "encoder-hash";
        for (auto const& [expert, id] : {std::pair{"north", "alpha"}, {"south", "beta"}})
            inputs.experts[expert] = {{std::get<work::DatasetSource>(texts(id, "train").sources[0])}, 10};
        inputs.targets["a"] = {texts("alpha", "test"), 4};
        plan::Plan made{
            {plan::load_experiment(folder / "demo.yaml")}, plan::load_run_file(folder / "run.yaml"), inputs};
        made.take_new();
        return made;
    }

    static Records done(plan::Plan const& plan, std::string const& hash) {
        Records records;
        for (auto const& [key, planned] : plan.tasks()) {
            records[key] = {key, std::string{work::kind_of(planned.task)}, true};
            records[key].sha256 = hash;
        }
        return records;
    }

    static std::string reasons(PlanComparison const& found) {
        std::string text;
        for (auto const& reason : found.reasons) {
            text += fmt::format("{} {} {}:", reason.kind, reason.only_a, reason.only_b);
            for (auto const& [name, values] : reason.members) {
                text += " " + name;
                for (auto const& [a, b] : values) text += fmt::format(" ({}, {})", a, b);
            }
            for (auto const& name : reason.reads) text += " reads " + name;
            text += "\n";
        }
        return text;
    }

    TemporaryFolder folder;
    std::string const merged = "  all: merge(ours)\n";
};

TEST_F(ComparePlans, CountTasksOfBothByTheirResults) {
    auto const made = plan(merged);
    auto const records = done(made, "x");
    auto other = records;
    auto found = compare_plans(made, records, made, other);
    EXPECT_THAT(found.reasons, IsEmpty());
    EXPECT_THAT(found.others, IsEmpty());
    std::int64_t equal = 0;
    for (auto const& kind : found.kinds) equal += kind.equal;
    EXPECT_EQ(equal, 5);  // two trainings, a merge, two passes
    auto const key = made.tasks().begin()->first;
    other.at(key).sha256 = "y";
    found = compare_plans(made, records, made, other);
    ASSERT_EQ(found.others.size(), 1U);
    EXPECT_EQ(found.others[0].key, key);
    EXPECT_EQ(found.others[0].a + found.others[0].b, "xy");
    other.erase(key);
    found = compare_plans(made, records, made, other);
    std::int64_t open = 0;
    for (auto const& kind : found.kinds) open += kind.open;
    EXPECT_EQ(open, 1);
}

TEST_F(ComparePlans, TellOfASettingOnceAndOfWhatFollowsFromIt) {
    auto const a = plan(merged, "train: {learning_rate: 0.5}\n");
    auto const b = plan(merged, "train: {learning_rate: 0.25}\n");
    EXPECT_EQ(reasons(compare_plans(a, {}, b, {})),
              "infer 1 1: reads adapter\nmerge 1 1: reads adapters\ntrain 2 2: options.learning_rate (0.5, 0.25)\n");
}

TEST_F(ComparePlans, SetTasksOfNewRowsAgainstTheNearestThatAreThere) {
    auto const a = plan(merged);
    auto const b = plan(merged + "  sparse: merge(ours, density=0.25)\n  north: expert(ours, north)\n");
    auto const found = compare_plans(a, {}, b, {});
    EXPECT_THAT(reasons(found), HasSubstr("merge 0 1: density (0.5, 0.25)\n"));
    EXPECT_THAT(reasons(found), HasSubstr("infer 0 1: reads adapter\n"));
    EXPECT_THAT(reasons(found), HasSubstr("infer 0 1: adapter ("));
    EXPECT_EQ(reasons(compare_plans(b, {}, a, {})).find("0 1"), std::string::npos);
}

}  // namespace
}  // namespace samner::report
