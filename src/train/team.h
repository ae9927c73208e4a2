#pragma once

#include <span>

#include "core/gather_results.h"

namespace samner::train {

/// The ranks that train one adapter together; by default one alone, which needs no functions. The functions are
/// collective.
struct Team {
    int rank = 0;
    int size = 1;
    AllGather all_gather;
    std::function<void(std::span<float>)> tree_sum;  ///< in place, by the fixed tree of comm::Comm::tree_sum
    /// The same for values in the memory of the ranks' devices, in an order that is not that of the tree: results then
    /// depend on the number of ranks. Empty: values go through the host, by tree_sum.
    std::function<void(float* values, std::size_t count)> device_sum = {};
};

inline std::vector<std::string> gather_from_team(Team const& team, std::function<std::string()> const& work) {
    return gather_results(team.size, team.all_gather, work);
}

}  // namespace samner::train
