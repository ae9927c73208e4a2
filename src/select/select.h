#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace samner::select {

/// Cosine similarity of a target domain to every expert's training domain (SaM, section 3.2).
/// @param target   mean sentence embedding, shape [dim]
/// @param experts  row-major mean embeddings, shape [num_experts, dim]
/// @return similarities in [-1, 1], shape [num_experts], in expert order; 0 where a vector is zero
/// @throws InputError when the shapes disagree
std::vector<double> domain_similarity(std::span<float const> target, std::span<float const> experts);

/// Both metrics scaled to [0, 1] over the pool and averaged (SaM, section 4.4, Model2). A metric that is the same for
/// all experts counts as 0.
/// @throws InputError when the numbers of experts disagree
std::vector<double> fused(std::span<double const> similarity, std::span<double const> sampling);

/// How many experts come before the largest gap between neighbours, when metrics are sorted x(1) >= … >= x(n): the
/// least m in 1 … n-1 with the largest x(m) - x(m+1). n where all are equal: no gap tells them apart.
/// @throws InputError when there are none
std::size_t before_gap(std::span<double const> metric);

/// How many experts have a metric above the mean of all: the number of i with x(i) > (x(1) + … + x(n)) / n, at least 1.
/// n where all are equal.
/// @throws InputError when there are none
std::size_t above_mean(std::span<double const> metric);

/// The m experts with the highest metric. Ties: the higher similarity, then the name.
/// @param similarity  the tie-breaker; may be `metric` itself
/// @return indices of experts, best first
/// @throws InputError when m is not in 1 … number of experts, or the sizes disagree
std::vector<std::size_t> choose(std::span<std::string const> names, std::span<double const> metric,
                                std::span<double const> similarity, std::size_t m);

}  // namespace samner::select
