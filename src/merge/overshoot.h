#pragma once

#include <optional>
#include <span>

#include "merge/method.h"

namespace samner::merge {

/// What the weights of adapters come to, where a merge adds up their factors without dividing the sum and they are
/// together far above 1; nothing for other merges. The product of summed factors has each factor times all others, so
/// that such a merge is soon far larger than any of the updates. Where the products are summed (cat and the svd
/// methods) it is not.
std::optional<double> excessive_weight(MergeOptions const& options, std::span<double const> weights);

}  // namespace samner::merge
