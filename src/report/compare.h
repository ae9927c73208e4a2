#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/view.h"
#include "score/bootstrap.h"

namespace samner::report {

/// A row of a view. The view must outlive it.
struct ViewRow {
    View const* view = nullptr;
    std::size_t grid = 0;
    std::size_t row = 0;  ///< place in Grid::systems, not a published one

    std::string const& experiment() const { return view->grids[grid].experiment; }
    std::string const& name() const { return view->grids[grid].systems[row]; }
    std::string const& expression() const { return view->grids[grid].expressions[row]; }
    std::string full_name() const { return experiment() + "/" + name(); }
};

/// All rows of a view, in its order, without those that are published.
std::vector<ViewRow> rows_of(View const& view);

/// @param name  [EXPERIMENT/]ROW
/// @param run   what to name in messages
/// @throws InputError when there is none, with the one that it is near to, or when several experiments have one
ViewRow row_named(View const& view, std::string const& name, std::string_view run);

/// A target on which two rows are not compared, and why.
struct LeftOut {
    std::string target;
    std::string reason;  ///< for people; the rows are a and b
};

/// Two rows on one target, or in the mean over several.
struct TargetComparison {
    std::string target;
    std::size_t sentences = 0;
    score::Counts a = {};  ///< summed over sentences and repeats
    score::Counts b = {};
    double f1_a = 0;  ///< of these counts; of a mean the mean over targets
    double f1_b = 0;
    score::Comparison comparison = {};  ///< a minus b
};

struct RowComparison {
    std::vector<TargetComparison> targets;      ///< in the order of a's grid
    std::optional<TargetComparison> mean = {};  ///< over these but the pooled one; nothing for fewer than two
    std::vector<LeftOut> left_out = {};
};

/// Compares two rows, of one run or of two, by paired bootstrap over sentences (score::compare_f1) on each target that
/// both have, are done on, and have with the same sentences and gold. A sentence's counts are summed over the repeats
/// before it is drawn. Targets with trials are left out.
/// @throws InputError when an option is out of range
RowComparison compare_rows(ViewRow const& a, ViewRow const& b, score::BootstrapOptions const& options);

/// The averages of two rows, without a test.
struct AverageComparison {
    std::size_t targets = 0;  ///< that they are over: as compare_rows, but also those with trials
    double a = 0;             ///< mean over them of Value::mean; NaN when there are none
    double b = 0;
    std::vector<LeftOut> left_out = {};
};

AverageComparison compare_averages(ViewRow const& a, ViewRow const& b);

}  // namespace samner::report
