#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "merge/method.h"
#include "merge/weight_rules.h"

namespace samner::merge {

/// A merge as a configuration of mergekit asks for it, with LoRA adapters as models.
struct MergekitConfig {
    MergeOptions options;  ///< with mergekit's arithmetic (Compatibility::mergekit) and its default density of 1
    std::vector<std::filesystem::path> adapters;
    std::vector<std::vector<WeightRule>> rules;  ///< of each adapter
    std::string base_model;                      ///< empty when the file names none
    std::string dtype;                           ///< F32, F16 or BF16; empty when the file names none
};

/// Reads a configuration of mergekit 0.1 (merge_method, models, base_model, parameters, dtype). Models are PEFT
/// folders, also as `base+adapter`; the base itself among them counts for nothing, as there. weight is a number or a
/// list of {filter, value}, whose filter is part of a tensor's name; density, gamma, epsilon, lambda, normalize and
/// rescale are numbers and switches of the whole merge; slerp has t.
/// @throws InputError naming the key, with its place, for what mergekit knows and this merge does not (slices, modules,
///         gradients over layers, densities that differ by model, tokenizer_source, int8_mask …), unknown keys, and
///         methods that only one of the two knows
MergekitConfig read_mergekit(std::filesystem::path const& path);

}  // namespace samner::merge
