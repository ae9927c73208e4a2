#pragma once

#include <cstdint>
#include <span>

namespace samner::infer {

/// How the next token is drawn.
struct Sampling {
    double temperature = 0;  ///< 0: greedy, the most likely token (ties: the lowest id)
    double top_p = 1;        ///< draw among the fewest most likely tokens whose probabilities reach this sum, in (0, 1]
    std::uint64_t seed = 0;
};

/// @throws InputError for settings out of range
void check(Sampling const& sampling);

/// The token that a number in [0, 1) falls on when the tokens are laid out by their probability, with the most likely
/// first where top_p cuts, and by id otherwise. The same bits on any processor.
/// @param logits   [vocabulary]; overwritten
/// @param uniform  in [0, 1)
/// @throws Error when a logit is NaN or none is above minus infinity
std::int32_t sample(std::span<float> logits, Sampling const& sampling, double uniform);

}  // namespace samner::infer
