#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace samner::merge {

/// Which elements of a tensor are its k largest magnitudes: those with magnitude bits above `threshold`, and those at
/// the threshold whose flat index is below `end_at_threshold`.
struct Cut {
    std::uint32_t threshold = 0;
    std::size_t end_at_threshold = SIZE_MAX;
};

/// Of the k largest magnitudes; ties at the threshold go to the lowest flat index, so exactly k elements are kept
/// (k >= size keeps all). A radix select on the magnitude bits: two passes over the tensor and one over about a
/// twentieth of it. NaN counts as larger than infinity.
Cut find_cut(std::span<float const> values, std::size_t k);

/// Calls its argument with each of some tensors, in the same order each time.
using TensorWalk = std::function<void(std::function<void(std::span<float const>)> const&)>;

/// The magnitude bits of the k-th largest (k >= 1) of all elements of the tensors; 0 when there are fewer. Walks three
/// times and holds nothing but histograms.
std::uint32_t find_threshold(TensorWalk const& walk, std::size_t k);

/// Copies the elements that the cut keeps and writes zeros for the others. `values` is the piece of the tensor that
/// begins at flat index `begin`.
void apply_cut(Cut const& cut, std::span<float const> values, std::size_t begin, float* out);

/// k of `trim_d`: trunc(density * size) in double, for a density in [0, 1].
std::size_t kept_elements(double density, std::size_t size);

}  // namespace samner::merge
