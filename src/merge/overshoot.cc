#include "merge/overshoot.h"

#include <numeric>

#include "merge/kernel.h"

namespace samner::merge {

std::optional<double> excessive_weight(MergeOptions const& options, std::span<double const> weights) {
    constexpr double much = 1.5;
    bool const of_factors = !is_svd(options.method) && options.method != Method::cat && !is_geometric(options.method);
    if (!of_factors || weights.size() < 2) return std::nullopt;
    auto const recipe = recipe_of(options);
    if (recipe.elect != Elect::nobody || recipe.divide != Divide::by_one) return std::nullopt;
    auto const sum = options.lambda * std::accumulate(weights.begin(), weights.end(), 0.0);
    return sum > much ? std::optional{sum} : std::nullopt;
}

}  // namespace samner::merge
