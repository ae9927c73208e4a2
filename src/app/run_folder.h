#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/provenance.h"
#include "app/run_display.h"
#include "plan/planner.h"
#include "report/view.h"
#include "sched/coordinate.h"
#include "store/artifacts.h"
#include "store/claims.h"
#include "store/journal.h"
#include "store/lease.h"
#include "work/cost.h"
#include "work/result.h"

namespace samner::app {

/// Where the trainings of a run keep their state, a file a task, named by its key.
std::filesystem::path checkpoint_folder(std::filesystem::path const& run);

/// What settles the tasks of a plan.
struct Settling {
    store::Artifacts const& artifacts;
    bool verify = true;         ///< whether artifacts are read; else it is enough that they are there
    bool from_store = true;     ///< also by the store's records of what other runs have done
    bool retry_failed = false;  ///< what has failed is left
    /// Called for each record of the store that settles a task; may be empty.
    std::function<void(work::TaskRecord const&)> reused = {};
    /// Called with each task that the plan has made known, once it is settled or left; may be empty.
    std::function<void(std::string const& key)> see = {};
};

/// Marks in a plan what is done (artifact there and unchanged) or failed, as far as the plan knows its tasks, and on
/// with the tasks that become known by that.
/// @param records  of the run; what is found in the store is added
/// @return keys of the tasks that are left, which no record settles
std::vector<std::string> settle_known(plan::Plan& plan, report::Records& records, Settling const& settling);

/// Whether the experiment of a run folder may be another one than before.
enum class Change { allowed, refused };

/// Checks that `run` would take a folder, which need not be there, without touching it.
/// @return in what the experiment differs from the one that the folder holds; empty when there is none
/// @throws InputError when it is no run folder, or holds another run and a change is refused, naming what differs
std::vector<std::string> check_run_folder(std::filesystem::path const& folder, std::string const& frozen,
                                          Change change);

/// Checks that `run` would take a store for a run folder, without touching either. @param store  empty: RUN/artifacts
/// @throws InputError when the folder has results of its own elsewhere, or its store is gone
void check_store(std::filesystem::path const& run, std::filesystem::path const& store);

/// What a run has come to. The grids are there whatever becomes of its files.
struct Published {
    std::string grids;                ///< as text
    bool complete = true;             ///< every cell has a number
    std::exception_ptr failure = {};  ///< the first of what went wrong with a file; the others are logged

    /// Does what writes a file; where that fails, the others can be written all the same.
    void attempt(std::function<void()> const& write);
};

/// A run folder that this process (rank 0) holds and writes to, as source and recorder of the scheduler.
class RunFolder : public sched::JobSource, public sched::Recorder {
public:
    struct Options {
        bool retry_failed = false;
        Change change = Change::allowed;
        std::filesystem::path store = {};  ///< empty: RUN/artifacts, or what that is a link to
        bool move_store = true;            ///< a run that uses another store uses this from now on, else it is refused
        int ranks = 1;
    };
    /// Creates the folder or opens an earlier run. Where the experiment has changed, what it asks for that is there is
    /// used again; the journal keeps each version.
    /// @param frozen      what runs (plan::frozen)
    /// @param provenance  goes into the journal, beside each artifact and into the results
    /// @throws InputError when it holds another run and a change is refused, naming what differs; RunInUseError;
    /// StorageError
    RunFolder(std::filesystem::path const& folder, plan::Plan plan, std::string frozen, Options options,
              Provenance provenance);

    ~RunFolder() override;  ///< what has ended stays known, also when an exception ends the run

    plan::Plan const& plan() const { return plan_; }
    RunDisplay& display() { return display_; }
    store::Artifacts const& artifacts() const { return artifacts_; }

    /// Claims of runs that died, whose tasks were done here.
    std::size_t expired() const { return expired_; }

    /// By which other ranks write to the store in this run's name.
    store::Artifacts::Options writer_of_ranks() const;

    /// What the work that is left asks of the base model, as far as it is known. Artifacts are not looked at.
    struct Needs {
        bool base = false;      ///< a task computes with it, or will when a selection is known
        bool training = false;  ///< one trains
    };
    Needs const& needs() const { return needs_; }

    std::vector<sched::Job> take_new() override;
    void finished(sched::JobResult const& result) override;
    void failed(sched::JobResult const& result) override;
    void started(sched::Job const& job, std::vector<int> const& team) override;
    void ended(sched::Job const& job, sched::JobResult const& result) override;
    void sync() override;
    bool claim(sched::Job const& job) override;
    Elsewhere look_elsewhere() override;
    void progress(sched::Progress const& progress) override;
    void tick() override { display_.tick(); }

    /// Writes results.h5 and report.html, and the plan and the names of what is there.
    Published publish();

private:
    void adopt();
    void look_ahead();
    void require_inputs(sched::Job const& job);
    void expect(std::string const& key);
    void keep(work::TaskRecord const& record);
    void write_plan() const;

    std::filesystem::path folder_;
    plan::Plan plan_;
    std::string frozen_;
    bool retry_failed_;
    Provenance provenance_;
    store::Lease lease_;
    std::vector<std::string> changed_;  ///< settings in which the experiment differs from the version before
    store::Claims claims_;
    RunDisplay display_;
    store::Artifacts artifacts_;
    store::Journal journal_;
    report::Records records_;
    work::Rates rates_;
    std::vector<std::string> ended_;              ///< keys of tasks done since the last sync
    std::set<std::string> elsewhere_;             ///< keys of tasks that other runs do
    std::set<std::filesystem::path> neighbours_;  ///< run folders of these runs
    Needs needs_;
    bool planned_ = false;     ///< plan.json holds the tasks that were known at the start
    bool waits_ = false;       ///< all that is left is done by other runs
    std::size_t expired_ = 0;  ///< claims of runs that died, whose work is repeated
};

/// A run folder's journal; warns of what of it cannot be used.
/// @throws InputError when there is none, or it has lines of which none can be read
store::Replay read_journal(std::filesystem::path const& folder);

/// The tasks of a plan with their states and costs, as one JSON document (`samner plan --json`).
/// @param experiment  SHA-256 of what runs (plan::frozen); empty: left out
std::string plan_as_json(plan::Plan const& plan, work::Rates const& rates, std::string const& experiment = {});

/// The rates that a run has measured, and guesses for the rest.
work::Rates rates_of(plan::Plan const& plan, report::Records const& records);

/// A task as the scheduler sees it. It waits for those tasks before it that are not done.
sched::Job job_of(plan::Plan const& plan, std::string const& key, work::Rates const& rates);

/// Scores what a run folder holds and writes results.h5 and, to `report`, the page.
Published write_results(std::filesystem::path const& folder, plan::Plan const& plan, store::Artifacts const& artifacts,
                        report::Records const& records, std::string const& frozen, Provenance const& provenance,
                        std::filesystem::path const& report);

}  // namespace samner::app
