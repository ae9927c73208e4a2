#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace samner {

/// Every rank's bytes, in rank order: a collective operation of whatever connects the ranks.
using AllGather = std::function<std::vector<std::string>(std::string_view)>;

/// Does `work` on every one of `ranks` ranks and gives each what all of them returned, in rank order. Collective; one
/// rank alone needs no all_gather. What fails on a rank fails on all, so that none waits for one that gave up: that
/// rank throws what it threw, the others an Error (or Stopped) that names the first such rank, with its exit code.
std::vector<std::string> gather_results(int ranks, AllGather const& all_gather,
                                        std::function<std::string()> const& work);

}  // namespace samner
