#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <tuple>

#include "core/error.h"
#include "core/random.h"
#include "core/stop.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::ElementsAre;

/// Workers that answer at once, in the order in which they were asked, or in that of `next`. None is ever given work
/// while it has some.
class ToyChannel : public TaskChannel {
public:
    explicit ToyChannel(int workers, Recorder* recorder = nullptr)
        : workers_{workers}, recorder_{static_cast<ToyRecorder*>(recorder)} {}

    int workers() const override { return workers_; }
    void send(Assignment const& work) override {
        if (recorder_) {
            EXPECT_EQ(recorder_->durable, recorder_->order.size()) << "sent before it was durable";
        }
        EXPECT_TRUE(std::ranges::is_sorted(work.team));
        for (auto const worker : work.team) {
            EXPECT_TRUE(worker >= 0 && worker < workers_);
            EXPECT_TRUE(busy.insert(worker).second) << "worker " << worker << " has work already";
        }
        most_at_once = std::max(most_at_once, std::ssize(busy));
        auto& keys = sent.emplace_back();
        for (auto const& task : work.tasks) {
            keys.push_back(task.key);
            teams[task.key] = work.team;
            TaskResult result;
            result.key = task.key;
            result.kind = task.kind;
            result.rank = work.team.front();
            result.ok = !broken.contains(task.key);
            result.error = result.ok ? "" : "broken";
            result.stopped = stops.contains(task.key);
            result.result = task.payload;
            answers_.push_back({result, work.number});
            ++open_[work.number];
            if (doubled) answers_.push_back({result, -1});
            if (on_send) on_send(task);
        }
    }
    std::optional<TaskResult> receive(std::chrono::milliseconds) override {
        if (answers_.empty()) return std::nullopt;
        auto const which = answers_.begin() + (next ? next(std::ssize(answers_)) : 0);
        auto const [result, number] = *which;
        answers_.erase(which);
        if (number >= 0 && --open_[number] == 0) {
            for (auto const worker : teams.at(result.key)) busy.erase(worker);
        }
        return result;
    }
    void stop(int signal) override { stop_sent = signal; }
    void finish() override {}

    std::set<std::string> broken;
    std::set<std::string> stops;
    bool doubled = false;
    std::function<void(Task const&)> on_send;
    std::function<std::ptrdiff_t(std::ptrdiff_t)> next;  ///< which of so many answers comes first
    std::vector<std::vector<std::string>> sent;          ///< keys, by assignment
    std::map<std::string, std::vector<int>> teams;       ///< by key
    std::set<int> busy;
    std::ptrdiff_t most_at_once = 0;  ///< workers
    int stop_sent = 0;

private:
    struct Answer {
        TaskResult result;
        int number;  ///< of the assignment
    };
    int workers_;
    ToyRecorder* recorder_;
    std::deque<Answer> answers_;
    std::map<int, int> open_;  ///< answers that are to come, by assignment
};

class Coordination : public testing::Test {
protected:
    void TearDown() override { clear_stop(); }
    ToyRecorder recorder;
};

TEST_F(Coordination, TakesTheLongestWayFirstAndBreaksTiesByKey) {
    ToySource source{
        {task("short", {}, 1), task("b", {}, 2), task("a", {}, 2), task("long", {}, 1), task("end", {"long"}, 5)}};
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_THAT(recorder.order, ElementsAre("long", "end", "a", "b", "short"));
    EXPECT_EQ(outcome.done, 5);
    EXPECT_EQ(channel.most_at_once, 1);
}

TEST_F(Coordination, LeavesOutWhatDependsOnAFailureAndDoesTheRest) {
    ToySource source{{task("a"), task("b", {"a"}), task("c", {"b"}), task("d")}};
    ToyChannel channel{2, &recorder};
    channel.broken = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.done, 1);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.not_run, 2);
    EXPECT_EQ(source.failures, (std::map<std::string, std::string>{{"a", "broken"}}));
    EXPECT_TRUE(source.results.contains("d"));
}

TEST_F(Coordination, RunsTasksThatBecomeKnownOnTheWay) {
    ToySource source{{task("select")}};
    source.after["select"] = {task("merge", {"select"}), task("infer", {"merge"})};
    ToyChannel channel{3, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 3);
    EXPECT_THAT(recorder.order, ElementsAre("select", "merge", "infer"));
}

TEST_F(Coordination, RunsATaskThatBecomesKnownAfterOneThatWaitsForIt) {
    // The dependant comes first, and the longest way to the end leads through what it waits for.
    ToySource source{{task("last", {"first", "early"}, 5), task("early", {}, 3)}};
    source.after["early"] = {task("first", {"early"}, 1), task("aside", {"early"}, 5)};
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.done, 4);
    EXPECT_EQ(outcome.not_run, 0);
    EXPECT_THAT(recorder.order, ElementsAre("early", "first", "aside", "last"));
}

TEST_F(Coordination, MakesAResultDurableEvenWhenNothingIsReadyAndATaskStillRuns) {
    struct Counting : ToyRecorder {
        void sync() override { synced = ended_tasks.size(); }
        std::size_t synced = 0;
    } counting;
    /// Holds the second result back until the first has been seen to be durable.
    struct Slow : ToyChannel {
        Slow(Counting& recorder) : ToyChannel{2}, counting{recorder} {}
        std::optional<TaskResult> receive(std::chrono::milliseconds wait) override {
            if (taken == 1 && counting.synced == 0 && ++asked < 1000) return std::nullopt;
            was_durable = was_durable || (taken == 1 && counting.synced == 1);
            auto result = ToyChannel::receive(wait);
            taken += result.has_value();
            return result;
        }
        Counting& counting;
        int asked = 0;
        int taken = 0;
        bool was_durable = false;
    } channel{counting};
    ToySource source{{task("a"), task("b")}};
    EXPECT_EQ(coordinate(source, counting, channel).done, 2);
    EXPECT_TRUE(channel.was_durable);
}

TEST_F(Coordination, IgnoresAResultThatComesTwice) {
    ToySource source{{task("a"), task("b", {"a"})}};
    ToyChannel channel{1};
    channel.doubled = true;
    EXPECT_EQ(coordinate(source, recorder, channel).done, 2);
    EXPECT_THAT(recorder.ended_tasks, ElementsAre("a", "b"));
}

TEST_F(Coordination, StartsNothingAfterAStopAndWaitsForWhatRuns) {
    ToySource source{{task("a"), task("b", {"a"}), task("c", {"b"})}};
    ToyChannel channel{1};
    channel.on_send = [](Task const& sent) {
        if (sent.key == "b") request_stop(SIGUSR1);
    };
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.stop_signal, SIGUSR1);
    EXPECT_EQ(channel.stop_sent, SIGUSR1);
    EXPECT_EQ(outcome.done, 2);
    EXPECT_EQ(outcome.not_run, 1);
}

TEST_F(Coordination, StopsAllWhenOneWorkerWasStopped) {
    ToySource source{{task("a"), task("b", {"a"})}};
    ToyChannel channel{1};
    channel.stops = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.stop_signal, SIGTERM);
    EXPECT_EQ(outcome.done, 0);
    EXPECT_EQ(outcome.not_run, 2);
}

TEST_F(Coordination, OfAGraphThatCannotGoOnIsAnError) {
    ToySource source{{task("a", {"nobody"})}};
    ToyChannel channel{1};
    EXPECT_THROW(coordinate(source, recorder, channel), Error);
    ToySource narrow_source{{wide_task("w", 0)}};
    EXPECT_THROW(coordinate(narrow_source, recorder, channel), InputError);
}

TEST_F(Coordination, OfManyTasksKeepsAllWorkersBusy) {
    std::vector<Task> tasks;
    for (int i = 0; i < 100'000; ++i)
        tasks.push_back(
            task("task" + std::to_string(i),
                 i % 10 ? std::vector<std::string>{"task" + std::to_string(i - i % 10)} : std::vector<std::string>{}));
    ToySource source{tasks};
    ToyChannel channel{64};
    auto const start = std::chrono::steady_clock::now();
    EXPECT_EQ(coordinate(source, recorder, channel).done, 100'000);
    std::chrono::duration<double> const seconds = std::chrono::steady_clock::now() - start;
    RecordProperty("assignments_per_second", static_cast<int>(100'000 / seconds.count()));
    EXPECT_EQ(channel.most_at_once, 64);
}

using Members = std::vector<int>;

TEST_F(Coordination, GivesAWideTaskTheWorkersThatNothingElseNeeds) {
    ToySource source{{wide_task("wide", 8, {}, 9), task("a"), task("b")}};
    ToyChannel channel{6, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 3);
    EXPECT_EQ(channel.teams.at("wide"), (Members{0, 1, 2, 3}));
    EXPECT_EQ(recorder.teams.at("wide"), (Members{0, 1, 2, 3}));
    EXPECT_EQ(channel.teams.at("a"), Members{4});
    EXPECT_EQ(recorder.teams.at("a"), Members{});
    EXPECT_TRUE(channel.busy.empty());
}

TEST_F(Coordination, SharesIdleWorkersAmongWideTasksInTurn) {
    ToySource source{{wide_task("a", 16, {}, 3), wide_task("b", 16, {}, 2), wide_task("c", 1, {}, 1)}};
    ToyChannel channel{8};
    coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("a").size(), 4U);
    EXPECT_EQ(channel.teams.at("b").size(), 2U);  // two more are not enough for the next size
    EXPECT_EQ(channel.teams.at("c").size(), 1U);
}

TEST_F(Coordination, NamesTeamsInWhichEveryWorkerHasSomethingToDo) {
    for (auto const& [workers, width, wanted] : {std::tuple{4, 2, 2U},
                                                 {3, 4, 2U},
                                                 {4, 3, 3U},
                                                 {4, 5, 3U},
                                                 {5, 5, 5U},
                                                 {7, 12, 6U},
                                                 {64, 30, 30U},
                                                 {1, 30, 1U}}) {
        ToySource source{{wide_task("a", width)}};
        ToyChannel channel{workers};
        coordinate(source, recorder, channel);
        EXPECT_EQ(channel.teams.at("a").size(), wanted) << workers << " workers, " << width << " parts";
    }
}

TEST_F(Coordination, KeepsAWideTaskNarrowWhileOthersAreReady) {
    ToySource source{{wide_task("a", 4, {}, 2), wide_task("b", 4), wide_task("c", 4, {"a"})}};
    ToyChannel channel{2};
    coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("a"), Members{0});
    EXPECT_EQ(channel.teams.at("b"), Members{1});
    EXPECT_EQ(channel.teams.at("c"), (Members{0, 1})) << "nothing else is left";
}

TEST_F(Coordination, NeverPutsABusyWorkerIntoATeamAndFreesAllMembers) {
    RandomStream const random{1, "graphs"};
    std::uint64_t drawn = 0;
    auto const below = [&](std::uint64_t limit) { return random.below(limit, drawn++); };
    for (int round = 0; round < 200; ++round) {
        std::vector<Task> tasks;
        auto const count = 1 + below(40);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::vector<std::string> after;
            for (std::uint64_t j = 0; j < below(3) && i > 0; ++j) after.push_back("task" + std::to_string(below(i)));
            std::ranges::sort(after);
            after.erase(std::unique(after.begin(), after.end()), after.end());
            tasks.push_back(wide_task("task" + std::to_string(i), static_cast<int>(1 + below(9)), after,
                                      static_cast<double>(below(5))));
            if (below(4) == 0) tasks.back().batch = "batch" + std::to_string(below(2));
        }
        ToySource source{tasks};
        ToyRecorder fresh;
        ToyChannel channel{static_cast<int>(1 + below(7)), &fresh};
        channel.next = [&](std::ptrdiff_t answers) {
            return static_cast<std::ptrdiff_t>(below(static_cast<std::uint64_t>(answers)));
        };
        auto const outcome = coordinate(source, fresh, channel);
        ASSERT_EQ(outcome.done, static_cast<std::int64_t>(count));
        EXPECT_TRUE(channel.busy.empty());
        for (auto const& one : tasks) EXPECT_LE(std::ssize(channel.teams.at(one.key)), one.width) << one.key;
    }
}

TEST_F(Coordination, FreesATeamWhoseTaskFailedOrWasStopped) {
    ToySource source{{wide_task("a", 4, {}, 2), wide_task("lost", 4, {"a"}), wide_task("b", 2, {"c"}), task("c")}};
    ToyChannel channel{3, &recorder};
    channel.broken = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("a"), (Members{0, 1}));
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.done, 2);
    EXPECT_EQ(outcome.not_run, 1);
    EXPECT_TRUE(channel.busy.empty());
    EXPECT_EQ(channel.teams.at("b").size(), 2U);

    ToySource stopped_source{{wide_task("a", 4), wide_task("b", 4, {"a"})}};
    ToyChannel stopping{4};
    stopping.stops = {"a"};
    auto const stopped = coordinate(stopped_source, recorder, stopping);
    EXPECT_EQ(stopped.stop_signal, SIGTERM);
    EXPECT_EQ(stopped.not_run, 2);
    EXPECT_TRUE(stopping.busy.empty());
}

TEST_F(Coordination, GivesATaskToTheWorkerThatMadeWhatItNeeds) {
    ToySource source{{task("a", {}, 3), task("b", {}, 2), task("x", {"a"}, 1), task("y", {"b"}, 5), task("z", {}, 1)}};
    ToyChannel channel{3};
    // All three are free when x and y become ready.
    coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("x"), channel.teams.at("a"));
    EXPECT_EQ(channel.teams.at("y"), channel.teams.at("b"));

    // It is left to that task by one that goes first and can be done anywhere.
    ToySource contested{{task("made"), task("user", {"made"})}};
    contested.after["made"] = {task("urgent", {}, 9)};
    ToyChannel two{2};
    coordinate(contested, recorder, two);
    EXPECT_EQ(two.teams.at("made"), Members{0});
    EXPECT_EQ(two.teams.at("user"), Members{0});
    EXPECT_EQ(two.teams.at("urgent"), Members{1});
}

TEST_F(Coordination, GivesReadyTasksOfABatchToOneWorkerByItsShare) {
    auto const batched = [](std::string const& key, std::string const& batch, std::vector<std::string> after = {}) {
        auto one = task(key, std::move(after), key == "later" ? 1 : 5);
        one.batch = batch;
        return one;
    };
    std::vector<Task> tasks;
    for (char const* key : {"a", "b", "c", "d", "e"}) tasks.push_back(batched(key, "votes"));
    tasks.push_back(batched("later", "votes", {"z"}));
    tasks.push_back(batched("m", "others"));
    tasks.push_back(task("z"));
    ToySource source{tasks};
    ToyChannel alone{1, &recorder};
    EXPECT_EQ(coordinate(source, recorder, alone).done, 8);
    EXPECT_THAT(alone.sent, ElementsAre(ElementsAre("a", "b", "c", "d", "e"), ElementsAre("m"), ElementsAre("z"),
                                        ElementsAre("later")));
    ToySource again{tasks};
    ToyChannel two{2};
    two.broken = {"b"};
    auto const outcome = coordinate(again, recorder, two);
    EXPECT_THAT(two.sent[0], ElementsAre("a", "b", "c"));
    EXPECT_EQ(outcome.failed, 1) << "the others of the batch are done";
    EXPECT_EQ(outcome.done, 7);
}

TEST_F(Coordination, BoundsABatch) {
    std::vector<Task> tasks;
    for (int i = 0; i < 20; ++i) {
        tasks.push_back(task("task" + std::to_string(i)));
        tasks.back().batch = "all";
    }
    ToySource source{tasks};
    ToyChannel channel{1};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 20);
    for (auto const& keys : channel.sent) EXPECT_LE(keys.size(), 8U);
    EXPECT_EQ(channel.sent.size(), 3U);
}

TEST(SafeExecution, MakesResultsOfReturnsErrorsAndStops) {
    auto const done = execute_safely(task("a"), [] { return std::pair{std::string{"hash"}, Json{{"x", 1}}}; });
    EXPECT_TRUE(done.ok);
    EXPECT_EQ(done.sha256, "hash");
    auto const failed = execute_safely(task("a"), []() -> std::pair<std::string, Json> {
        throw InputError{"bad", "mend it"};
    });
    EXPECT_FALSE(failed.ok);
    EXPECT_EQ(failed.error, "bad — mend it");
    auto const stopped = execute_safely(task("a"), []() -> std::pair<std::string, Json> { throw Stopped{"x"}; });
    EXPECT_TRUE(stopped.stopped);
    auto const nested = execute_safely(task("a"), []() -> std::pair<std::string, Json> {
        try {
            throw Stopped{"x", ExitCode::interrupted};
        } catch (...) {
            std::throw_with_nested(Error{"while reading the adapter"});
        }
    });
    EXPECT_TRUE(nested.stopped) << nested.error;
    EXPECT_EQ(TaskResult::from_json(failed.json()).json(), failed.json());
    EXPECT_THROW(execute_safely(task("a"), []() -> std::pair<std::string, Json> { throw InfrastructureError{"x"}; }),
                 InfrastructureError);
}

}  // namespace
}  // namespace samner::sched
