#include "app/run_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "app/run_display.h"
#include "core/error.h"
#include "temporary_folder.h"

namespace samner::app {
namespace {

using testing::DoubleEq;
using testing::Field;
using testing::HasSubstr;
using testing::Optional;

auto Seconds(double seconds) {
    return Field(&RunProgress::Left::seconds, DoubleEq(seconds));
}

/// A run whose time goes by as the test says.
class Progress : public testing::Test {
protected:
    static RunProgress::Task task(std::string const& key, double seconds, std::string const& kind = "train",
                                  bool measured = false) {
        return {key, kind, kind + " " + key, seconds, measured};
    }
    RunProgress on(int ranks) {
        return RunProgress{ranks, [this] { return now; }};
    }
    double now = 1000;
};

TEST_F(Progress, CountsExpectedSecondsAndNotTasks) {
    auto run = on(1);
    EXPECT_EQ(run.share(), 0);
    run.expect(task("big", 90));
    run.expect(task("small", 10, "merge"));
    run.expect(task("small", 10, "merge"));  // known already
    run.started("small", {0});
    run.ended("small", true, 10);
    EXPECT_EQ(run.counts().done, 1);
    EXPECT_EQ(run.counts().all, 2);
    EXPECT_DOUBLE_EQ(run.share(), 0.1);
    run.started("big", {0});
    EXPECT_DOUBLE_EQ(run.share(), 0.1);
    run.told("big", 12, 24, "");
    EXPECT_DOUBLE_EQ(run.share(), 0.55);
    run.told("big", 100, 24, "");
    EXPECT_DOUBLE_EQ(run.share(), 1);
    run.ended("big", true, 1);
    EXPECT_EQ(run.share(), 1);
}

TEST_F(Progress, KnowsNoTimeLeftFromGuessesAlone) {
    auto run = on(2);
    run.expect(task("a", 100));
    EXPECT_FALSE(run.left());
    run.started("a", {0});
    run.ended("a", true, 100);
    EXPECT_THAT(run.left(), Optional(Seconds(0)));

    auto measured = on(2);
    measured.expect(task("a", 100, "train", true));
    EXPECT_THAT(measured.left(), Optional(Seconds(50))) << "two ranks share what waits";
}

TEST_F(Progress, CorrectsTheTimeLeftByWhatTasksTookKindByKind) {
    auto run = on(2);
    for (auto const* key : {"a", "b", "c"}) run.expect(task(key, 10));
    for (auto const* key : {"x", "y"}) run.expect(task(key, 5, "infer"));
    run.started("a", {0});
    run.ended("a", true, 30);
    // All are taken to need three times as long: (10 + 10 + 5 + 5) x 3 on two ranks.
    EXPECT_THAT(run.left(), Optional(Seconds(45)));
    EXPECT_DOUBLE_EQ(run.left()->rank_seconds, 90);
    run.started("x", {0, 1});
    run.ended("x", true, 1);  // on both ranks: 2 in place of 5
    EXPECT_THAT(run.left(), Optional(Seconds((20 * 3 + 5 * 0.4) / 2)));
    run.started("b", {0});
    run.ended("b", false, 1000);  // how fast something fails says nothing
    EXPECT_THAT(run.left(), Optional(Seconds((10 * 3 + 5 * 0.4) / 2)));
}

TEST_F(Progress, TakesThePaceOfARunningTaskFromItsOwnSteps) {
    auto run = on(1);
    run.expect(task("a", 24));
    run.started("a", {0});
    now += 100;  // the model is loaded
    run.told("a", 1, 24, "");
    EXPECT_FALSE(run.left());
    now += 1;
    run.told("a", 12, 24, "");  // a checkpoint's steps, all at once
    EXPECT_FALSE(run.left());
    now += 4;
    run.told("a", 14, 24, "");  // two steps, of which one second each was expected
    EXPECT_THAT(run.left(), Optional(Seconds(20)));
}

TEST_F(Progress, IsNotDoneBeforeItsLongestTask) {
    auto run = on(4);
    run.expect(task("long", 40, "train", true));
    run.expect(task("short", 4, "train", true));
    run.started("long", {0});
    EXPECT_THAT(run.left(), Optional(Seconds(40))) << "three idle ranks are of no help";
}

TEST_F(Progress, OfAnEarlierCallCountsAsDoneAndWhatWaitsForFailuresNotAtAll) {
    auto run = on(1);
    for (auto const* key : {"a", "b", "c", "d"}) run.expect(task(key, 10));
    run.settled("a", true);
    run.settled("b", false);
    run.left_out("c");
    auto const [done, failed, all] = run.counts();
    EXPECT_EQ(done, 1);
    EXPECT_EQ(failed, 1);
    EXPECT_EQ(all, 3);
    EXPECT_DOUBLE_EQ(run.share(), 2.0 / 3);
    EXPECT_FALSE(run.left()) << "what it took then is in the rates, not here";
}

TEST_F(Progress, PassesOverWhatItDoesNotKnow) {
    auto run = on(1);
    run.started("nobody's", {0});
    run.told("nobody's", 1, 2, "");
    run.ended("nobody's", true, 1);
    run.settled("nobody's", true);
    run.left_out("nobody's");
    run.expect(task("a", 10));
    run.told("a", 1, 2, "before it runs");
    run.started("a", {0});
    run.told("a", -5, 0, "");
    EXPECT_EQ(run.share(), 0);
    run.ended("a", true, 0);
    run.told("a", 1, 2, "after its end");
    EXPECT_EQ(run.line(0), "[1/1] 100 %");
}

TEST_F(Progress, IsOneLineWithWhatEachRankDoes) {
    auto run = on(3);
    EXPECT_EQ(run.line(80), "");
    run.set_phase("loading the base model");
    EXPECT_EQ(run.line(80), "loading the base model");
    run.set_phase({});
    run.expect(task("stem", 100));
    for (auto const* key : {"x", "y", "z", "ill"}) run.expect(task(key, 100, "infer"));
    EXPECT_EQ(run.line(80), "[0/5] 0 %");
    run.started("ill", {2});
    run.ended("ill", false, 1);
    run.started("stem", {0, 1});
    for (auto const* key : {"x", "y", "z"}) run.started(key, {2});  // a batch
    run.told("stem", 12, 24, "loss 1.32");
    now += 1;
    run.told("x", 10, 10, "");
    now += 1;
    run.told("y", 4, 10, "");
    EXPECT_EQ(run.line(80), "[1/5] 58 %, 1 failed | train stem 12/24 loss 1.32 | infer y 4/10");
    run.ended("x", true, 110);
    EXPECT_THAT(run.line(200), HasSubstr("[2/5] 58 %, 1 failed, about 2 min left | train"));
}

TEST_F(Progress, IsCutToTheWidthOfTheTerminalBetweenCharacters) {
    auto run = on(1);
    run.expect({"a", "train", "train Zürich", 10, false});
    run.started("a", {0});
    EXPECT_EQ(run.line(24), "[0/1] 0 % | train Zürich");
    EXPECT_EQ(run.line(23), "[0/1] 0 % | train Züri…");
    EXPECT_EQ(run.line(20), "[0/1] 0 % | train Z…");
    EXPECT_EQ(run.line(1), "…");
    EXPECT_EQ(cut_to("", 0), "");
    EXPECT_EQ(cut_to("ab", 0), "");
}

TEST_F(Progress, NamesEightTasksOfManyInALog) {
    auto run = on(20);
    for (int i = 0; i < 20; ++i) {
        run.expect(task(std::to_string(i), 1));
        run.started(std::to_string(i), {i});
    }
    EXPECT_THAT(run.line(0), HasSubstr("train 7 | 12 more"));
}

TEST_F(Progress, IsAJsonDocument) {
    auto run = on(2);
    run.expect(task("stem", 100));
    run.expect(task("x", 50, "infer"));
    run.expect(task("y", 50, "infer"));
    run.started("x", {0});
    run.started("y", {0});
    run.settled("stem", true);
    now += 7;
    run.told("y", 5, 10, "half");
    auto const json = run.to_json();
    EXPECT_EQ(json["tasks"], (Json{{"done", 1}, {"failed", 0}, {"all", 3}}));
    EXPECT_EQ(json["kinds"]["infer"], (Json{{"done", 0}, {"failed", 0}, {"all", 2}}));
    EXPECT_EQ(json["share"], 0.625);
    EXPECT_EQ(json["rank_seconds_expected"], 200.0);
    EXPECT_TRUE(json["seconds_left"].is_null());
    ASSERT_EQ(json["running"].size(), 2U);
    EXPECT_EQ(json["running"][1], (Json{{"key", "y"},
                                        {"label", "infer y"},
                                        {"ranks", {0}},
                                        {"done", 5},
                                        {"total", 10},
                                        {"note", "half"},
                                        {"active", true},
                                        {"seconds", 7.0},
                                        {"seconds_expected", 50.0}}));
    EXPECT_EQ(json["running"][0]["active"], false);
}

TEST(Durations, AreRoundedToWhatCounts) {
    EXPECT_EQ(duration_text(0.2), "0 s");
    EXPECT_EQ(duration_text(59.4), "59 s");
    EXPECT_EQ(duration_text(59.6), "1 min");
    EXPECT_EQ(duration_text(240), "4 min");
    EXPECT_EQ(duration_text(3600), "1 h");
    EXPECT_EQ(duration_text(5400), "1 h 30 min");
}

TEST(RunDisplay, KeepsAWholeFileThatSaysHowTheRunEnded) {
    TemporaryFolder const folder;
    auto const told = [&] { return read_json(progress_path(folder.path())); };
    {
        RunDisplay display{{folder.path(), 3, {}, 2}};
        EXPECT_EQ(told()["state"], "running");
        EXPECT_EQ(told()["epoch"], 3);
        EXPECT_EQ(told()["ranks"], 2);
        display.set_phase("loading the base model");
        EXPECT_EQ(told()["phase"], "loading the base model");
        display.end(RunDisplay::End::stopped, "SIGTERM");
        EXPECT_EQ(told()["state"], "stopped");
        EXPECT_EQ(told()["signal"], "SIGTERM");
        EXPECT_EQ(told()["phase"], "");
    }
    EXPECT_EQ(told()["state"], "stopped");
    { RunDisplay const display{{folder.path(), 4, {}, 2}}; }
    EXPECT_EQ(told()["state"], "failed") << "an exception ended it";
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "progress.json.partial"));
}

TEST(RunDisplay, EndsNothingWhereItCannotWriteAndWritesNothingIntoAFolderThatIsTakenOver) {
    TemporaryFolder const folder;
    RunDisplay nowhere{{folder.path() / "missing", 1, {}, 1}};
    EXPECT_NO_THROW(nowhere.tick());
    EXPECT_NO_THROW(nowhere.end(RunDisplay::End::done));
    RunDisplay lost{{folder.path(), 1, [] { throw RunInUseError{"taken over"}; }, 1}};
    lost.end(RunDisplay::End::done);
    EXPECT_FALSE(std::filesystem::exists(progress_path(folder.path())));
}

}  // namespace
}  // namespace samner::app
