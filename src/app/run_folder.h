#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plan/planner.h"
#include "sched/sched.h"
#include "store/artifacts.h"
#include "store/journal.h"
#include "store/lease.h"
#include "task/results.h"

namespace samner::app {

/// What a journal says of each task: its last record, by key.
task::Records records_of(store::Replay const& replay);

/// Where the trainings of a run keep their state, a file a task, named by its key.
std::filesystem::path checkpoint_folder(std::filesystem::path const& run);

/// Marks in a plan what a journal holds as done (artifact there and unchanged) or failed, as far as the plan knows its
/// tasks, and on with the tasks that become known by that.
/// @param artifacts  null: what is recorded as done is taken for there and unchanged
/// @return the tasks that are left, which no record settles
std::vector<plan::Task> settle_known(plan::Plan& plan, task::Records const& records, store::Artifacts const* artifacts,
                                     bool retry_failed);

/// A run folder that this process (rank 0) holds and writes to, as source and recorder of the scheduler.
class RunFolder : public sched::TaskSource, public sched::Recorder {
public:
    /// Creates the folder or opens an earlier run.
    /// @throws InputError when it holds a run of another configuration, naming what differs; RunInUseError;
    /// StorageError
    RunFolder(std::filesystem::path const& folder, plan::Plan plan, std::string frozen, bool retry_failed);

    plan::Plan const& plan() const { return plan_; }
    store::Artifacts const& artifacts() const { return artifacts_; }

    /// Tasks that are known so far and that the journal does not settle. Artifacts are not looked at.
    std::vector<plan::Task> left() const;

    std::vector<sched::Task> take_new() override;
    void finished(sched::TaskResult const& result) override;
    void failed(sched::TaskResult const& result) override;
    void started(sched::Task const& task, std::vector<int> const& team) override;
    void ended(sched::Task const& task, sched::TaskResult const& result) override;
    void sync() override;

    /// Writes results.h5 and report.html. @return the grids as text
    std::string publish();

private:
    std::filesystem::path folder_;
    plan::Plan plan_;
    std::string frozen_;
    bool retry_failed_;
    store::Lease lease_;
    store::Artifacts artifacts_;
    store::Journal journal_;
    task::Records records_;
    std::vector<std::string> ended_;  ///< keys of tasks done since the last sync
    std::size_t done_ = 0;
};

/// Scores what a run folder holds and writes results.h5 and, to `report`, the page. @return the grids as text
std::string write_results(std::filesystem::path const& folder, plan::Plan const& plan,
                          store::Artifacts const& artifacts, task::Records const& records, std::string const& frozen,
                          std::filesystem::path const& report);

}  // namespace samner::app
