#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/language_model.h"

namespace samner::train {

/// The trainable factors of all adapted modules with their gradients, each kind in one flat tensor, so that norm,
/// clipping and the optimiser are one pass.
class LoraParameters {
public:
    /// Takes the factors of an adapter. @throws InputError when it does not fit the model
    LoraParameters(weights::Adapter adapter, weights::ModelConfig const& config, model::Ops const& ops);

    struct Module {
        at::Tensor a;   ///< [rank, in], in the operators' precision: as of the last `refresh`
        at::Tensor b;   ///< [out, rank], likewise
        at::Tensor da;  ///< views into `gradients`
        at::Tensor db;
        float scaling = 0;
        std::string name;
    };
    /// The module of a projection, or null where the adapter leaves it alone.
    Module* find(int layer, model::Projection projection);

    /// Takes `values` over into the modules' factors.
    void refresh();

    at::Tensor values;     ///< [parameters], fp32
    at::Tensor gradients;  ///< [parameters], fp32

    /// The adapter with the factors' present values.
    weights::Adapter adapter() const;

private:
    weights::Adapter adapter_;
    at::Tensor factors_;  ///< `values` in the precision of products; in fp32 `values` itself
    std::vector<std::unique_ptr<Module>> modules_;
};

/// A fresh adapter: A uniform in ±1/√in (peft's Kaiming initialisation), by (seed, module name); B zero.
/// @param settings  targets, ranks and scales of the modules, by peft's rules (weights/adapter.h)
/// @throws InputError as adapted_modules (train/options.h)
weights::Adapter initial_adapter(weights::ModelConfig const& config, weights::LoraSettings settings,
                                 std::uint64_t seed);

}  // namespace samner::train
