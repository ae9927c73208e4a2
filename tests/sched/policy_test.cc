#include "sched/policy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

std::vector<std::string> keys_of(std::vector<Assignment> const& assignments) {
    std::vector<std::string> keys;
    for (auto const& work : assignments)
        for (auto const& one : work.jobs) keys.push_back(one.key);
    return keys;
}

JobResult result_of(std::string const& key, int rank, bool ok = true) {
    JobResult result;
    result.key = key;
    result.ok = ok;
    result.rank = rank;
    return result;
}

JobResult stop_of(std::string const& key, int rank) {
    auto result = result_of(key, rank, false);
    result.stopped = true;
    return result;
}

/// A cluster on a virtual clock. A job takes its seconds, shared by its team; those of a batch run one after another.
class Simulation {
public:
    explicit Simulation(int workers) : policy{workers} {}

    void run() {
        start();
        while (!events_.empty()) {
            auto const [time, number, at] = events_.top();
            events_.pop();
            now = time;
            auto const& work = assignments[static_cast<std::size_t>(number)];
            auto const& key = work.jobs[at].key;
            ASSERT_NE(policy.ended(result_of(key, work.team.front(), !broken.contains(key))), nullptr);
            ends[key] = now;
            if (on_end) on_end(key);
            start();
        }
    }

    Policy policy;
    double now = 0;
    std::vector<Assignment> assignments;
    std::map<std::string, double> starts;
    std::map<std::string, double> ends;
    std::set<std::string> broken;
    std::function<void(std::string const&)> on_end;

private:
    using Event = std::tuple<double, int, std::size_t>;  ///< when which job of which assignment ends

    void start() {
        for (auto& work : policy.assign()) {
            auto time = now;
            for (std::size_t at = 0; at < work.jobs.size(); ++at) {
                auto const& one = work.jobs[at];
                EXPECT_TRUE(starts.emplace(one.key, time).second) << one.key << " was given out twice";
                time += one.seconds / static_cast<double>(work.team.size());
                events_.emplace(time, work.number, at);
            }
            assignments.push_back(std::move(work));
        }
        EXPECT_TRUE(policy.idle() == 0 || policy.ready() == 0);
    }

    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

/// Jobs in layers, each of which waits for some of the layer before it.
std::vector<Job> layers(int count, int size, std::string const& prefix = "job", std::uint64_t seed = 1) {
    RandomStream const random{seed, "layers"};
    std::uint64_t drawn = 0;
    auto const below = [&](int limit) {
        return static_cast<int>(random.below(static_cast<std::uint64_t>(limit), drawn++));
    };
    auto const key = [&](int layer, int i) { return fmt::format("{}{:04}-{:04}", prefix, layer, i); };
    std::vector<Job> jobs;
    for (int layer = 0; layer < count; ++layer) {
        for (int i = 0; i < size; ++i) {
            std::set<std::string> after;
            for (int n = 0; layer > 0 && n < 3; ++n) after.insert(key(layer - 1, below(size)));
            auto one = wide_job(key(layer, i), 1 + below(6), {after.begin(), after.end()}, 1 + below(100));
            if (below(5) == 0) one.batch = fmt::format("batch{}", below(20));
            jobs.push_back(std::move(one));
        }
    }
    return jobs;
}

/// The critical path of every job, worked out plainly for jobs of which each comes after those it waits for.
std::map<std::string, double> critical_paths(std::vector<Job> const& jobs) {
    std::map<std::string, double> paths;
    for (auto one = jobs.rbegin(); one != jobs.rend(); ++one) {
        auto const path = paths[one->key] += std::max(one->seconds, 1e-9);  // that of its followers was there
        for (auto const& before : one->after) paths[before] = std::max(paths[before], path);
    }
    return paths;
}

TEST(PolicyOrder, IsThatOfTheLongestCriticalPathAndThenOfTheKeys) {
    Policy policy{1};
    policy.add({job("short", {}, 1), job("b", {}, 2), job("a", {}, 2), job("long", {}, 1), job("end", {"long"}, 5)});
    EXPECT_EQ(policy.critical_path("long"), 6);
    std::vector<std::string> order;
    for (auto work = policy.assign(); !work.empty(); work = policy.assign()) {
        ASSERT_EQ(work.size(), 1U);
        EXPECT_EQ(work[0].number, std::ssize(order));
        EXPECT_THAT(work[0].team, ElementsAre(0));
        order.push_back(work[0].jobs.front().key);
        EXPECT_THAT(policy.assign(), IsEmpty()) << "the worker is busy";
        policy.ended(result_of(order.back(), 0));
    }
    EXPECT_THAT(order, ElementsAre("long", "end", "a", "b", "short"));
    EXPECT_EQ(policy.not_run(), 0);
    EXPECT_EQ(policy.stuck(), nullptr);
}

TEST(PolicyOrder, ChangesWhenNewJobsLengthenAPath) {
    Policy policy{1};
    policy.add({job("first", {}, 9), job("a", {}, 3), job("b", {}, 2), job("c", {}, 1)});
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("first"));
    // These wait for jobs that are ready, waiting or running, one by way of a job that comes later.
    policy.add({job("after c", {"c"}, 1), job("after first", {"first"}, 1), job("after it", {"between"}, 5)});
    policy.add({job("between", {"after c"}, 0.5)});
    EXPECT_EQ(policy.critical_path("c"), 7.5);
    EXPECT_EQ(policy.critical_path("a"), 3);
    EXPECT_EQ(policy.critical_path("between"), 5.5);
    policy.ended(result_of("first", 0));
    std::vector<std::string> order;
    for (auto work = policy.assign(); !work.empty(); work = policy.assign()) {
        order.push_back(work[0].jobs.front().key);
        policy.ended(result_of(order.back(), 0));
    }
    EXPECT_THAT(order, ElementsAre("c", "after c", "between", "after it", "a", "b", "after first"));
}

TEST(PolicyOrder, FollowsCriticalPathsOfAnyGraphInWhateverOrderItComes) {
    auto const jobs = layers(30, 20);
    auto const paths = critical_paths(jobs);
    for (std::uint64_t round = 0; round < 5; ++round) {
        std::vector<std::vector<Job>> parts(1 + 3 * round);
        std::uint64_t drawn = 0;
        for (auto const at : RandomStream{round, "order"}.permutation(jobs.size()))
            parts[RandomStream{round, "part"}.below(parts.size(), drawn++)].push_back(jobs[at]);
        Simulation simulation{7};
        for (auto const& part : parts) simulation.policy.add(part);
        for (auto const& [key, path] : paths) EXPECT_EQ(simulation.policy.critical_path(key), path) << key;
        simulation.run();
        EXPECT_EQ(simulation.ends.size(), jobs.size());
    }
}

TEST(PolicySimulation, RunsEveryJobOnceAfterWhatItWaitsForOnAnyNumberOfWorkers) {
    auto const jobs = layers(40, 100);
    for (int const workers : {1, 7, 64, 1000}) {
        Simulation simulation{workers};
        simulation.policy.add(jobs);
        simulation.run();
        ASSERT_EQ(simulation.ends.size(), jobs.size());
        std::map<std::string, Job const*> by_key;
        for (auto const& one : jobs) by_key[one.key] = &one;
        std::vector<double> free_at(static_cast<std::size_t>(workers));
        for (auto const& work : simulation.assignments) {
            EXPECT_TRUE(std::ranges::is_sorted(work.team));
            EXPECT_LE(work.jobs.size(), 8U);
            EXPECT_TRUE(work.jobs.size() == 1 || work.team.size() == 1);
            auto const start = simulation.starts.at(work.jobs.front().key);
            for (auto const worker : work.team) {
                auto& free = free_at.at(static_cast<std::size_t>(worker));
                EXPECT_LE(free, start) << "worker " << worker << " has work already";
                free = simulation.ends.at(work.jobs.back().key);
            }
            for (auto const& one : work.jobs) {
                EXPECT_EQ(one, *by_key.at(one.key)) << "a job is given out whole";
                EXPECT_LE(std::ssize(work.team), one.width);
                EXPECT_EQ(one.batch, work.jobs.front().batch);
                for (auto const& before : one.after) EXPECT_LE(simulation.ends.at(before), start);
            }
        }
        EXPECT_EQ(simulation.policy.idle(), workers);
        EXPECT_EQ(simulation.policy.running(), 0);
        EXPECT_EQ(simulation.policy.not_run(), 0);
    }
}

TEST(PolicySimulation, IsTheSameEveryTime) {
    std::vector<std::vector<Assignment>> runs;
    for (int round = 0; round < 2; ++round) {
        Simulation simulation{50};
        simulation.policy.add(layers(20, 100));
        simulation.broken = {"job0003-0007", "job0000-0000"};
        int grown = 0;
        simulation.on_end = [&](std::string const& key) {
            if (key.ends_with("-0042")) simulation.policy.add(layers(2, 30, fmt::format("more{}-", ++grown)));
        };
        simulation.run();
        EXPECT_EQ(simulation.policy.stuck(), nullptr);
        runs.push_back(std::move(simulation.assignments));
    }
    EXPECT_EQ(runs[0], runs[1]);
}

TEST(PolicySimulation, IsNearTheBoundOfAnyScheduleForIndependentJobs) {
    // No list schedule is longer than the work of a worker's share and the longest job.
    RandomStream const random{7, "seconds"};
    double all = 0;
    Simulation simulation{300};
    std::vector<Job> jobs;
    for (std::uint64_t i = 0; i < 5000; ++i) {
        jobs.push_back(job(fmt::format("job{}", i), {}, 1 + static_cast<double>(random.below(100, i))));
        all += jobs.back().seconds;
    }
    simulation.policy.add(jobs);
    simulation.run();
    EXPECT_LE(simulation.now, all / 300 + 100);
    EXPECT_EQ(simulation.starts.size(), 5000U);
}

TEST(PolicyGraph, MayBeAChainAsLongAsItWill) {
    constexpr int length = 200'000;
    auto const key = [](int i) { return fmt::format("job{:06}", i); };
    for (bool const backwards : {false, true}) {
        std::vector<Job> chain;
        for (int i = 0; i < length; ++i)
            chain.push_back(job(key(i), i ? std::vector{key(i - 1)} : std::vector<std::string>{}));
        if (backwards) std::ranges::reverse(chain);
        Policy policy{2};
        policy.add(chain);
        EXPECT_EQ(policy.critical_path(key(0)), length);
        policy.add({job("last", {key(length - 1)})});
        EXPECT_EQ(policy.critical_path(key(0)), length + 1);
        for (int i = 0; i < length / 2; ++i) {
            ASSERT_THAT(keys_of(policy.assign()), ElementsAre(key(i)));
            policy.ended(result_of(key(i), 0));
        }
        policy.assign();
        policy.ended(result_of(key(length / 2), 0, false));
        EXPECT_EQ(policy.stuck(), nullptr) << "all wait for the one that failed";
        EXPECT_EQ(policy.not_run(), length / 2);
        EXPECT_EQ(policy.running(), 0);
    }
}

TEST(PolicyGraph, WithJobsThatWaitForEachOtherIsAnError) {
    Policy policy{1};
    EXPECT_THAT([&] { policy.add({job("a", {"a"})}); }, ThrowsMessage<Error>("job toy a (a) waits for itself"));
    Policy another{1};
    another.add({job("start"), job("a", {"c", "start"}), job("b", {"a"})});
    EXPECT_THAT([&] { another.add({job("c", {"b"})}); }, ThrowsMessage<Error>(HasSubstr("waits for itself")));
}

TEST(PolicyGraph, NamesTheFirstJobThatWaitsForWhatNobodyHas) {
    Policy policy{2};
    policy.add({job("c", {"nobody", "bad"}), job("d", {"nobody"}), job("e", {"d"}), job("bad"), job("f", {"bad"}),
                job("halted"), job("b", {"halted"})});
    EXPECT_EQ(policy.not_run(), 7);
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("bad", "halted"));
    EXPECT_EQ(policy.running(), 2);
    policy.ended(result_of("bad", 0, false));
    policy.ended(stop_of("halted", 1));
    EXPECT_THAT(policy.assign(), IsEmpty());
    ASSERT_NE(policy.stuck(), nullptr);
    EXPECT_EQ(policy.stuck()->key, "d");
    EXPECT_EQ(policy.not_run(), 6) << "all but the one that failed";
    EXPECT_EQ(policy.running(), 0);
    EXPECT_EQ(policy.idle(), 2);
    policy.add({job("nobody", {"bad"})});
    EXPECT_EQ(policy.stuck(), nullptr);
}

TEST(PolicyGraph, TakesAJobOnce) {
    Policy policy{3};
    policy.add({job("a", {}, 2), job("a", {}, 9), job("b", {"a", "a"})});
    policy.add({job("a", {}, 5)});
    EXPECT_EQ(policy.not_run(), 2);
    EXPECT_EQ(policy.critical_path("a"), 3);
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("a"));
    policy.ended(result_of("a", 0));
    policy.add({job("a")});
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("b"));
    policy.add({job("c", {"a"})});
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("c")) << "what it waits for is done";
}

TEST(PolicyGraph, RefusesWhatCannotBe) {
    EXPECT_THROW(Policy{0}, InputError);
    Policy policy{1};
    EXPECT_THAT(
        [&] {
            policy.add({job("a"), wide_job("w", 0)});
        },
        ThrowsMessage<InputError>("job toy w (w) is 0 ranks wide"));
    EXPECT_EQ(policy.not_run(), 0) << "nothing was taken";
    EXPECT_THROW(policy.critical_path("a"), InputError);
    policy.add({job("b", {"awaited"})});
    EXPECT_THROW(policy.critical_path("awaited"), InputError);
}

TEST(PolicyResults, OfJobsThatTheRankWasNotGivenChangeNothing) {
    Policy policy{4};
    policy.add({wide_job("a", 2, {}, 2), job("b"), job("c", {"a"})});
    auto const given = policy.assign();
    EXPECT_THAT(given[0].team, ElementsAre(0, 1));
    EXPECT_THAT(given[1].team, ElementsAre(2));
    for (auto const& [key, rank] :
         {std::pair{"a", 1}, {"a", 2}, {"b", 0}, {"c", 0}, {"nobody", 0}, {"a", -1}, {"a", 4}})
        EXPECT_EQ(policy.ended(result_of(key, rank)), nullptr) << key << " from " << rank;
    EXPECT_EQ(policy.running(), 2);
    EXPECT_EQ(policy.idle(), 1);
    EXPECT_THAT(*policy.ended(result_of("a", 0)), ElementsAre(0, 1));
    EXPECT_EQ(policy.ended(result_of("a", 0)), nullptr) << "it has ended";
    EXPECT_EQ(policy.idle(), 3);
}

TEST(PolicyResults, FreeAWorkerWithTheLastOfItsBatch) {
    Policy policy{1};
    policy.add({batched_job("a", "all"), batched_job("b", "all"), batched_job("c", "all")});
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("a", "b", "c"));
    policy.ended(result_of("b", 0));
    policy.ended(result_of("a", 0, false));
    EXPECT_EQ(policy.idle(), 0);
    EXPECT_EQ(policy.running(), 1);
    policy.ended(stop_of("c", 0));
    EXPECT_EQ(policy.idle(), 1);
    EXPECT_EQ(policy.not_run(), 1);
    EXPECT_THAT(policy.assign(), IsEmpty()) << "what was stopped is not given out again";
}

TEST(PolicyResults, DrawFollowersToTheWorkersThatMadeMostOfWhatTheyNeed) {
    Policy policy{3};
    policy.add({job("a", {}, 9), job("b", {}, 8), job("c", {}, 7), job("user", {"a", "c", "b", "b2"}, 2),
                job("b2", {"b"}, 1)});
    EXPECT_THAT(keys_of(policy.assign()), ElementsAre("a", "b", "c"));
    policy.ended(result_of("b", 1));
    auto const second = policy.assign();
    ASSERT_THAT(keys_of(second), ElementsAre("b2"));
    EXPECT_THAT(second[0].team, ElementsAre(1));
    policy.ended(result_of("b2", 1));
    policy.ended(result_of("a", 0));
    policy.ended(result_of("c", 2));
    auto const last = policy.assign();
    ASSERT_THAT(keys_of(last), ElementsAre("user"));
    EXPECT_THAT(last[0].team, ElementsAre(1)) << "it made two of the four";
}

}  // namespace
}  // namespace samner::sched
