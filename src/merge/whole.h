#pragma once

#include <span>
#include <string_view>

#include "merge/kernel.h"

namespace samner::merge {

/// Merges of whole weight tensors as mergekit 0.1 defines them: the sign is elected on the weighted differences to the
/// base, and a normalised result is divided by the agreeing weights.
enum class WholeMethod { linear, task_arithmetic, ties };

struct WholeOptions {
    WholeMethod method = WholeMethod::ties;
    bool normalize = true;  ///< mergekit's default: true for linear and ties, false for task_arithmetic
    double lambda = 1.0;    ///< on the merged difference; not used by linear
};

/// @throws InputError with the known names, and the nearest one
WholeMethod parse_whole_method(std::string_view name);

/// out = base + lambda * operator(models - base), or the (weighted mean) sum of the models for linear.
/// @param models  values: the model's tensor; coefficient: its weight; density: in (0, 1], for ties
/// @param base    the base model's tensor; empty for linear
/// @throws InputError as merge_tensor, and when the base does not have the size of the result
void merge_whole(WholeOptions const& options, std::string_view name, std::span<float const> base,
                 std::span<Contribution const> models, std::span<float> out);

/// Spherical interpolation at t in [0, 1] from `from` to `to`, each taken as one vector (Shoemake 1985), in double;
/// linear where |cos| of their angle is above 0.9995 or one is zero.
/// @throws InputError when sizes differ or t is outside [0, 1]
void slerp(std::span<float const> from, std::span<float const> to, double t, std::span<float> out);

}  // namespace samner::merge
