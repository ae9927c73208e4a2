#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "sched/job.h"

namespace samner::sched {

/// Where jobs come from. The graph may grow while it runs.
class JobSource {
public:
    virtual ~JobSource() = default;
    virtual std::vector<Job> take_new() = 0;  ///< those that became known since the last call
    virtual void finished(JobResult const& result) = 0;
    virtual void failed(JobResult const& result) = 0;

    /// Asked just before a job starts: whether it may. One that may not is done by others, who share its results.
    virtual bool claim(Job const& job) = 0;

    /// What became of jobs that were refused, since the last call.
    struct Elsewhere {
        std::vector<std::string> done;  ///< keys of those that others have done
        std::vector<std::string> free;  ///< of those that may be asked for again
    };
    virtual Elsewhere look_elsewhere() = 0;
};

/// Keeps what happens for a later run.
class Recorder {
public:
    virtual ~Recorder() = default;
    virtual void started(Job const& job, std::vector<int> const& team) = 0;
    virtual void ended(Job const& job, JobResult const& result) = 0;
    virtual void sync() = 0;  ///< makes what was recorded durable; called before assignments are sent

    // For who watches the run. Nothing of it is kept, and the scheduler goes on whatever is done here.
    virtual void progress(Progress const& /*progress*/) {}  ///< may also come after the end of its job
    virtual void tick() {}                                  ///< called again and again, every few milliseconds
};

/// The workers, wherever they are. One assignment at a time each.
class Channel {
public:
    virtual ~Channel() = default;
    virtual int workers() const = 0;
    virtual void send(Assignment const& work) = 0;                                 ///< to all of its team
    virtual std::optional<JobResult> receive(std::chrono::milliseconds wait) = 0;  ///< with .rank set to the worker
    virtual std::vector<Progress> take_progress() { return {}; }  ///< what workers told since the last call
    virtual void stop(int signal) = 0;                            ///< asks every worker to stop at its next safe point
    virtual void finish() = 0;                                    ///< no more jobs come
};

/// Runs a graph of jobs to its end, in the order of Policy. A failed job leaves out what waits for it, the rest goes
/// on. A stop (core/stop.h) lets running jobs end and starts none.
/// @throws InputError for a width below 1; Error for a graph that cannot go on
Outcome coordinate(JobSource& source, Recorder& recorder, Channel& channel);

}  // namespace samner::sched
