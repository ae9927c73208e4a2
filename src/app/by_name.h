#pragma once

#include <filesystem>
#include <string>

#include "plan/planner.h"

namespace samner::app {

/// A name as that of one folder: a slash in it is written %2F.
std::string folder_name(std::string const& name);

/// Makes RUN/by-name, anew unless it is as it should be: for each cell whose results are there a folder
/// EXPERIMENT/ROW/TARGET, with seed-LABEL below where there are several repeats, in which links lead to RUN/artifacts:
/// predictions-1.jsonl, adapter-1 (what decoded them; none for the base model), predictions-2.jsonl …, selection-1.json
/// …. A slash in a name is written %2F. A file system without links is warned of.
void link_by_name(std::filesystem::path const& run, plan::Plan const& plan);

}  // namespace samner::app
