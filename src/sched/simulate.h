#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "sched/coordinate.h"

namespace samner::sched {

/// Seconds of a job on a team: its parts, one a rank of its width, go round as often as the team has to share them.
double seconds_on(Job const& job, std::size_t ranks);

/// Ranks on a virtual clock, which stands still but for the work that they are sent: it ends when its time is over.
/// `coordinate` drives them as it drives ranks, so what it decides here it decides there.
class SimulatedRanks : public Channel {
public:
    /// What was done at once, in the order in which it began.
    struct Work {
        double begin = 0;  ///< seconds since the start
        double end = 0;
        int ranks = 1;
        int jobs = 1;
    };

    /// @param workers  how many @throws InputError for less than one
    /// @param between  seconds that pass between the end of a rank's work and the start of its next: a message each
    /// way,
    ///     and the record of the result
    explicit SimulatedRanks(int workers, double between = 0);

    int workers() const override { return workers_; }
    void send(Assignment const& work) override;
    std::optional<JobResult> receive(std::chrono::milliseconds wait) override;
    void stop(int signal) override;
    void finish() override {}

    double now() const { return now_; }  ///< seconds since the start
    std::vector<Work> const& work() const { return work_; }
    double busy() const { return busy_; }  ///< rank-seconds inside of jobs

private:
    struct End {
        double when;
        std::uint64_t order;  ///< results of one moment come in the order in which they were begun
        JobResult result;
        bool operator>(End const& other) const { return when != other.when ? when > other.when : order > other.order; }
    };
    int workers_;
    double between_;
    double now_ = 0;
    double busy_ = 0;
    std::uint64_t sent_ = 0;
    std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
    std::vector<Work> work_;
};

}  // namespace samner::sched
