#pragma once

#include <string>
#include <utility>
#include <vector>

#include "task/tasks.h"

namespace samner::task {

/// Does the tasks of a run on one rank.
class Executor {
public:
    Executor(Workplace workplace, store::Artifacts const& artifacts) : context_{std::move(workplace), artifacts} {}

    /// Loads the base model on all ranks at once, which then share it (Engine::load_together). Collective; without it
    /// each rank loads its own when a task needs it.
    void load_base(comm::Comm const& ranks, bool for_training);

    /// Called by the tasks of the calls that follow: trainings after each step (with a team on its first rank),
    /// decoding passes with the number of answered sentences. Empty: nobody listens.
    void on_progress(OnProgress on_progress) { context_.on_progress(std::move(on_progress)); }

    /// @param team  ranks that train or merge together, each by this call; the first alone writes the artifact. Null:
    ///              this one alone. Other kinds are done by the first
    /// @return what the task leaves; on the first rank
    /// @throws what goes wrong
    Done run(std::string const& key, work::Task const& task, comm::Comm const* team = nullptr);

    /// Prepares tasks of one batch together, for the calls of `run` that follow.
    void prepare(std::vector<std::pair<std::string, work::Task>> const& batch);

private:
    Context context_;
};

}  // namespace samner::task
