#pragma once

#include "model/language_model.h"

namespace samner::model {

/// What a decoder layer computes in; the first size of each is the number of rows. Two may be one tensor where the
/// caller needs what was in it no longer.
struct LayerBuffers {
    at::Tensor& q;              ///< [rows, heads * head_dim]
    at::Tensor& k;              ///< [rows, kv_heads * head_dim]
    at::Tensor& v;              ///< likewise
    at::Tensor& attended;       ///< as q
    at::Tensor& attention_out;  ///< [rows, hidden]
    at::Tensor& mlp_input;      ///< likewise
    at::Tensor& gate;           ///< [rows, intermediate]
    at::Tensor& up;             ///< likewise
    at::Tensor& activated;      ///< likewise
    at::Tensor& out;            ///< [rows, hidden]
};

/// The forward pass of a decoder layer of the Llama family, for decoding and for training: grouped-query attention with
/// rotary positions, then SwiGLU. What the two do in their own ways are steps:
/// - project(projection, input, output)      a linear layer with its adapter
/// - norm_heads(projection, values, weight)  RMSNorm of each head of q or k, in place
/// - attend(buffers)                         from q, k and v to `attended`
/// - add_attention(buffers, mlp_norm)        adds attention_out and the residual, and norms the sum into mlp_input
/// @param attention_input  [rows, hidden], the layer's input after its norm
/// The caller adds `out` to the residual.
template <class Steps>
void decoder_layer(LanguageModel const& model, Ops const& ops, int layer, at::Tensor const& positions,
                   at::Tensor const& attention_input, LayerBuffers const& buffers, Steps&& steps) {
    auto const& parts = model.layers[static_cast<std::size_t>(layer)];
    auto const& config = model.config;
    steps.project(q_proj, attention_input, buffers.q);
    steps.project(k_proj, attention_input, buffers.k);
    steps.project(v_proj, attention_input, buffers.v);
    if (parts.q_norm.defined()) {
        steps.norm_heads(q_proj, buffers.q, parts.q_norm);
        steps.norm_heads(k_proj, buffers.k, parts.k_norm);
    }
    ops.rope(buffers.q, positions, static_cast<int>(config.num_heads), model.rope_cos, model.rope_sin, false);
    ops.rope(buffers.k, positions, static_cast<int>(config.num_kv_heads), model.rope_cos, model.rope_sin, false);
    steps.attend(buffers);
    steps.project(o_proj, buffers.attended, buffers.attention_out);
    steps.add_attention(buffers, parts.mlp_norm);
    steps.project(gate_proj, buffers.mlp_input, buffers.gate);
    steps.project(up_proj, buffers.mlp_input, buffers.up);
    ops.swiglu(buffers.gate, buffers.up, buffers.activated);
    steps.project(down_proj, buffers.activated, buffers.out);
}

}  // namespace samner::model
