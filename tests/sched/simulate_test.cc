#include "sched/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "core/random.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::DoubleNear;

struct Simulated {
    double seconds;
    double busy;
    std::vector<SimulatedRanks::Work> work;
    Outcome outcome;
};

Simulated simulate(std::vector<Job> jobs, int workers, double between = 0) {
    ToySource source{std::move(jobs)};
    ToyRecorder recorder;
    SimulatedRanks ranks{workers, between};
    auto const outcome = coordinate(source, recorder, ranks);
    return {ranks.now(), ranks.busy(), ranks.work(), outcome};
}

TEST(SimulatedRanks, TakeAsLongAsTheScheduleThatIsFoundByHand) {
    // Three of one second on two ranks; then a chain; then the longest first.
    EXPECT_DOUBLE_EQ(simulate({job("a"), job("b"), job("c")}, 2).seconds, 2);
    EXPECT_DOUBLE_EQ(simulate({job("a"), job("b", {"a"}), job("c", {"b"})}, 3).seconds, 3);
    EXPECT_DOUBLE_EQ(simulate({job("a", {}, 1), job("b", {}, 1), job("c", {}, 2)}, 2).seconds, 2);
    auto const diamond = simulate({job("a"), job("b", {"a"}, 5), job("c", {"a"}, 1), job("d", {"b", "c"})}, 2);
    EXPECT_DOUBLE_EQ(diamond.seconds, 7);
    EXPECT_DOUBLE_EQ(diamond.busy, 8);
    EXPECT_EQ(diamond.outcome.done, 4);
}

TEST(SimulatedRanks, ShareWideJobsInRounds) {
    EXPECT_DOUBLE_EQ(seconds_on(wide_job("a", 8, {}, 8), 1), 8);
    EXPECT_DOUBLE_EQ(seconds_on(wide_job("a", 8, {}, 8), 4), 2);
    EXPECT_DOUBLE_EQ(seconds_on(wide_job("a", 8, {}, 8), 3), 3) << "three rounds of 3, 3 and 2 parts";
    EXPECT_DOUBLE_EQ(seconds_on(wide_job("a", 8, {}, 8), 16), 1);
    auto const run = simulate({wide_job("a", 8, {}, 8)}, 4);
    EXPECT_DOUBLE_EQ(run.seconds, 2);
    EXPECT_DOUBLE_EQ(run.busy, 8);
    ASSERT_EQ(run.work.size(), 1U);
    EXPECT_EQ(run.work.front().ranks, 4);
}

TEST(SimulatedRanks, DoTheJobsOfABatchOneAfterTheOther) {
    std::vector<Job> jobs;
    for (auto const* key : {"a", "b", "c", "d"}) jobs.push_back(batched_job(key, "batch"));
    auto const run = simulate(std::move(jobs), 2);
    EXPECT_DOUBLE_EQ(run.seconds, 2);
    EXPECT_EQ(run.outcome.done, 4);
}

TEST(SimulatedRanks, LoseTheTimeBetweenJobs) {
    auto const run = simulate({job("a"), job("b", {"a"}), job("c", {"b"})}, 1, 0.25);
    EXPECT_DOUBLE_EQ(run.seconds, 3.75);
    EXPECT_DOUBLE_EQ(run.busy, 3);
}

TEST(SimulatedRanks, KeepTheBoundsOfListSchedulingOnRandomGraphs) {
    // Graham: no list schedule takes longer than work / ranks + (1 - 1 / ranks) * critical path.
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        RandomStream const random{seed, "graph"};
        std::vector<Job> jobs;
        std::map<std::string, double> until;
        double work = 0;
        double longest = 0;
        for (std::uint64_t i = 0; i < 200; ++i) {
            auto one = job("job" + std::to_string(i), {}, 1 + static_cast<double>(random.below(100, 10 * i)));
            double begin = 0;
            for (std::uint64_t n = 1; n <= 2 && i > 0; ++n) {
                auto const before = "job" + std::to_string(random.below(i, 10 * i + n));
                if (std::ranges::find(one.after, before) == one.after.end()) one.after.push_back(before);
                begin = std::max(begin, until[before]);
            }
            until[one.key] = begin + one.seconds;
            work += one.seconds;
            longest = std::max(longest, until[one.key]);
            jobs.push_back(std::move(one));
        }
        for (int const ranks : {1, 3, 17, 1000}) {
            auto const run = simulate(jobs, ranks);
            EXPECT_EQ(run.outcome.done, 200);
            EXPECT_THAT(run.busy, DoubleNear(work, 1e-6));
            EXPECT_GE(run.seconds, std::max(longest, work / ranks) - 1e-6);
            EXPECT_LE(run.seconds, work / ranks + (1 - 1.0 / ranks) * longest + 1e-6) << seed << " " << ranks;
        }
    }
}

TEST(SimulatedRanks, AreAtLeastOne) {
    EXPECT_THROW(SimulatedRanks{0}, InputError);
}

}  // namespace
}  // namespace samner::sched
