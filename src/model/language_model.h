#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/ops.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"

namespace samner::model {

/// The linear layers of a decoder block, in the order of the forward pass.
enum Projection : int { q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj };
constexpr int num_projections = 7;

/// `model.layers.3.mlp.up_proj`
std::string module_name(int layer, Projection projection);

/// A decoder-only model of the Llama family (Llama, Mistral, Qwen2, Qwen3): RMSNorm, rotary positions, grouped-query
/// attention, SwiGLU.
struct LanguageModel {
    struct Linear {
        std::unique_ptr<Weight> weight;
        at::Tensor bias;  ///< [out], or undefined
    };
    struct Layer {
        at::Tensor attention_norm;  ///< [hidden]
        at::Tensor mlp_norm;        ///< [hidden]
        at::Tensor q_norm;          ///< [head_dim], or undefined
        at::Tensor k_norm;          ///< likewise
        std::array<Linear, num_projections> linear;
    };

    weights::ModelConfig config;
    at::Tensor embeddings;  ///< [vocabulary, hidden]
    std::vector<Layer> layers;
    at::Tensor final_norm;         ///< [hidden]
    std::unique_ptr<Weight> head;  ///< [vocabulary, hidden]
    at::Tensor rope_cos;           ///< [max_position_embeddings, head_dim / 2]
    at::Tensor rope_sin;

    kernel::AttentionShape attention_shape() const;
};

/// Reads a checkpoint. @param with_backward  also prepare what training needs (about twice the memory)
/// @param placement  where the weights are kept and who fills them; without it, this process for itself
/// @throws InputError when the checkpoint lacks a tensor or has one of another shape
LanguageModel load_language_model(weights::Checkpoint const& checkpoint, Ops const& ops, bool with_backward,
                                  Placement& placement);
LanguageModel load_language_model(weights::Checkpoint const& checkpoint, Ops const& ops, bool with_backward);

/// An adapter made ready for inference.
class PreparedAdapter {
public:
    /// @throws InputError when the adapter does not fit the model
    PreparedAdapter(weights::Adapter const& adapter, weights::ModelConfig const& config, Ops const& ops);

    /// The same, added to the base's weights: one product a linear layer in place of three, for as much memory as these
    /// weights take. Other bits than from factors. @throws InputError as above
    static PreparedAdapter fold(weights::Adapter const& adapter, weights::Checkpoint const& base, Ops const& ops);

    /// The base's weights with updates in full size. Those of a quantised base are dequantised, and stay so.
    /// @param modules  linear layers that have one; others of the model stay as they are
    /// @param content  a hash of the updates
    /// @param add      adds the update of the module with this index to its weight, row-major [out, in]
    static PreparedAdapter fold(std::vector<std::string> const& modules, std::string content,
                                weights::Checkpoint const& base, Ops const& ops,
                                std::function<void(std::size_t module, std::span<float> weight)> const& add);

    /// Either the factors or what they make of the weight.
    struct Factors {
        std::unique_ptr<Weight> a;       ///< [rank, in]
        std::unique_ptr<Weight> b;       ///< [out, rank], multiplied by the scaling
        std::unique_ptr<Weight> folded;  ///< [out, in]
    };
    /// The factors of a module, or null where the adapter leaves it alone.
    Factors const* find(int layer, Projection projection) const;
    std::string const& content() const { return content_; }  ///< a hash of what it computes with

private:
    PreparedAdapter(std::vector<std::string> const& modules, std::string content, weights::ModelConfig const& config,
                    std::function<Factors(std::size_t module)> const& prepare);

    std::vector<std::unique_ptr<Factors>> factors_;
    std::string content_;
};

/// One token of one sequence in a forward pass.
struct Row {
    std::int32_t token;
    std::int32_t position;
    std::int32_t const* blocks;      ///< the sequence's key/value blocks: position p is in blocks[p / kernel::kv_block]
    PreparedAdapter const* adapter;  ///< null: the base model
};

/// The rows of a forward pass as the operators read them, made once a pass.
class Pass {
public:
    Pass(Ops const& ops, std::span<Row const> rows);
    /// Room for rows that `set` gives. @param blocks  the most that a row's sequence may have
    Pass(Ops const& ops, std::int64_t rows, std::int64_t blocks);

    /// Takes other rows, as many as there is room for. @param common  as KvRows::common
    void set(Ops const& ops, std::span<Row const> rows, std::int64_t common);

    std::int64_t size() const { return tokens_.size(0); }
    at::Tensor const& tokens() const { return tokens_; }
    at::Tensor const& positions() const { return positions_; }
    KvRows const& kv() const { return *kv_; }

    /// Neighbouring rows with one adapter.
    struct Segment {
        std::int64_t begin;
        std::int64_t size;
        PreparedAdapter const* adapter;
    };
    std::vector<Segment> const& segments() const { return segments_; }

private:
    at::Tensor tokens_;     ///< [rows], int32
    at::Tensor positions_;  ///< likewise
    std::unique_ptr<KvRows> kv_;
    std::vector<Segment> segments_;
};

/// Runs rows through all layers: stores their keys and values, and attends each to all positions of its sequence up to
/// its own. Rows of one sequence that come together may be in any order. Rows with the same adapter must be neighbours.
/// @return the last layer's output before the final norm, [rows, hidden]
at::Tensor forward(LanguageModel const& model, Ops const& ops, KvCache& cache, Pass const& pass);
at::Tensor forward_rows(LanguageModel const& model, Ops const& ops, KvCache& cache, std::span<Row const> rows);

/// Logits [rows, vocabulary] of rows of hidden states.
at::Tensor logits(LanguageModel const& model, Ops const& ops, at::Tensor const& hidden);
void logits(LanguageModel const& model, Ops const& ops, at::Tensor const& hidden, at::Tensor& out);

/// Logits of every position of one sequence, row-major [ids, vocabulary] on the host.
/// @throws InputError when an id is outside the vocabulary or the sequence is longer than the model's context
std::vector<float> sequence_logits(LanguageModel const& model, Ops const& ops, std::span<std::int32_t const> ids,
                                   PreparedAdapter const* adapter);

}  // namespace samner::model
