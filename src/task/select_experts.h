#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "score/score.h"
#include "work/select.h"

namespace samner::task {

/// The mentions that each of an expert's answers has, sentence by sentence.
using Answers = std::vector<std::vector<score::Mentions>>;

/// What experts are chosen by, one value an expert each.
struct Evidence {
    std::vector<std::string> names;
    /// To the target domain; empty when it is not known (then only sampling can be asked for).
    std::vector<double> similarity = {};
    /// Each expert's answers to the sampled sentences; empty unless the metric asks for them.
    std::vector<Answers> answers = {};
    std::vector<double> type_similarity = {};  ///< of its types to the target's; likewise
};

/// Chooses experts (SaM, section 3.2). The pseudo-labels are the majority vote over all answers of all experts; an
/// expert's F1 is that of all its answers against them, with their counts summed.
/// @param types  type names of the target, for the vote
/// @param m      how many
/// @param rule   in place of m
/// @throws InputError when the metric lacks what it is made of, or m is out of range
work::Selection select_experts(Evidence const& evidence, std::vector<std::string> const& types, work::Metric metric,
                               std::size_t m, std::optional<work::Rule> rule = {});

}  // namespace samner::task
