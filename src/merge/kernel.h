#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "merge/method.h"

namespace samner::merge {

enum class Sparsify { nothing, largest, random };
enum class Elect { nobody, total, frequency };
enum class Divide { by_one, by_count, by_weight };

/// One operator, as its four steps: sparsify each tensor, elect a sign for each element, sum the agreeing weighted
/// values, divide. mergekit's view of the family; every method that works element by element is one of these.
struct Recipe {
    Sparsify sparsify = Sparsify::nothing;
    Elect elect = Elect::nobody;
    Divide divide = Divide::by_one;  ///< by the number or the summed weight of those that agreed (0 counts as 1)
    bool elect_weighted = false;     ///< elect on the weighted values (mergekit) and not on the plain ones (peft)
    bool keep_at_least_one = false;  ///< mergekit's k is at least 1
    bool rescale_dropped = true;     ///< Sparsify::random divides what it keeps by the density
    std::uint64_t seed = 0;
};

/// One expert's tensor.
struct Contribution {
    std::span<float const> values;
    float coefficient = 1.0F;
    double density = 1.0;            ///< share of elements kept, in (0, 1]
    std::string_view identity = {};  ///< of the expert's content (a hash): sets the order of summation and DARE's mask
};

/// The element-wise recipe of a method, or of the step before the truncation for an svd method.
/// @throws std::logic_error for `cat`, which is not element-wise
Recipe recipe_of(MergeOptions const& options);

/// Merges one tensor. float32 arithmetic in a fixed order: by identity, so that permuting the contributions changes no
/// bit, on any number of threads.
/// @param name  tensor name with its factor: with seed and identity it keys the DARE mask
/// @param out   as many elements as each contribution; may be one of the contributions' own memory
/// @throws InputError when sizes differ, a density is outside (0, 1], or one of several contributions has no identity
void merge_tensor(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                  std::span<float> out);

}  // namespace samner::merge
