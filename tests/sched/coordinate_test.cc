#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <deque>

#include "core/error.h"
#include "core/stop.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::ElementsAre;

/// Workers that answer at once, in the order in which they were asked.
class ToyChannel : public TaskChannel {
public:
    explicit ToyChannel(int workers, Recorder* recorder = nullptr)
        : workers_{workers}, recorder_{static_cast<ToyRecorder*>(recorder)} {}

    int workers() const override { return workers_; }
    void send(int worker, Task const& task) override {
        if (recorder_) {
            EXPECT_EQ(recorder_->durable, recorder_->order.size()) << "sent before it was durable";
        }
        ++sent;
        most_at_once = std::max(most_at_once, ++running);
        TaskResult result;
        result.key = task.key;
        result.kind = task.kind;
        result.rank = worker;
        result.ok = !broken.contains(task.key);
        result.error = result.ok ? "" : "broken";
        result.stopped = stops.contains(task.key);
        result.result = task.payload;
        results_.push_back(result);
        if (doubled) results_.push_back(result);
        if (on_send) on_send(task);
    }
    std::optional<TaskResult> receive(std::chrono::milliseconds) override {
        if (results_.empty()) return std::nullopt;
        auto result = results_.front();
        results_.pop_front();
        --running;
        return result;
    }
    void stop(int signal) override { stop_sent = signal; }
    void finish() override {}

    std::set<std::string> broken;
    std::set<std::string> stops;
    bool doubled = false;
    std::function<void(Task const&)> on_send;
    int sent = 0;
    int running = 0;
    int most_at_once = 0;
    int stop_sent = 0;

private:
    int workers_;
    ToyRecorder* recorder_;
    std::deque<TaskResult> results_;
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
    auto wide = task("w");
    wide.width = 2;
    ToySource wide_source{{wide}};
    EXPECT_THROW(coordinate(wide_source, recorder, channel), InputError);
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
}

}  // namespace
}  // namespace samner::sched
