#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/examples.h"
#include "train/lora.h"

namespace samner::train {

/// One training sequence. labels[i] is the token wanted at position i, which is predicted from position i - 1;
/// `not_trained_on` where nothing is learnt.
struct Example {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> labels;
};

struct Loss {
    double sum = 0;           ///< cross-entropy of the answer tokens, summed, in nats
    std::int64_t answer = 0;  ///< answer tokens
    std::int64_t tokens = 0;  ///< all tokens of the batch
};

/// Dropout of what goes into the factors (peft's lora_dropout). Which elements are dropped depends on seed, module,
/// sequence and position alone, not on the micro-batch.
struct Dropout {
    double p = 0;
    std::uint64_t seed = 0;
    /// A number for each sequence of the batch, another one each time that it is trained on; not used without dropout.
    std::vector<std::uint64_t> sequences = {};
};

/// Forward and backward pass over a micro-batch, its sequences packed and isolated from each other. The gradient of the
/// SUMMED loss is added to lora.gradients. Only the adapter has gradients; the head runs over answer positions alone;
/// of the activations RMSNorm and SiLU·up are computed again in the backward pass.
Loss add_gradients(model::LanguageModel const& model, model::Ops const& ops, LoraParameters& lora,
                   std::span<Example const* const> batch, Dropout const& dropout = {});

}  // namespace samner::train
