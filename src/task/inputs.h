#pragma once

#include <filesystem>
#include <vector>

#include "plan/graph.h"
#include "task/context.h"

namespace samner::task {

/// Hashes and sizes of what experiments read, and with that a check of all of it: models open and fit, data sets are
/// described and readable. Reads every input once; nothing is computed yet.
/// @throws InputError with what is wrong and where
plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile const& run);

/// Where tasks of a run find what they need. @param checkpoints  folder for the state of trainings
Workplace workplace_of(plan::RunFile const& run, std::filesystem::path const& checkpoints);

}  // namespace samner::task
