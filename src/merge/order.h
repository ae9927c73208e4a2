#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace samner::merge {

/// 0 … size - 1, sorted by key(index); equal ones stay in their order.
template <class Key>
std::vector<std::size_t> order_by(std::size_t size, Key const& key) {
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, key);
    return order;
}

}  // namespace samner::merge
