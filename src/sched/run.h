#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "comm/comm.h"
#include "comm/messenger.h"
#include "sched/coordinate.h"
#include "sched/job.h"

namespace samner::sched {

/// What a rank says of the jobs that it does.
struct Report {
    std::function<void(JobResult)> result;  ///< called with each as soon as it is there, in the order of the jobs given
    /// Called now and then while a job runs; of a team only what the first says goes on.
    std::function<void(Progress)> progress = [](Progress const&) {};

    void operator()(JobResult one) const { result(std::move(one)); }
};

/// Does what a rank is given: one job, or several of one batch; calls `report` once for each. Never throws for a failed
/// job: see execute_safely.
/// @param team  the ranks that do the job together, each by this call; null: this one alone
using Execute = std::function<void(std::vector<Job> const& jobs, comm::Comm const* team, Report const& report)>;

/// What a job that is done leaves.
struct Done {
    std::string sha256;  ///< of the artifact, empty where there is none
    std::string result;
};

/// Does `work` and makes a result of what it returns or throws.
/// @throws what is no fault of the job: an InfrastructureError, a StorageError, std::bad_alloc, or what wraps one
JobResult execute_safely(Job const& job, std::function<Done()> const& work);

/// Collective over the session: rank 0 coordinates in a thread of its own and works too, the others work. The ranks of
/// a team have a communicator while they work, and the job has failed when it failed on one of them. A result is with
/// the coordinator as soon as it was reported: those of a batch do not wait for its end.
/// @param source, recorder  on rank 0; null elsewhere
/// @return the same on every rank
/// @throws what Execute throws, on its rank; Error for one that reports other results than those of its jobs
Outcome run(comm::Session& session, JobSource* source, Recorder* recorder, Execute const& execute,
            comm::MessengerOptions const& options = {});

}  // namespace samner::sched
