#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "plan/planner.h"
#include "score/score.h"
#include "store/artifacts.h"
#include "store/results.h"

namespace samner::task {

/// A cell of a grid with its counts.
struct ScoredCell {
    plan::Cell cell;
    score::Counts counts;
    std::string chosen;  ///< of best_by_gold: the expert
    std::int64_t sentences = 0;
};

/// Scores every cell whose predictions are there: union, vote and counts are arithmetic on stored predictions.
/// @throws InputError when an artifact is not what it should be
std::vector<ScoredCell> score_cells(plan::Plan const& plan, store::Artifacts const& artifacts);

/// What a run keeps of a finished task: its journal record.
using Records = std::map<std::string, Json>;

/// Everything that results.h5 holds.
store::Results collect(plan::Plan const& plan, std::vector<ScoredCell> const& cells, Records const& records,
                       std::string const& frozen);

/// The grids as text, F1 in percent: systems down, targets across; `-` where there is no value.
std::string grids_as_text(plan::Plan const& plan, std::vector<ScoredCell> const& cells);

/// A self-contained HTML page: grids, selections, training curves, costs.
std::string report_html(plan::Plan const& plan, std::vector<ScoredCell> const& cells, Records const& records,
                        std::string const& frozen);

}  // namespace samner::task
