#pragma once

#include <cstdint>

#include "model/language_model.h"

namespace samner::train {

/// What a step goes through.
struct Work {
    std::int64_t tokens = 0;  ///< all positions
    std::int64_t answer = 0;  ///< positions whose loss counts, the only ones of the head
    std::int64_t pairs = 0;   ///< of a query and a key, each sequence for itself: n (n + 1) / 2 of n tokens
};

/// Floating-point operations that training's products need, a multiplication and an addition being two: of the frozen
/// weights forward and towards the input, of the factors also towards themselves, of attention's two products forward
/// and four backward, of the head at the answers alone. What is computed again, norms and activations are left out.
/// @param factors  trained parameters
double training_flops(weights::ModelConfig const& config, std::int64_t factors, Work const& work);

/// FLOP/s of this process on this machine, measured: the best of three products of 512 rows with the first layer's gate
/// projection, all of its threads at work. Takes a few milliseconds with a small model, a second with one of 7B.
double product_rate(model::LanguageModel const& model, model::Ops const& ops);

}  // namespace samner::train
