#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace samner::select {

struct Clusters {
    std::vector<std::int64_t> labels;  ///< of each point, in [0, k); clusters are numbered by their first point
    std::vector<double> centers;       ///< means of the clusters, shape [k, dim]
    double inertia = 0;                ///< sum of the points' squared distances to their centers
};

/// k-means: Lloyd's iteration until no label changes (300 rounds at most) from the centers of k-means++ (Arthur and
/// Vassilvitskii, SODA 2007). Random numbers are those of (seed, "k-means"), sums are in double and in the order of the
/// points, ties go to the lower number: the same bits whatever the threads. A cluster that runs empty takes the point
/// farthest from its center, so that all k have members.
/// @param points  shape [n, dim], row-major
/// @throws InputError when k is not in 1 … n, there are fewer than k distinct points, or the shape is not [n, dim]
Clusters kmeans(std::span<float const> points, std::int64_t dim, std::int64_t k, std::uint64_t seed);

}  // namespace samner::select
