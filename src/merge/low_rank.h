#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace samner::merge {

/// B A of a given rank: `b` is row-major [rows, rank], `a` row-major [rank, cols]. The singular values are shared out
/// evenly (B = U sqrt(S), A = sqrt(S) V'), and the largest element of each column of U is positive.
struct LowRank {
    std::vector<float> b;
    std::vector<float> a;
};

/// The best rank-`rank` approximation (Eckart-Young) of a row-major matrix, by a dense SVD in double: O(rows cols
/// min(rows, cols)). Zeros fill up a rank beyond min(rows, cols).
LowRank truncate(std::span<float const> matrix, std::int64_t rows, std::int64_t cols, std::int64_t rank);

/// The same of the product b a, b row-major [rows, inner], a row-major [inner, cols], without forming it: QR of both
/// factors and the SVD of an inner x inner core, O((rows + cols) inner^2).
LowRank truncate_product(std::span<double const> b, std::span<double const> a, std::int64_t rows, std::int64_t inner,
                         std::int64_t cols, std::int64_t rank);

}  // namespace samner::merge
