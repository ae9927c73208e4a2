#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "merge/method.h"
#include "merge/select.h"

namespace samner::merge {

/// `band`: the largest but for the very largest (breadcrumbs). `ranked`: random, by rank of magnitude in a row (della).
enum class Sparsify { nothing, largest, band, random, ranked };
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
    bool zero_is_negative = false;   ///< what an elected sum of 0 counts as
    Rescale rescale = Rescale::expected;
    double gamma = 0.0;    ///< Sparsify::band drops this share of the largest (less where that leaves too few)
    double epsilon = 0.0;  ///< Sparsify::ranked keeps with density - epsilon (smallest) to density + epsilon (largest)
    std::uint64_t seed = 0;
};

/// One expert's tensor.
struct Contribution {
    std::span<float const> values;
    float coefficient = 1.0F;
    double density = 1.0;             ///< share of elements kept, in (0, 1]
    std::string_view identity = {};   ///< of the expert's content (a hash): sets the order of summation and DARE's mask
    std::optional<float> share = {};  ///< in Divide::by_weight; the coefficient when absent
    std::size_t row = 0;              ///< elements a row, for Sparsify::ranked; 0: one row
    std::optional<Cut> cut = {};      ///< of the whole model, for Sparsify::largest; found in the tensor when absent
};

/// What happened to the elements of a tensor.
struct Counts {
    std::uint64_t elements = 0;
    std::uint64_t zeros = 0;          ///< in the result
    std::uint64_t conflicts = 0;      ///< two of the sparsified tensors have opposite signs
    std::vector<std::uint64_t> kept;  ///< elements of each sparsified tensor that are not 0, in the order given

    Counts& operator+=(Counts const& other);
};

/// The element-wise recipe of a method, or of the step before the truncation for an svd method.
/// @throws std::logic_error for `cat` and the geometric methods, which are not element-wise
Recipe recipe_of(MergeOptions const& options);

// What the CPU and a CUDA device do alike.

constexpr float least_weight = 1e-8F;  ///< mergekit's: a smaller sum of weights divides by 1

/// Indices of the contributions in the order of summation. @throws InputError as merge_tensor
std::vector<std::size_t> checked_order(std::string_view name, std::span<Contribution const> contributions,
                                       std::size_t size);

/// What a contribution adds to the divisor.
float share_of(Recipe const& recipe, Contribution const& one);

/// k of trimming.
std::size_t num_kept(Recipe const& recipe, Contribution const& one);

/// Takes the part of a result that begins at a flat index; it may change the values. Called by several threads, for
/// parts that do not overlap and together are the whole.
using TakePart = std::function<void(std::size_t begin, std::span<float> values)>;

/// Merges one tensor. float32 arithmetic in a fixed order: by identity, so that permuting the contributions changes no
/// bit, on any number of threads.
/// @param name  tensor name with its factor: with seed and identity it keys the DARE mask
/// @param out   as many elements as each contribution; may be one of the contributions' own memory
/// @param counts  where not null, becomes what happened
/// @param take    where given, gets every part of `out` as soon as it is there
/// @throws InputError when sizes differ, a density is outside (0, 1], or one of several contributions has no identity
void merge_tensor(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                  std::span<float> out, Counts* counts = nullptr, TakePart const& take = {});

}  // namespace samner::merge
