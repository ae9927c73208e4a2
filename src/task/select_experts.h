#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "score/score.h"

namespace samner::task {

/// Chooses m experts (SaM, section 3.2).
/// @param similarity  to the target domain, one an expert; empty when it is not known (then only sampling can be asked
/// for)
/// @param votes       each expert's mentions in the sampled sentences; empty unless `metric` asks for them
/// @param types       type names, for the vote
/// @param metric      similarity, sampling or fused
/// @return {"chosen": [names, best first], "metrics": {name: number}, "similarity": {…}, "sampling_f1": {…},
/// "pseudo_labels": {…}}
/// @throws InputError when the metric lacks what it is made of, or m is out of range
Json select_experts(std::vector<std::string> const& names, std::vector<double> const& similarity,
                    std::vector<std::vector<score::Mentions>> const& votes, std::vector<std::string> const& types,
                    std::string const& metric, std::size_t m);

}  // namespace samner::task
