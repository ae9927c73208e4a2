#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "score/score.h"
#include "work/select.h"

namespace samner::task {

/// Chooses m experts (SaM, section 3.2).
/// @param similarity  to the target domain, one an expert; empty when it is not known (then only sampling can be asked
///                    for)
/// @param votes       each expert's mentions in the sampled sentences; empty unless the metric asks for them
/// @param types       type names, for the vote
/// @throws InputError when the metric lacks what it is made of, or m is out of range
work::Selection select_experts(std::vector<std::string> const& names, std::vector<double> const& similarity,
                               std::vector<std::vector<score::Mentions>> const& votes,
                               std::vector<std::string> const& types, work::Metric metric, std::size_t m);

}  // namespace samner::task
