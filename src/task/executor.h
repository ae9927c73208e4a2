#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "plan/run_file.h"
#include "plan/task.h"
#include "store/artifacts.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// Does the tasks of a plan (payloads: plan/planner.h). Models are loaded when first needed and kept, and so are the
/// last four adapters that were merged here, for the evaluations that follow.
class Executor {
public:
    /// @param artifacts    where results go, and where those of earlier tasks are found
    /// @param checkpoints  folder in which trainings keep their state, by key, until the caller removes it
    Executor(plan::RunFile run, store::Artifacts const& artifacts, std::filesystem::path checkpoints);
    ~Executor();
    Executor(Executor const&) = delete;
    Executor& operator=(Executor const&) = delete;

    /// Loads the base model on all ranks at once, which then share it (Engine::load_together). Collective; without it
    /// each rank loads its own when a task needs it.
    void load_base(comm::Comm const& ranks, bool for_training);

    /// @param team  ranks that train or merge together, each by this call; the first alone writes the artifact. Null:
    ///              this one alone. Other kinds are done by the first
    /// @return the artifact's SHA-256 (empty where there is none) and what the run keeps of the task; on the first rank
    /// @throws what goes wrong
    std::pair<std::string, Json> run(plan::Task const& task, comm::Comm const* team = nullptr);

    /// Decodes infer tasks that differ in their adapter only in one batch, for the calls of `run` that follow. What
    /// fails here is left to those calls, so that an adapter that cannot be read fails its own task alone.
    void decode_ahead(std::vector<plan::Task> const& tasks);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The data root of a run: its `data`, else the environment variable SAMNER_DATA.
/// @throws InputError when neither is set
std::filesystem::path data_root(plan::RunFile const& run);

}  // namespace samner::task
