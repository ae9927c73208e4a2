#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weights/config.h"

namespace samner::weights {

/// What sets a supported architecture apart for reading its files. A new one is an entry in architecture.cc.
struct Architecture {
    std::string_view name;  ///< model_type in config.json, general.architecture in GGUF
    bool attention_bias;    ///< biases on q, k and v
    bool head_norm;         ///< an RMS norm on each head of q and k, before the rotation
    bool sliding_window;    ///< a `sliding_window` in config.json holds without `use_sliding_window`
    bool permuted_in_gguf;  ///< rows of q and k stand in rotation pairs within each head
};

/// @throws InputError naming the architecture beside the supported ones; `place` says where it stands
Architecture const& find_architecture(std::string_view name, std::string_view place);

/// A tensor that a model needs: its Hugging Face name and row-major shape.
struct TensorSpec {
    std::string name;
    std::vector<std::int64_t> shape;
};

/// All tensors of a model, embedding first, then layer by layer, then the final norm and, unless tied, lm_head.
std::vector<TensorSpec> expected_tensors(ModelConfig const& config);

/// How many numbers all of them hold together.
std::int64_t num_parameters(ModelConfig const& config);

/// A linear layer that an adapter can sit on.
struct LinearSpec {
    std::string name;  ///< module path: model.layers.0.self_attn.q_proj
    std::int64_t out;
    std::int64_t in;
};

/// The seven linear layers of each block (q, k, v, o, gate, up, down), layer by layer.
std::vector<LinearSpec> linear_modules(ModelConfig const& config);

/// GGUF's name of a tensor with a Hugging Face name ("blk.0.attn_q.weight"), or "" when GGUF has none.
std::string gguf_tensor_name(std::string_view name);

}  // namespace samner::weights
