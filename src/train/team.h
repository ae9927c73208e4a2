#pragma once

#include <span>

#include "core/together.h"

namespace samner::train {

/// The ranks that train one adapter together; by default one alone, which needs no functions. Both functions are
/// collective.
struct Team {
    int rank = 0;
    int size = 1;
    AllGather all_gather;
    std::function<void(std::span<float>)> tree_sum;  ///< in place, by the fixed tree of comm::Comm::tree_sum
};

inline std::vector<std::string> together(Team const& team, std::function<std::string()> const& work) {
    return samner::together(team.size, team.all_gather, work);
}

}  // namespace samner::train
