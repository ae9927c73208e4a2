#pragma once

#include <vector>

#include "plan/planner.h"

namespace samner::task {

/// Hashes and sizes of what experiments read, and with that a check of all of it: models open and fit, data sets are
/// described and readable, settings make sense. Reads every input once; nothing is computed yet.
/// Settings of `run.train` are completed by their defaults.
/// @throws InputError with what is wrong and where
plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile& run);

}  // namespace samner::task
