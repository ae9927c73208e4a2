#pragma once

#include "report/view.h"
#include "store/results.h"

namespace samner::report {

/// Everything that results.h5 holds: the grids, and the tables `cells` (one line a cell), `experts` (a line a training
/// step), `selection` (a line a candidate), `cost` (a line a task that ended) and `repeats` (the seeds of each repeat,
/// by the label that `seed` columns hold), `resources` (what the paper's Appendix C says of costs beside what the run
/// needed; report/resources.h). A missing number is NaN.
store::Results tables_of(View const& view);

}  // namespace samner::report
