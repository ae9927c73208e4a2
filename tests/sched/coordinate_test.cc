#include "sched/coordinate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "core/error.h"
#include "core/random.h"
#include "core/stop.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::ElementsAre;
using testing::ThrowsMessage;

/// Workers that answer at once, in the order in which they were asked, or in that of `next`. None is ever given work
/// while it has some.
class ToyChannel : public Channel {
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
        for (auto const& job : work.jobs) {
            keys.push_back(job.key);
            teams[job.key] = work.team;
            JobResult result;
            result.key = job.key;
            result.rank = work.team.front();
            result.ok = !broken.contains(job.key);
            result.error = result.ok ? "" : "broken";
            result.stopped = stops.contains(job.key);
            result.result = job.task;
            answers_.push_back({result, work.number});
            ++open_[work.number];
            if (doubled) answers_.push_back({result, -1});
            if (on_send) on_send(job);
        }
    }
    std::optional<JobResult> receive(std::chrono::milliseconds) override {
        if (answers_.empty()) return std::nullopt;
        auto const which = answers_.begin() + (next ? next(std::ssize(answers_)) : 0);
        auto [result, number] = std::move(*which);
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
    std::function<void(Job const&)> on_send;
    std::function<std::ptrdiff_t(std::ptrdiff_t)> next;  ///< which of so many answers comes first
    std::vector<std::vector<std::string>> sent;          ///< keys, by assignment
    std::map<std::string, std::vector<int>> teams;       ///< by key
    std::set<int> busy;
    std::ptrdiff_t most_at_once = 0;  ///< workers
    int stop_sent = 0;

private:
    struct Answer {
        JobResult result;
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

TEST_F(Coordination, TakesTheLongestCriticalPathFirstAndBreaksTiesByKey) {
    ToySource source{
        {job("short", {}, 1), job("b", {}, 2), job("a", {}, 2), job("long", {}, 1), job("end", {"long"}, 5)}};
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_THAT(recorder.order, ElementsAre("long", "end", "a", "b", "short"));
    EXPECT_EQ(outcome.done, 5);
    EXPECT_EQ(channel.most_at_once, 1);
}

TEST_F(Coordination, RecordsAJobWithItsTaskAndResult) {
    ToySource source{{job("a"), job("b")}};
    ToyChannel channel{1};
    channel.broken = {"b"};
    coordinate(source, recorder, channel);
    EXPECT_EQ(recorder.tasks, (std::map<std::string, std::string>{{"a", "a"}, {"b", "b"}}));
    EXPECT_EQ(source.results, (std::map<std::string, std::string>{{"a", "a"}}));
}

TEST_F(Coordination, LeavesOutWhatDependsOnAFailureAndDoesTheRest) {
    ToySource source{{job("a"), job("b", {"a"}), job("c", {"b"}), job("d")}};
    ToyChannel channel{2, &recorder};
    channel.broken = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.done, 1);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.not_run, 2);
    EXPECT_EQ(source.failures, (std::map<std::string, std::string>{{"a", "broken"}}));
    EXPECT_TRUE(source.results.contains("d"));
}

TEST_F(Coordination, RunsJobsThatBecomeKnownOnTheWay) {
    ToySource source{{job("select")}};
    source.after["select"] = {job("merge", {"select"}), job("infer", {"merge"})};
    ToyChannel channel{3, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 3);
    EXPECT_THAT(recorder.order, ElementsAre("select", "merge", "infer"));
}

TEST_F(Coordination, RunsAJobThatBecomesKnownAfterOneThatWaitsForIt) {
    // The dependant comes first, and the longest path to the end leads through what it waits for.
    ToySource source{{job("last", {"first", "early"}, 5), job("early", {}, 3)}};
    source.after["early"] = {job("first", {"early"}, 1), job("aside", {"early"}, 5)};
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.done, 4);
    EXPECT_EQ(outcome.not_run, 0);
    EXPECT_THAT(recorder.order, ElementsAre("early", "first", "aside", "last"));
}

TEST_F(Coordination, MakesAResultDurableEvenWhenNothingIsReadyAndAJobStillRuns) {
    struct Counting : ToyRecorder {
        void sync() override { synced = ended_jobs.size(); }
        std::size_t synced = 0;
    } counting;
    /// Holds the second result back until the first has been seen to be durable.
    struct Slow : ToyChannel {
        Slow(Counting& recorder) : ToyChannel{2}, counting{recorder} {}
        std::optional<JobResult> receive(std::chrono::milliseconds wait) override {
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
    ToySource source{{job("a"), job("b")}};
    EXPECT_EQ(coordinate(source, counting, channel).done, 2);
    EXPECT_TRUE(channel.was_durable);
}

TEST_F(Coordination, PassesProgressOnAndTicksWhateverItSays) {
    /// Tells before each answer of its job, of one that has ended and of one that nobody has.
    struct Telling : ToyChannel {
        using ToyChannel::ToyChannel;
        std::optional<JobResult> receive(std::chrono::milliseconds wait) override {
            auto result = ToyChannel::receive(wait);
            if (result) told.push_back({result->key, 1, 2, "half", 0});
            return result;
        }
        std::vector<Progress> take_progress() override {
            told.push_back({"nobody's", -1, 0, "", 99});
            return std::exchange(told, {});
        }
        std::vector<Progress> told;
    } channel{1};
    ToySource source{{job("a"), job("b", {"a"})}};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome, (Outcome{.done = 2}));
    EXPECT_THAT(recorder.ended_jobs, ElementsAre("a", "b"));
    EXPECT_THAT(recorder.told, testing::Contains(Progress{"a", 1, 2, "half", 0}));
    EXPECT_THAT(recorder.told, testing::Contains(Progress{"b", 1, 2, "half", 0}));
    EXPECT_THAT(recorder.told, testing::Contains(Progress{"nobody's", -1, 0, "", 99}));
    EXPECT_GE(recorder.ticks, 2);
}

TEST_F(Coordination, IgnoresAResultThatComesTwice) {
    ToySource source{{job("a"), job("b", {"a"})}};
    ToyChannel channel{1};
    channel.doubled = true;
    EXPECT_EQ(coordinate(source, recorder, channel).done, 2);
    EXPECT_THAT(recorder.ended_jobs, ElementsAre("a", "b"));
}

TEST_F(Coordination, StartsNothingAfterAStopAndWaitsForWhatRuns) {
    ToySource source{{job("a"), job("b", {"a"}), job("c", {"b"})}};
    ToyChannel channel{1};
    channel.on_send = [](Job const& sent) {
        if (sent.key == "b") request_stop(SIGUSR1);
    };
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.stop_signal, SIGUSR1);
    EXPECT_EQ(channel.stop_sent, SIGUSR1);
    EXPECT_EQ(outcome.done, 2);
    EXPECT_EQ(outcome.not_run, 1);
}

TEST_F(Coordination, StopsAllWhenOneWorkerWasStopped) {
    ToySource source{{job("a"), job("b", {"a"})}};
    ToyChannel channel{1};
    channel.stops = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.stop_signal, SIGTERM);
    EXPECT_EQ(outcome.done, 0);
    EXPECT_EQ(outcome.not_run, 2);
}

TEST_F(Coordination, DoesOtherWorkFirstAndWaitsForWhatOthersDo) {
    ToySource source{{job("theirs", {}, 9), job("after", {"theirs"}, 1), job("a"), job("b")}};
    source.elsewhere = {"theirs"};
    source.on_look = [&]() -> JobSource::Elsewhere {
        if (source.results.size() < 2) return {};
        source.results["theirs"] = "of another run";
        return {.done = {"theirs"}, .free = {}};
    };
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_THAT(recorder.order, ElementsAre("a", "b", "after"));
    EXPECT_EQ(outcome.done, 3);
    EXPECT_EQ(outcome.not_run, 0);
    EXPECT_THAT(source.refused, ElementsAre("theirs"));
}

TEST_F(Coordination, DoesItselfWhatOthersHaveGivenUp) {
    ToySource source{{job("theirs"), job("after", {"theirs"})}};
    source.elsewhere = {"theirs"};
    source.on_look = [&]() -> JobSource::Elsewhere {
        source.elsewhere.clear();
        return {.done = {}, .free = {"theirs"}};
    };
    ToyChannel channel{2, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 2);
    EXPECT_THAT(recorder.order, ElementsAre("theirs", "after"));
}

TEST_F(Coordination, TakesNewJobsWhenOthersHaveDoneWhatTheyWaitedFor) {
    ToySource source{{job("select")}};
    source.elsewhere = {"select"};
    source.on_look = [&]() -> JobSource::Elsewhere {
        JobResult result;
        result.key = "select";
        source.after["select"] = {job("merge", {"select"})};
        source.finished(result);
        return {.done = {"select"}, .free = {}};
    };
    ToyChannel channel{2, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 1);
    EXPECT_THAT(recorder.order, ElementsAre("merge"));
}

TEST_F(Coordination, DoesNotWaitForOthersAfterAStop) {
    ToySource source{{job("theirs")}};
    source.elsewhere = {"theirs"};
    source.on_look = []() -> JobSource::Elsewhere {
        request_stop(SIGTERM);
        return {};
    };
    ToyChannel channel{1, &recorder};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(outcome.stop_signal, SIGTERM);
    EXPECT_EQ(outcome.not_run, 1);
}

TEST_F(Coordination, GivesABatchWithoutTheJobsThatOthersDo) {
    ToySource source{{batched_job("a", "x"), batched_job("b", "x"), batched_job("c", "x"), job("end", {"b"})}};
    source.elsewhere = {"b"};
    source.on_look = [&]() -> JobSource::Elsewhere {
        return source.results.size() < 2 ? JobSource::Elsewhere{} : JobSource::Elsewhere{{"b"}, {}};
    };
    ToyChannel channel{1, &recorder};
    coordinate(source, recorder, channel);
    EXPECT_THAT(channel.sent, ElementsAre(ElementsAre("a", "c"), ElementsAre("end")));
}

TEST_F(Coordination, OfAGraphThatCannotGoOnIsAnError) {
    ToySource source{{job("b", {"nobody"}), job("a", {"nobody"}), job("c", {"bad"}), job("bad")}};
    ToyChannel channel{1};
    channel.broken = {"bad"};
    EXPECT_THAT([&] { coordinate(source, recorder, channel); },
                ThrowsMessage<Error>("job toy a (a) waits for jobs that nobody has"));
    ToySource narrow_source{{wide_job("w", 0)}};
    EXPECT_THROW(coordinate(narrow_source, recorder, channel), InputError);
}

TEST_F(Coordination, OfManyJobsKeepsAllWorkersBusy) {
    std::vector<Job> jobs;
    for (int i = 0; i < 100'000; ++i)
        jobs.push_back(job("job" + std::to_string(i), i % 10
                                                          ? std::vector<std::string>{"job" + std::to_string(i - i % 10)}
                                                          : std::vector<std::string>{}));
    ToySource source{jobs};
    ToyChannel channel{64};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 100'000);
    EXPECT_EQ(channel.most_at_once, 64);
}

using Members = std::vector<int>;

TEST_F(Coordination, GivesAWideJobTheWorkersThatNothingElseNeeds) {
    ToySource source{{wide_job("wide", 8, {}, 9), job("a"), job("b")}};
    ToyChannel channel{6, &recorder};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 3);
    EXPECT_EQ(channel.teams.at("wide"), (Members{0, 1, 2, 3}));
    EXPECT_EQ(recorder.teams.at("wide"), (Members{0, 1, 2, 3}));
    EXPECT_EQ(channel.teams.at("a"), Members{4});
    EXPECT_EQ(recorder.teams.at("a"), Members{});
    EXPECT_TRUE(channel.busy.empty());
}

TEST_F(Coordination, SharesIdleWorkersAmongWideJobsInTurn) {
    ToySource source{{wide_job("a", 16, {}, 3), wide_job("b", 16, {}, 2), wide_job("c", 1, {}, 1)}};
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
        ToySource source{{wide_job("a", width)}};
        ToyChannel channel{workers};
        coordinate(source, recorder, channel);
        EXPECT_EQ(channel.teams.at("a").size(), wanted) << workers << " workers, " << width << " parts";
    }
}

TEST_F(Coordination, KeepsAWideJobNarrowWhileOthersAreReady) {
    ToySource source{{wide_job("a", 4, {}, 2), wide_job("b", 4), wide_job("c", 4, {"a"})}};
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
        std::vector<Job> jobs;
        auto const count = 1 + below(40);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::vector<std::string> after;
            for (std::uint64_t j = 0; j < below(3) && i > 0; ++j) after.push_back("job" + std::to_string(below(i)));
            std::ranges::sort(after);
            after.erase(std::unique(after.begin(), after.end()), after.end());
            jobs.push_back(wide_job("job" + std::to_string(i), static_cast<int>(1 + below(9)), after,
                                    static_cast<double>(below(5))));
            if (below(4) == 0) jobs.back().batch = "batch" + std::to_string(below(2));
        }
        ToySource source{jobs};
        ToyRecorder fresh;
        ToyChannel channel{static_cast<int>(1 + below(7)), &fresh};
        channel.next = [&](std::ptrdiff_t answers) {
            return static_cast<std::ptrdiff_t>(below(static_cast<std::uint64_t>(answers)));
        };
        auto const outcome = coordinate(source, fresh, channel);
        ASSERT_EQ(outcome.done, static_cast<std::int64_t>(count));
        EXPECT_TRUE(channel.busy.empty());
        for (auto const& one : jobs) EXPECT_LE(std::ssize(channel.teams.at(one.key)), one.width) << one.key;
    }
}

TEST_F(Coordination, FreesATeamWhoseJobFailedOrWasStopped) {
    ToySource source{{wide_job("a", 4, {}, 2), wide_job("lost", 4, {"a"}), wide_job("b", 2, {"c"}), job("c")}};
    ToyChannel channel{3, &recorder};
    channel.broken = {"a"};
    auto const outcome = coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("a"), (Members{0, 1}));
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.done, 2);
    EXPECT_EQ(outcome.not_run, 1);
    EXPECT_TRUE(channel.busy.empty());
    EXPECT_EQ(channel.teams.at("b").size(), 2U);

    ToySource stopped_source{{wide_job("a", 4), wide_job("b", 4, {"a"})}};
    ToyChannel stopping{4};
    stopping.stops = {"a"};
    auto const stopped = coordinate(stopped_source, recorder, stopping);
    EXPECT_EQ(stopped.stop_signal, SIGTERM);
    EXPECT_EQ(stopped.not_run, 2);
    EXPECT_TRUE(stopping.busy.empty());
}

TEST_F(Coordination, GivesAJobToTheWorkerThatMadeWhatItNeeds) {
    ToySource source{{job("a", {}, 3), job("b", {}, 2), job("x", {"a"}, 1), job("y", {"b"}, 5), job("z", {}, 1)}};
    ToyChannel channel{3};
    // All three are free when x and y become ready.
    coordinate(source, recorder, channel);
    EXPECT_EQ(channel.teams.at("x"), channel.teams.at("a"));
    EXPECT_EQ(channel.teams.at("y"), channel.teams.at("b"));

    // It is left to that task by one that goes first and can be done anywhere.
    ToySource contested{{job("made"), job("user", {"made"})}};
    contested.after["made"] = {job("urgent", {}, 9)};
    ToyChannel two{2};
    coordinate(contested, recorder, two);
    EXPECT_EQ(two.teams.at("made"), Members{0});
    EXPECT_EQ(two.teams.at("user"), Members{0});
    EXPECT_EQ(two.teams.at("urgent"), Members{1});
}

TEST_F(Coordination, GivesReadyJobsOfABatchToOneWorkerByItsShare) {
    std::vector<Job> jobs;
    for (char const* key : {"a", "b", "c", "d", "e"}) jobs.push_back(batched_job(key, "votes", {}, 5));
    jobs.push_back(batched_job("later", "votes", {"z"}, 1));
    jobs.push_back(batched_job("m", "others", {}, 5));
    jobs.push_back(job("z"));
    ToySource source{jobs};
    ToyChannel alone{1, &recorder};
    EXPECT_EQ(coordinate(source, recorder, alone).done, 8);
    EXPECT_THAT(alone.sent, ElementsAre(ElementsAre("a", "b", "c", "d", "e"), ElementsAre("m"), ElementsAre("z"),
                                        ElementsAre("later")));
    ToySource again{jobs};
    ToyChannel two{2};
    two.broken = {"b"};
    auto const outcome = coordinate(again, recorder, two);
    EXPECT_THAT(two.sent[0], ElementsAre("a", "b", "c"));
    EXPECT_EQ(outcome.failed, 1) << "the others of the batch are done";
    EXPECT_EQ(outcome.done, 7);
}

TEST_F(Coordination, BoundsABatch) {
    std::vector<Job> jobs;
    for (int i = 0; i < 20; ++i) {
        jobs.push_back(batched_job("job" + std::to_string(i), "all"));
    }
    ToySource source{jobs};
    ToyChannel channel{1};
    EXPECT_EQ(coordinate(source, recorder, channel).done, 20);
    for (auto const& keys : channel.sent) EXPECT_LE(keys.size(), 8U);
    EXPECT_EQ(channel.sent.size(), 3U);
}

}  // namespace
}  // namespace samner::sched
