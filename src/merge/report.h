#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "merge/inner.h"
#include "merge/kernel.h"

namespace samner::merge {

/// What a merge did to one module. Experts are in the order in which they were given.
struct ModuleReport {
    std::string module;
    Counts counts;           ///< of the tensors merged element by element; 0 elements where there were none
    InnerProducts updates;   ///< <D_i, D_j> of the experts' updates s B A, without weights
    double merged_norm = 0;  ///< Frobenius norm of the merged update
};

/// The model as one vector: what the reports of its modules say together.
/// @throws InputError when a module has another number of experts
ModuleReport total_of(std::size_t experts, std::span<ModuleReport const> modules);

/// The report as JSON: {"experts": [...], "modules": [{"module", ...}], "total": {...}}. A module and the total have
/// "norm" (of each expert's update), "merged_norm", "cosine" (a matrix; null where an update is zero) and, where
/// tensors were merged element by element, "elements", "sparsity" (share of zeros in the result), "kept" (share of each
/// expert's elements that are not 0 after dropping) and "sign_conflict_rate" (share of elements where two experts have
/// opposite signs after dropping); null elsewhere. The total takes the model as one vector.
/// @throws InputError when a module has another number of experts
Json to_json(std::span<std::string const> experts, std::span<ModuleReport const> modules);

}  // namespace samner::merge
