#pragma once

#include <filesystem>

#include "plan/planner.h"
#include "report/view.h"
#include "store/artifacts.h"

namespace samner::app {

/// Makes RUN/experts, a library (samner experts, samner adapt) of what a run has trained: for each expert whose training
/// is done a PEFT folder of its name, with links to the files in RUN/artifacts and its card (work::Card). With several
/// trainings of one expert the folders are named NAME.seed-S. Unified models and mixed experts are not in it.
/// @throws InputError; StorageError
void write_expert_folders(std::filesystem::path const& run, plan::Plan const& plan, report::Records const& records,
                          store::Artifacts const& artifacts);

}  // namespace samner::app
