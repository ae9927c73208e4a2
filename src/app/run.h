#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "app/run_folder.h"
#include "core/error.h"
#include "core/hash_memory.h"
#include "plan/experiment.h"
#include "plan/planner.h"
#include "plan/run_file.h"

namespace samner::app {

struct RunOptions {
    std::filesystem::path out;    ///< the run folder
    std::filesystem::path store;  ///< empty: as the run file says
    std::string why;              ///< key of a task, whose state a plan is to explain
    int ranks = 0;                ///< to be started; 0: this process is one
    bool dry_run = false;
    bool retry_failed = false;
    bool frozen = false;
    bool json = false;
    bool simulate = false;  ///< a plan
    int simulated_ranks = 1;
    int nodes = 1;                  ///< of these ranks
    std::filesystem::path profile;  ///< rates.json of another run; empty: rates are those of this run
};

/// What runs, read and checked.
struct Setup {
    std::vector<plan::Experiment> experiments;
    plan::RunFile run;
    plan::Inputs inputs;
    HashMemory::Cost hashing;
    std::string frozen;

    /// Also says what users should know of it.
    plan::Plan plan() const;
};

/// Reads and hashes what experiments ask for. @throws InputError
Setup examine(std::vector<plan::Experiment> experiments, plan::RunFile run);

/// What a run does before and after its tasks, on rank 0.
struct Work {
    std::function<Setup()> set_up;
    /// Called when results and page are written, unless the run was stopped; may be empty.
    /// @return what is to be said of it on standard output
    std::function<std::string(RunFolder const&)> deliver = {};
};

/// Prints the tasks, what is done, why the rest is not, and what it costs.
void show_plan(RunOptions const& options, Setup const& setup);

/// Runs experiments in a run folder, on all ranks; resumes it. With `dry_run` it shows the plan.
/// @throws InputError; RunInUseError; StorageError
ExitCode run(RunOptions const& options, Work const& work);

}  // namespace samner::app
