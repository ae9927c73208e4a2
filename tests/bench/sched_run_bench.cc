// What simulations of the scheduler are worth: a graph of jobs that sleep, run by real ranks and on a virtual clock.
//   mpirun -n N sched_run_bench [SECONDS [JOBS]]    default: jobs of 0.5 to 1.5 s, 12 a rank
// Prints the seconds that were predicted and measured, and the share of the rank-seconds outside of jobs, from which
// that is taken which the graph itself leaves idle in the simulation.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "comm/comm.h"
#include "core/random.h"
#include "sched/run.h"
#include "sched/simulate.h"

namespace samner::sched {
namespace {

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

/// Layers, in which each job waits for two of the layer before it.
std::vector<Job> layered(int ranks, int jobs, double seconds) {
    RandomStream const random{1, "sleeping jobs"};
    std::vector<Job> all;
    auto const layer = static_cast<std::uint64_t>(3 * ranks);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(jobs); ++i) {
        Job job;
        job.key = fmt::format("{:08}", i);
        job.label = job.key;
        job.seconds = seconds * (0.5 + random.uniform(3 * i));
        if (i >= layer) {
            auto const before = (i / layer - 1) * layer;
            job.after = {fmt::format("{:08}", before + random.below(layer, 3 * i + 1))};
            auto const other = fmt::format("{:08}", before + random.below(layer, 3 * i + 2));
            if (other != job.after.front()) job.after.push_back(other);
        }
        all.push_back(std::move(job));
    }
    return all;
}

int bench(int argc, char** argv) {
    comm::Session session{argc, argv};
    auto const ranks = session.size();
    auto const seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
    auto const jobs = layered(ranks, argc > 2 ? std::atoi(argv[2]) : 12 * ranks, seconds);
    double work = 0;
    for (auto const& job : jobs) work += job.seconds;
    Graph source{jobs};
    auto const start = std::chrono::steady_clock::now();
    auto const outcome = run(session, session.rank() == 0 ? &source : nullptr, session.rank() == 0 ? &source : nullptr,
                             [](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
                                 for (auto const& job : given) {
                                     std::this_thread::sleep_for(std::chrono::duration<double>(job.seconds));
                                     JobResult result;
                                     result.key = job.key;
                                     result.ok = true;
                                     report(std::move(result));
                                 }
                             });
    std::chrono::duration<double> const measured = std::chrono::steady_clock::now() - start;
    if (session.rank() > 0) return 0;
    Graph same{jobs};
    SimulatedRanks virtual_ranks{ranks, 0.003};
    coordinate(same, same, virtual_ranks);
    Graph again{jobs};
    SimulatedRanks ideal{ranks};
    coordinate(again, again, ideal);
    auto const all = measured.count() * ranks;
    auto const by_graph = ideal.now() * ranks - work;
    fmt::print("{} ranks, {} jobs: predicted {:.3f} s, measured {:.3f} s ({:+.1f} %); outside of jobs {:.2f} % of the "
               "rank-seconds, without what the graph leaves idle\n",
               ranks, outcome.done, virtual_ranks.now(), measured.count(),
               100 * (measured.count() / virtual_ranks.now() - 1), 100 * (all - work - by_graph) / all);
    return 0;
}

}  // namespace
}  // namespace samner::sched

int main(int argc, char** argv) {
    return samner::sched::bench(argc, argv);
}
