#pragma once

#include <span>
#include <string>
#include <string_view>

#include "merge/kernel.h"

namespace samner::merge {

/// Why this process cannot merge on a CUDA device: the build has no CUDA, or no device is there. Empty where it can.
std::string device_obstacle();

/// merge_tensor on a CUDA device, with the same bits, for recipes that drop nothing or keep the largest
/// (linear, task_arithmetic, magnitude_prune, ties). The tensors are copied there and the result back.
/// @param device  its index
/// @throws InputError as merge_tensor and for another recipe, InfrastructureError when there is no device or it fails
void merge_tensor_on_device(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                            std::span<float> out, int device = 0);

}  // namespace samner::merge
