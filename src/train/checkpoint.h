#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/step.h"

namespace samner::train {

/// All that a training carries from one step to the next. What else it needs (the order of examples, dropout, the
/// learning rate) is a function of the step's number.
struct Checkpoint {
    std::vector<float> values;         ///< of the factors, as LoraParameters has them
    std::vector<float> first_moment;   ///< of AdamW, as many
    std::vector<float> second_moment;  ///< likewise
    std::vector<Step> curve;           ///< the steps that are done
};

/// Writes a checkpoint atomically in the place of an older one. @param identity  names the training, bound to its
/// inputs
/// @throws StorageError
void write_checkpoint(std::filesystem::path const& path, std::string const& identity, Checkpoint const& checkpoint);

/// @return nothing when there is no file, and, with a warning that says so, when its contents are damaged
/// @throws InputError when the file is the checkpoint of another training
std::optional<Checkpoint> read_checkpoint(std::filesystem::path const& path, std::string const& identity,
                                          std::int64_t parameters);

}  // namespace samner::train
