#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace samner::train {

/// The ranks that train one adapter together; by default one alone, which needs no functions. Both functions are
/// collective.
struct Team {
    int rank = 0;
    int size = 1;
    std::function<std::vector<std::string>(std::string_view)> all_gather;  ///< every rank's bytes, in rank order
    std::function<void(std::span<float>)> tree_sum;  ///< in place, by the fixed tree of comm::Comm::tree_sum
};

/// Does `work` on every rank and gives every rank all results, in rank order. Collective. What fails on one rank fails
/// on all, so that none waits for one that is gone: that rank throws what it threw, the others an Error that names it.
std::vector<std::string> together(Team const& team, std::function<std::string()> const& work);

}  // namespace samner::train
