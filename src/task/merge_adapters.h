#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "merge/method.h"
#include "merge/module_rules.h"
#include "merge/report.h"
#include "weights/adapter.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

struct AdapterMerge {
    std::vector<std::filesystem::path> adapters;  ///< PEFT folders
    std::vector<double> weights;                  ///< one an adapter; empty: all 1
    /// Instead of `weights`: the rules of each adapter, by module and layer; empty: none.
    std::vector<std::vector<merge::ModuleRule>> rules = {};
    /// Instead of the options' density: the rules of each adapter; empty: none.
    std::vector<std::vector<merge::ModuleRule>> densities = {};
    merge::MergeOptions options = {};
    bool allow_nonfinite = false;  ///< merge NaN and infinity as they come
    std::string dtype = {};        ///< that the tensors of a folded model have to have, such as F32; empty: any
    bool report = false;           ///< also find out what the merge does to each module
};

struct MergedAdapter {
    weights::Adapter adapter;
    std::map<std::string, std::string> provenance;  ///< inputs' hashes and weights, method and its parameters
    std::vector<merge::ModuleReport> reports;       ///< of every module; empty unless asked for
    std::uint64_t bytes = 0;                        ///< of the experts' factors that this rank merged
};

/// Merges adapters in factor space (an svd method: their products, truncated to a rank), module by module. The result
/// does not depend on the order of the adapters, the number of threads or of ranks. Memory beside the result: at most
/// the largest module times the number of adapters and two, in float32 (svd methods work on their factors or dense
/// updates in float64, and take more).
/// @param ranks  null: this process does all of it; else a collective call: each rank merges its shard of the modules,
///               and all get the whole, without touching the disk; where they merge on
///               a GPU each, by NCCL
/// @throws InputError when adapters do not fit each other, weights are of the wrong number, an option is out of its
///         range, or a value is not finite; what fails on one rank is thrown on all
MergedAdapter merge_adapters(AdapterMerge const& merge, comm::Comm const* ranks = nullptr);

/// Merges the adapters' products s B A (delta space) into the weights of their base model and writes that as a model
/// folder, whole or not at all: the same tensors, types and index as the base, in the files from which that is read.
/// Its other files are copied, but for those with other weights, which are named in a warning. A changed tensor is
/// added up in fp32 and rounded once. Memory: the largest changed tensor in fp32 times the number of adapters and two.
/// One adapter is folded as it is.
/// @param base   Hugging Face folder with safetensors of F32, F16 or BF16
/// @param ranks  null: this process does all of it; else a collective call: each rank writes its share of the tensors
///               into files that all of them see. The bytes do not depend on how many there are
/// @param replace  a folder that is at `out` is replaced, else it is an error
/// @return the bytes of tensors that this rank wrote
/// @throws InputError as merge_adapters, when an adapter does not fit the base, the base is of another kind, or a sum
///         is too large for the tensor's type (tensor and index named); StorageError
std::uint64_t fold_adapters(AdapterMerge const& merge, std::filesystem::path const& base,
                            std::filesystem::path const& out, comm::Comm const* ranks = nullptr, bool replace = false);

}  // namespace samner::task
