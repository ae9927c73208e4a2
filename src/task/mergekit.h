#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "merge/method.h"
#include "merge/module_rules.h"

namespace samner::task {

/// A merge as a configuration of mergekit asks for it, with LoRA adapters as models.
struct MergekitConfig {
    merge::MergeOptions
        options;  ///< with mergekit's arithmetic (merge::Compatibility::mergekit) and its default density of 1
    std::vector<std::filesystem::path> adapters;
    std::vector<std::vector<merge::ModuleRule>> rules;      ///< weights of each adapter
    std::vector<std::vector<merge::ModuleRule>> densities;  ///< of each adapter; empty: all have the options' density
    std::string base_model;                                 ///< empty when the file names none
    std::string dtype;                                      ///< F32, F16 or BF16; empty when the file names none
};

/// Reads a configuration of mergekit 0.1 (merge_method, models, base_model, parameters, dtype). Models are PEFT
/// folders, also as `base+adapter`; the base itself among them counts for nothing, as there. weight and density are
/// numbers, gradients over the layers (lists of numbers) or lists of {filter, value}, whose filter is part of a
/// tensor's name; the model's come before those of its slice and those of the file. gamma, epsilon, lambda, normalize
/// and rescale are numbers and switches of the whole merge; slerp has t. One slice of all layers is the same as a list
/// of models.
/// @param base  folder of the base model, whose number of layers gradients and slices ask for; empty: the file's
///              base_model
/// @throws InputError naming the key, with its place, for what mergekit knows and this merge does not (slices of some
///         layers, modules, other gradients, tokenizer_source, int8_mask …), unknown keys, and methods that only one of
///         the two knows
MergekitConfig read_mergekit(std::filesystem::path const& path, std::filesystem::path const& base = {});

}  // namespace samner::task
