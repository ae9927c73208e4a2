#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/json.h"
#include "plan/run_file.h"
#include "plan/task.h"
#include "store/artifacts.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// Does the tasks of a plan (payloads: plan/planner.h) on one rank. Models are loaded when first needed and kept.
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

    /// @return the artifact's SHA-256 (empty where there is none) and what the run keeps of the task
    /// @throws what goes wrong
    std::pair<std::string, Json> run(plan::Task const& task);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The data root of a run: its `data`, else the environment variable SAMNER_DATA.
/// @throws InputError when neither is set
std::filesystem::path data_root(plan::RunFile const& run);

}  // namespace samner::task
