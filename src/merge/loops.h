#pragma once

#include <cstddef>
#include <cstdint>

/// The inner loops, on blocks that stay in the first-level cache. Each is compiled for several instruction sets; the
/// bits do not depend on which is used: elements are independent and nothing is contracted into fused operations.
namespace samner::merge::loops {

/// The magnitude of a float as an integer of the same order.
inline constexpr std::uint32_t magnitude_bits = 0x7FFFFFFFU;

/// out[i] = |in[i]| >= threshold ? in[i] : 0, with magnitudes as `magnitude_bits`.
void keep_at_least(float const* in, float* out, std::size_t size, std::uint32_t threshold);

/// How many elements (fewer than 2^32) have this magnitude.
std::size_t count_equal(float const* in, std::size_t size, std::uint32_t magnitude);

/// Writes the magnitudes from `first` to `last` (both included) in their order. @param out  has room for `size` of them
/// @return how many there are
std::size_t gather_between(float const* in, std::size_t size, std::uint32_t first, std::uint32_t last,
                           std::uint32_t* out);

/// out[i] = word[i] <= last ? in[i] / divisor : 0
void keep_drawn(float const* in, std::uint32_t const* word, float* out, std::size_t size, std::uint32_t last,
                float divisor);

void multiply(float* values, std::size_t size, float factor);                      ///< values *= factor
void add(float* sum, float const* values, std::size_t size);                       ///< sum += values
void add_signs(float* sum, float const* values, std::size_t size);                 ///< sum += sign(values)
void add_scaled(float* sum, float const* values, std::size_t size, float factor);  ///< sum += factor * values

/// Where the value has the elected sign (elected >= 0 means +; a zero value never agrees):
/// sum += factor * value, denominator += share.
void add_agreeing(float* sum, float* denominator, float const* elected, float const* values, std::size_t size,
                  float factor, float share);

/// out = sum / denominator, with denominators of magnitude below `least` taken as 1.
void divide(float* out, float const* sum, float const* denominator, std::size_t size, float least);

/// rank[i] = the number of keys below key[i], and of equal ones that come later: O(size^2), for short rows.
void rank_by_comparing(std::uint32_t const* key, std::uint32_t* rank, std::size_t size);

/// out = left - right
void subtract(float* out, float const* left, float const* right, std::size_t size);

inline constexpr std::size_t panel = 32;  ///< columns of the right side of multiply_rows that lie together

/// out[r][c] = scale * sum of left[r][k] * right[k][c] over k < rank, from 0 up in the order of k.
/// @param left    row-major [rows, rank]
/// @param panels  the right side in panels of columns, each row-major [rank, panel]; the last one filled up
/// @param out     row-major [rows, columns]
void multiply_rows(float const* left, float const* panels, std::size_t rows, std::size_t rank, std::size_t columns,
                   float scale, float* out);

}  // namespace samner::merge::loops
