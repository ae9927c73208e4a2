#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/key.h"
#include "plan/expression.h"
#include "plan/paper_values.h"
#include "plan/targets.h"

namespace samner::plan {

struct Row {
    std::string name;                     ///< unique in its experiment
    Term::Ptr term;                       ///< a model or predictions
    std::set<std::string> excluded = {};  ///< columns on which it is not evaluated
};

/// An experiment file (a table or figure): what is compared on what.
struct Experiment {
    std::string name;
    std::string title;
    Term::Ptr data;  ///< a pool whose data is shown; there are no targets and rows then
    Targets targets;
    std::vector<Row> rows;               ///< in the order of the file, `for` rows expanded
    std::vector<std::string> published;  ///< rows of `paper` that stand above the others and are never computed
    std::optional<PaperValues> paper;    ///< printed values to show beside those of the run
    bool average = false;                ///< a column of unweighted means
    std::string place = {};              ///< of its targets, for messages; empty: not known

    bool shows_data() const { return data != nullptr; }
};

/// The keys of an experiment file.
std::span<Key const> experiment_keys();

/// Reads an experiment and what it includes (paths relative to the file that names them).
/// @throws InputError with file, line and column: unknown keys, cyclic includes, rows or targets named twice, ill-typed
///         rows, conditions that name nothing, published systems without printed values
Experiment load_experiment(std::filesystem::path const& path);

/// Reads several; a file that has only `experiments` stands for those that it lists.
/// @throws InputError also when two have one name, or a file lists itself
std::vector<Experiment> load_experiments(std::vector<std::filesystem::path> const& paths);

}  // namespace samner::plan
