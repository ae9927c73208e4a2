#include "work/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "samples.h"
#include "temporary_folder.h"

namespace samner::work {
namespace {

Infer pass_over(std::int64_t sentences) {
    auto task = a_whole_pass();
    task.sentences = sentences;
    return task;
}

TaskRecord record(std::string const& key, std::string const& kind, double seconds, Result result) {
    TaskRecord record;
    record.key = key;
    record.kind = kind;
    record.ok = true;
    record.result = std::move(result);
    record.seconds = seconds;
    return record;
}

/// The tasks of a run, as Rates looks them up.
auto in(std::map<std::string, Task> const& tasks) {
    return [&tasks](std::string const& key) {
        auto const found = tasks.find(key);
        return found == tasks.end() ? nullptr : &found->second;
    };
}

TEST(CostRates, AreGuessesForEveryKindBeforeAnythingWasMeasured) {
    Rates const rates;
    for (auto const& task : sample_tasks()) {
        EXPECT_FALSE(rates.measured(kind_of(task)));
        EXPECT_GT(rates.of(task).seconds, 0) << kind_of(task);
    }
    EXPECT_DOUBLE_EQ(rates.of(pass_over(20)).seconds, 2 * rates.of(pass_over(10)).seconds);
    EXPECT_DOUBLE_EQ(rates.of(pass_over(20)).tokens, 2 * rates.of(pass_over(10)).tokens);
    EXPECT_THROW(rates.of("nonsense"), Error);
}

TEST(CostRates, BecomeTheMeanOfWhatWasMeasured) {
    std::map<std::string, Task> const tasks{{"a", pass_over(10)}, {"b", pass_over(30)}, {"t", a_training()}};
    auto shared = record("b", "infer", 5, Pass{30, 0, 0, 300, 60});
    shared.team = {0, 1, 2};  // five seconds of each
    Rates rates;
    auto const guess = rates.of("train");
    rates.measure({{"a", record("a", "infer", 1, Pass{10, 0, 0, 100, 20})}, {"b", shared}}, in(tasks));
    EXPECT_TRUE(rates.measured("infer"));
    EXPECT_DOUBLE_EQ(rates.of("infer").seconds, (1.0 + 3 * 5.0) / 40);
    EXPECT_DOUBLE_EQ(rates.of("infer").tokens, (120.0 + 360.0) / 40);
    EXPECT_DOUBLE_EQ(rates.of(pass_over(80)).seconds, 2 * 16.0);
    EXPECT_FALSE(rates.measured("train"));
    EXPECT_EQ(rates.of("train").seconds, guess.seconds);
    rates.measure({{"t", record("t", "train", 42, Trained{14, {{1, 0, 0, 0, 70}, {2, 0, 0, 0, 14}}})}}, in(tasks));
    EXPECT_DOUBLE_EQ(rates.of("train").seconds, 42.0 / (7 * 12));
    EXPECT_DOUBLE_EQ(rates.of("train").tokens, 84.0 / (7 * 12));
    EXPECT_DOUBLE_EQ(rates.of("infer").seconds, 16.0 / 40);  // as measured before
}

TEST(CostRates, AreKeptInAFileForOtherRuns) {
    std::map<std::string, Task> const tasks{{"a", pass_over(10)}};
    Rates measured;
    measured.measure({{"a", record("a", "infer", 5, Pass{10, 0, 0, 100, 20})}}, in(tasks));
    TemporaryFolder const folder;
    write_atomically(folder / "rates.json", to_text(measured.to_json()));
    Rates other;
    other.read(folder / "rates.json");
    EXPECT_TRUE(other.measured("infer"));
    EXPECT_DOUBLE_EQ(other.of("infer").seconds, 0.5);
    EXPECT_DOUBLE_EQ(other.of("infer").tokens, 12);
    EXPECT_FALSE(other.measured("train")) << "what was guessed there is no measurement here";
    for (auto const* text : {"[]", "{}", R"({"version": 2, "kinds": {}})", R"({"version": 1})",
                             R"({"version": 1, "kinds": {"nonsense": {"seconds": 1, "tokens": 1, "artifact_bytes": 1}}})",
                             R"({"version": 1, "kinds": {"train": {"seconds": -1, "tokens": 1, "artifact_bytes": 1}}})",
                             R"({"version": 1, "kinds": {"train": {"seconds": "x"}}})"}) {
        write_atomically(folder / "bad.json", text);
        EXPECT_THROW(other.read(folder / "bad.json"), InputError) << text;
    }
}

TEST(CostRates, AreNotMeasuredOfOtherTasksOrFailedOnesOrNothing) {
    std::map<std::string, Task> const tasks{{"a", pass_over(10)}, {"none", pass_over(0)}};
    auto failed = record("a", "infer", 9, Pass{});
    failed.ok = false;
    failed.result.reset();
    Rates rates;
    auto const guess = rates.of("infer");
    rates.measure({{"a", failed},
                   {"none", record("none", "infer", 9, Pass{})},
                   {"elsewhere", record("elsewhere", "infer", 9, Pass{10, 0, 0, 1, 1})}},
                  in(tasks));
    EXPECT_FALSE(rates.measured("infer"));
    EXPECT_EQ(rates.of("infer").seconds, guess.seconds);
    rates.measure({{"a", record("a", "infer", 2, Pass{10, 0, 0, 1, 1})},
                   {"elsewhere", record("elsewhere", "infer", 1e6, Pass{10, 0, 0, 1, 1})}},
                  in(tasks));
    EXPECT_DOUBLE_EQ(rates.of("infer").seconds, 0.2);
}

}  // namespace
}  // namespace samner::work
