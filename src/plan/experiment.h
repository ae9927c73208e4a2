#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/key.h"
#include "plan/expression.h"

namespace samner::plan {

struct Row {
    std::string name;  ///< unique in its experiment
    Term::Ptr term;    ///< a model or predictions
};

/// One experiment file (a table or figure): what is compared on what.
struct Experiment {
    std::string name;
    std::string title;
    std::vector<std::string> targets;  ///< ids, in the order of the file
    std::vector<Row> rows;             ///< in the order of the file, `for` rows expanded
    bool average = false;              ///< a column of unweighted means
};

/// The keys of an experiment file.
std::span<Key const> experiment_keys();

/// Reads an experiment and what it includes (paths relative to the file that names them).
/// @throws InputError with file, line and column: unknown keys, cyclic includes, rows or targets named twice, ill-typed
///         rows, keys that are not there yet (exclude, published, targets that are not a list of ids)
Experiment load_experiment(std::filesystem::path const& path);

/// Reads several. @throws InputError also when two have one name
std::vector<Experiment> load_experiments(std::vector<std::filesystem::path> const& paths);

}  // namespace samner::plan
