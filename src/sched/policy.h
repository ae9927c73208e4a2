#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sched/job.h"

namespace samner::sched {

/// Who gets what. Of the ready jobs the one with the longest critical path goes first, of equal ones that with the
/// smaller key. Work goes to idle workers only. Where there are more of them than ready jobs, the wide ones share the
/// others: a team for a job of width w has w / 2^k ranks, rounded up, which is how many have work when a rank takes 2^k
/// of w parts. Of the ready jobs of one batch a worker is given as many at once as make its even share, at most 8. Of
/// the idle workers those are taken first that made most of what the job waited for.
///
/// A pure function of the calls made: it knows no time, no ranks but their numbers and no threads, so that a simulator
/// can drive it as the coordinator does. A call costs about the logarithm of the ready jobs for each job it moves, and
/// `add` also a look at each job before the new ones that has not started.
class Policy {
public:
    /// @param workers  numbered from 0, all idle @throws InputError for less than one
    explicit Policy(int workers);
    Policy(Policy&&) noexcept;
    Policy& operator=(Policy&&) noexcept;
    ~Policy();

    /// Takes jobs into the graph, which may grow while it runs. A key that it has already is left out. Jobs may come
    /// before those that they wait for.
    /// @throws InputError for a width below 1; Error for jobs that wait for each other
    void add(std::vector<Job> jobs);

    /// Whether a job may start now.
    using May = std::function<bool(Job const&)>;

    /// All that idle workers get now. The jobs are given away: what the caller needs of them later it keeps.
    /// @param may  asked of each job that would be given out; one that may not is held. Empty: all may
    std::vector<Assignment> assign(May const& may = {});

    std::int64_t held() const;                    ///< jobs that are held
    void release(std::string const& key);         ///< a held job is ready again
    void done_elsewhere(std::string const& key);  ///< a held job is done, by others

    /// Takes note of a result: its key, ok, stopped and rank, which is the first of the team. The team is idle when all
    /// jobs of its assignment have ended. What waits for a job that failed or was stopped never starts.
    /// @return the team that did it; null for a job that this rank was not given or that has ended, which changes
    ///         nothing
    std::vector<int> const* ended(JobResult const& result);

    std::int64_t running() const;  ///< jobs that were given out and have not ended
    std::int64_t ready() const;    ///< jobs that only wait for a worker
    std::int64_t not_run() const;  ///< jobs of the graph that neither run nor are done or failed
    int idle() const;              ///< workers

    /// Seconds of the longest path from the start of a job to the end of the graph, as known when the job started.
    /// @throws InputError for a key that it has no job of
    double critical_path(std::string const& key) const;

    /// A fault of the graph, to be asked for when nothing runs and nothing can be assigned: the job of the smallest key
    /// that waits for jobs that nobody has, though none of them failed or was stopped. Null when there is none.
    Job const* stuck() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace samner::sched
