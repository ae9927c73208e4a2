#pragma once

#include <filesystem>
#include <vector>

#include "merge/method.h"

namespace samner::task {

struct AdapterMerge {
    std::vector<std::filesystem::path> adapters;  ///< PEFT folders
    std::vector<double> weights;                  ///< one an adapter; empty: all 1
    merge::MergeOptions options;
    bool allow_nonfinite = false;  ///< merge NaN and infinity as they come
};

/// Merges adapters in factor space, module by module, and writes the result as a PEFT folder, whole or not at all. Its
/// metadata name the inputs' hashes, the method and its parameters. The bytes do not depend on the order of the
/// adapters or on the number of threads. One adapter of weight 1 is copied as it is.
/// @throws InputError when adapters do not fit each other, weights are of the wrong number, or a value is not finite
void merge_adapters(AdapterMerge const& merge, std::filesystem::path const& out);

}  // namespace samner::task
