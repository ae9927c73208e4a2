#pragma once

#include <cstdint>
#include <string_view>

#include "core/json.h"

namespace samner::train {

/// What is known of one optimiser step afterwards.
struct Step {
    std::int64_t step = 0;  ///< from 1
    double loss = 0;        ///< mean over the step's answer tokens, in nats
    double grad_norm = 0;   ///< before clipping
    double lr = 0;
    std::int64_t tokens = 0;
    double seconds = 0;
    /// Model FLOP utilisation: the step's training_flops a second over what the team's ranks together reach in products
    /// (product_rate, measured once as the training starts); 0: not known.
    double mfu = 0;

    /// As a line of metrics.jsonl.
    Json to_json() const;
    /// @throws InputError naming `place`
    static Step from_json(Json const& object, std::string_view place);
};

}  // namespace samner::train
