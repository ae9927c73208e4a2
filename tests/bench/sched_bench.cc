// What the scheduler can do: assignments a second for 10^4 workers and 10^6 jobs on a virtual clock.
//   sched_bench [--benchmark_filter=…]; one thread, about 2 GB
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "sched/messages.h"
#include "sched/policy.h"
#include "sched/simulate.h"

namespace samner::sched {
namespace {

constexpr int num_workers = 10'000;
constexpr int num_jobs = 1'000'000;

std::string key_of(std::uint64_t number) {
    return fmt::format("{:016x}{:048}", (number + 1) * 0x9E3779B97F4A7C15U, 0);  // as long as a hash
}

/// Jobs of 1 to 1000 s with a task of 500 bytes.
Job job_of(std::uint64_t number, RandomStream const& random) {
    Job job;
    job.key = key_of(number);
    job.label = fmt::format("job {}", number);
    job.seconds = 1 + static_cast<double>(random.below(1000, number));
    job.task = std::string(500, 'x');
    return job;
}

std::vector<Job> independent() {
    RandomStream const random{1, "seconds"};
    std::vector<Job> jobs;
    for (std::uint64_t i = 0; i < num_jobs; ++i) jobs.push_back(job_of(i, random));
    return jobs;
}

/// 50 layers, each job after three of the layer before it.
std::vector<Job> layered() {
    constexpr std::uint64_t size = num_jobs / 50;
    RandomStream const random{2, "layers"};
    auto jobs = independent();
    for (std::uint64_t i = size; i < num_jobs; ++i) {
        auto const layer_before = (i / size - 1) * size;
        std::set<std::uint64_t> after;
        for (std::uint64_t n = 0; n < 3; ++n) after.insert(layer_before + random.below(size, 3 * i + n));
        for (auto const before : after) jobs[i].after.push_back(key_of(before));
    }
    return jobs;
}

/// The same with wide jobs and batches.
std::vector<Job> mixed() {
    auto jobs = layered();
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (i % 4 == 0) jobs[i].width = 16;
        if (i % 4 == 1) jobs[i].batch = fmt::format("batch {}", i % 100);
    }
    return jobs;
}

/// Ends the jobs of each assignment at once when its time is over.
/// @return how many assignments there were
std::int64_t simulate(Policy& policy) {
    struct Running {
        double end;
        std::vector<std::string> keys;
        int rank;
        bool operator>(Running const& other) const { return end > other.end; }
    };
    std::priority_queue<Running, std::vector<Running>, std::greater<>> running;
    std::int64_t assignments = 0;
    double now = 0;
    for (;;) {
        for (auto& work : policy.assign()) {
            Running next{now, {}, work.team.front()};
            for (auto& job : work.jobs) {
                next.end += job.seconds / static_cast<double>(work.team.size());
                next.keys.push_back(std::move(job.key));
            }
            running.push(std::move(next));
            ++assignments;
        }
        if (running.empty()) return assignments;
        auto const& first = running.top();
        now = first.end;
        JobResult result;
        result.ok = true;
        result.rank = first.rank;
        for (auto const& key : first.keys) {
            result.key = key;
            policy.ended(result);
        }
        running.pop();
    }
}

void assign(benchmark::State& state, std::vector<Job> (*graph)()) {
    std::int64_t assignments = 0;
    for (auto _ : state) {
        state.PauseTiming();
        {
            Policy policy{num_workers};
            policy.add(graph());
            state.ResumeTiming();
            assignments += simulate(policy);
            state.PauseTiming();
            if (policy.not_run() > 0) state.SkipWithError("jobs are left");
        }
        state.ResumeTiming();
    }
    state.counters["assignments"] = benchmark::Counter(static_cast<double>(assignments), benchmark::Counter::kIsRate);
}

class Graph : public JobSource, public Recorder {
public:
    explicit Graph(std::vector<Job> jobs) : fresh_{std::move(jobs)} {}
    std::vector<Job> take_new() override { return std::exchange(fresh_, {}); }
    void finished(JobResult const&) override {}
    void failed(JobResult const&) override {}
    bool claim(Job const&) override { return true; }
    Elsewhere look_elsewhere() override { return {}; }
    void started(Job const&, std::vector<int> const&) override {}
    void ended(Job const&, JobResult const&) override {}
    void sync() override {}

private:
    std::vector<Job> fresh_;
};

/// The coordinator and simulated ranks: what samner plan --simulate does.
void coordinate_simulated(benchmark::State& state, std::vector<Job> (*graph)()) {
    std::size_t assignments = 0;
    for (auto _ : state) {
        state.PauseTiming();
        Graph source{graph()};
        state.ResumeTiming();
        SimulatedRanks ranks{num_workers};
        if (coordinate(source, source, ranks).done != num_jobs) state.SkipWithError("jobs are left");
        assignments += ranks.work().size();
    }
    state.counters["assignments"] = benchmark::Counter(static_cast<double>(assignments), benchmark::Counter::kIsRate);
}

/// The work before the first assignment: edges and critical paths.
void add(benchmark::State& state, std::vector<Job> (*graph)()) {
    for (auto _ : state) {
        state.PauseTiming();
        {
            auto jobs = graph();
            Policy policy{num_workers};
            state.ResumeTiming();
            policy.add(std::move(jobs));
            state.PauseTiming();
        }
        state.ResumeTiming();
    }
    state.counters["jobs"] = benchmark::Counter(num_jobs, benchmark::Counter::kIsIterationInvariantRate);
}

/// An assignment as bytes and back.
void encode_and_decode(benchmark::State& state) {
    Assignment const work{{job_of(0, RandomStream{1, "seconds"})}, {7}, 1};
    for (auto _ : state) benchmark::DoNotOptimize(decode(encode(work)));
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(assign, independent, independent)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(assign, layered, layered)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(assign, mixed, mixed)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(coordinate_simulated, layered, layered)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(coordinate_simulated, mixed, mixed)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(add, independent, independent)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK_CAPTURE(add, layered, layered)->Unit(benchmark::kSecond)->Iterations(1);
BENCHMARK(encode_and_decode);

}  // namespace
}  // namespace samner::sched

BENCHMARK_MAIN();
