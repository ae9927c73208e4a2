#include "train/gradients.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/random.h"
#include "model/decoder_layer.h"

namespace samner::train {
namespace {

using model::LanguageModel;
using model::Ops;
using model::Projection;
using model::Side;

/// What the backward pass of one layer needs from its forward pass.
struct Saved {
    at::Tensor input;   ///< [tokens, hidden]
    at::Tensor middle;  ///< [tokens, hidden], after the attention block
    at::Tensor q, k, v, attended, stats;
    at::Tensor q_before_norm, k_before_norm;  ///< where the model has norms of heads
    at::Tensor gate, up;
    std::array<at::Tensor, model::num_projections> low_rank;  ///< x · Aᵀ, [tokens, rank]
};

/// A packed micro-batch.
struct Packed {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> positions;
    std::vector<std::int32_t> offsets;
    std::vector<std::int32_t> answer_rows;  ///< rows whose next token is trained on
    std::vector<std::int32_t> answers;      ///< those tokens
};

Packed pack(std::span<Example const* const> batch) {
    Packed packed;
    for (auto const* example : batch) {
        auto const start = static_cast<std::int32_t>(packed.ids.size());
        packed.offsets.push_back(start);
        auto const length = static_cast<std::int32_t>(example->ids.size());
        for (std::int32_t i = 0; i < length; ++i) {
            packed.ids.push_back(example->ids[static_cast<std::size_t>(i)]);
            packed.positions.push_back(i);
            if (i + 1 < length && example->labels[static_cast<std::size_t>(i) + 1] != not_trained_on) {
                packed.answer_rows.push_back(start + i);
                packed.answers.push_back(example->labels[static_cast<std::size_t>(i) + 1]);
            }
        }
    }
    packed.offsets.push_back(static_cast<std::int32_t>(packed.ids.size()));
    return packed;
}

class Pass {
public:
    Pass(LanguageModel const& model, Ops const& ops, LoraParameters& lora, Packed const& packed, Dropout const& dropout)
        : dropout_{dropout},
          model_{model},
          ops_{ops},
          lora_{lora},
          packed_{packed},
          ids_{ops.indices(packed.ids)},
          positions_{ops.indices(packed.positions)},
          sequences_{ops.sequences(packed.offsets)},
          tokens_{static_cast<std::int64_t>(packed.ids.size())} {
        if (dropout_.p == 0) return;
        for (std::size_t i = 0; i + 1 < packed.offsets.size(); ++i) {
            for (auto row = packed.offsets[i]; row < packed.offsets[i + 1]; ++row)
                dropout_rows_.push_back({dropout_.sequences.at(i), row - packed.offsets[i]});
        }
    }

    double run() {
        auto x = matrix(model_.config.hidden_size);
        ops_.embed(model_.embeddings, ids_, x);
        saved_.resize(model_.layers.size());
        for (int layer = 0; layer < num_layers(); ++layer) x = forward(layer, x);
        auto dx = ops_.zeros(x.sizes());
        auto const loss = head(x, dx);
        for (int layer = num_layers() - 1; layer >= 0; --layer) backward(layer, dx);
        return loss;
    }

private:
    int num_layers() const { return static_cast<int>(model_.layers.size()); }
    at::Tensor matrix(std::int64_t columns) const { return ops_.empty({tokens_, columns}); }
    float eps() const { return model_.config.rms_norm_eps; }
    int heads() const { return static_cast<int>(model_.config.num_heads); }
    int kv_heads() const { return static_cast<int>(model_.config.num_kv_heads); }
    std::int64_t head_dim() const { return model_.config.head_dim; }

    /// y (+)= x as it goes into the factors of a module.
    void drop(LoraParameters::Module const& module, at::Tensor const& x, at::Tensor& y, bool accumulate) const {
        auto const key = RandomStream{dropout_.seed, "lora_dropout/" + module.name}.bits(0);
        ops_.dropout(key, dropout_rows_, dropout_.p, x, y, accumulate);
    }
    at::Tensor dropped(LoraParameters::Module const& module, at::Tensor const& x) const {
        if (dropout_.p == 0) return x;
        auto y = ops_.empty(x.sizes());
        drop(module, x, y, false);
        return y;
    }

    void project(int layer, Projection projection, at::Tensor const& x, at::Tensor& y) {
        auto const& linear = model_.layers[static_cast<std::size_t>(layer)].linear[projection];
        ops_.linear(*linear.weight, x, y, false);
        if (auto const* lora = lora_.find(layer, projection)) {
            auto& low_rank = saved_[static_cast<std::size_t>(layer)].low_rank[projection];
            low_rank = ops_.empty({x.size(0), lora->a.size(0)});
            ops_.matmul(Side::plain, dropped(*lora, x), Side::transposed, lora->a, 1.0F, low_rank, false);
            ops_.matmul(Side::plain, low_rank, Side::transposed, lora->b, lora->scaling, y, true);
        }
        if (linear.bias.defined()) ops_.add_bias(linear.bias, y);
    }

    /// Adds the module's gradients. dx (+)= the gradient of its input, unless dx is null.
    void project_backward(int layer, Projection projection, at::Tensor const& x, at::Tensor const& dy, at::Tensor* dx,
                          bool accumulate) {
        if (dx) {
            auto const& linear = model_.layers[static_cast<std::size_t>(layer)].linear[projection];
            ops_.linear_backward(*linear.weight, dy, *dx, accumulate);
        }
        if (auto* lora = lora_.find(layer, projection)) {
            auto const& low_rank = saved_[static_cast<std::size_t>(layer)].low_rank[projection];
            auto d_low_rank = ops_.empty(low_rank.sizes());
            ops_.matmul(Side::plain, dy, Side::plain, lora->b, lora->scaling, d_low_rank, false);
            ops_.matmul(Side::transposed, dy, Side::plain, low_rank, lora->scaling, lora->db, true);
            ops_.matmul(Side::transposed, d_low_rank, Side::plain, dropped(*lora, x), 1.0F, lora->da, true);
            if (dx && dropout_.p == 0) {
                ops_.matmul(Side::plain, d_low_rank, Side::plain, lora->a, 1.0F, *dx, true);
            } else if (dx) {
                auto through_factors = ops_.empty(x.sizes());
                ops_.matmul(Side::plain, d_low_rank, Side::plain, lora->a, 1.0F, through_factors, false);
                drop(*lora, through_factors, *dx, true);
            }
        }
    }

    at::Tensor norm(at::Tensor const& x, at::Tensor const& weight) const {
        auto y = ops_.empty(x.sizes());
        ops_.rms_norm(x, weight, eps(), y);
        return y;
    }

    at::Tensor by_head(at::Tensor const& x) const { return x.view({-1, head_dim()}); }

    at::Tensor norm_heads(at::Tensor const& x, at::Tensor const& weight) const {
        return norm(by_head(x), weight).view(x.sizes());
    }

    at::Tensor norm_heads_backward(at::Tensor const& x, at::Tensor const& weight, at::Tensor const& dy) const {
        auto dx = ops_.empty(x.sizes());
        auto dx_heads = by_head(dx);
        ops_.rms_norm_backward(by_head(x), weight, eps(), by_head(dy), dx_heads, false);
        return dx;
    }

    /// A layer's steps (see model::decoder_layer), which keep what the backward pass reads.
    struct Steps {
        Pass& pass;
        int layer;
        Saved& saved;

        void project(Projection projection, at::Tensor const& input, at::Tensor& output) const {
            pass.project(layer, projection, input, output);
        }
        void norm_heads(Projection projection, at::Tensor& values, at::Tensor const& weight) const {
            auto& before = projection == model::q_proj ? saved.q_before_norm : saved.k_before_norm;
            before = std::exchange(values, pass.norm_heads(values, weight));
        }
        void attend(model::LayerBuffers const& buffers) const {
            pass.ops_.attention(pass.model_.attention_shape(), pass.sequences_, true, buffers.q, buffers.k, buffers.v,
                                buffers.attended, saved.stats);
        }
        void add_attention(model::LayerBuffers const& buffers, at::Tensor const& mlp_norm) const {
            pass.ops_.add_rms_norm(saved.input, buffers.attention_out, mlp_norm, pass.eps(), buffers.mlp_input);
        }
    };

    at::Tensor forward(int layer, at::Tensor const& x) {
        auto& saved = saved_[static_cast<std::size_t>(layer)];
        auto const& config = model_.config;
        saved.input = x;
        saved.q = matrix(heads() * head_dim());
        saved.k = matrix(kv_heads() * head_dim());
        saved.v = matrix(kv_heads() * head_dim());
        saved.attended = matrix(heads() * head_dim());
        saved.middle = matrix(config.hidden_size);
        saved.gate = matrix(config.intermediate_size);
        saved.up = matrix(config.intermediate_size);
        auto mlp_input = matrix(config.hidden_size);
        auto activated = matrix(config.intermediate_size);
        auto y = matrix(config.hidden_size);
        model::decoder_layer(
            model_, ops_, layer, positions_, norm(x, model_.layers[static_cast<std::size_t>(layer)].attention_norm),
            {saved.q, saved.k, saved.v, saved.attended, saved.middle, mlp_input, saved.gate, saved.up, activated, y},
            Steps{*this, layer, saved});
        ops_.add(saved.middle, y);
        return y;
    }

    /// The summed loss of the answer tokens; adds its gradient to dx.
    double head(at::Tensor const& x, at::Tensor& dx) const {
        double loss = 0;
        constexpr std::size_t chunk = 256;  // rows of logits held at a time
        for (std::size_t begin = 0; begin < packed_.answers.size(); begin += chunk) {
            auto const count = std::min(chunk, packed_.answers.size() - begin);
            auto const rows = ops_.indices(std::span{packed_.answer_rows}.subspan(begin, count));
            auto const answers = ops_.indices(std::span{packed_.answers}.subspan(begin, count));
            auto hidden = ops_.empty({static_cast<std::int64_t>(count), model_.config.hidden_size});
            ops_.gather(x, rows, hidden);
            auto logits = model::logits(model_, ops_, hidden);
            for (auto const value : ops_.cross_entropy(logits, answers)) loss += static_cast<double>(value);
            auto d_normed = ops_.empty(hidden.sizes());
            ops_.linear_backward(*model_.head, logits, d_normed, false);
            auto d_hidden = ops_.empty(hidden.sizes());
            ops_.rms_norm_backward(hidden, model_.final_norm, eps(), d_normed, d_hidden, false);
            ops_.scatter_add(d_hidden, rows, dx);
        }
        return loss;
    }

    /// Turns dx from the gradient of the layer's output into that of its input.
    void backward(int layer, at::Tensor& dx) {
        auto const& parts = model_.layers[static_cast<std::size_t>(layer)];
        auto& saved = saved_[static_cast<std::size_t>(layer)];
        auto const& config = model_.config;

        auto activated = matrix(config.intermediate_size);
        ops_.swiglu(saved.gate, saved.up, activated);
        auto d_activated = matrix(config.intermediate_size);
        project_backward(layer, model::down_proj, activated, dx, &d_activated, false);
        auto d_gate = matrix(config.intermediate_size);
        auto d_up = matrix(config.intermediate_size);
        ops_.swiglu_backward(saved.gate, saved.up, d_activated, d_gate, d_up);
        auto const mlp_input = norm(saved.middle, parts.mlp_norm);
        auto d_input = matrix(config.hidden_size);
        project_backward(layer, model::gate_proj, mlp_input, d_gate, &d_input, false);
        project_backward(layer, model::up_proj, mlp_input, d_up, &d_input, true);
        ops_.rms_norm_backward(saved.middle, parts.mlp_norm, eps(), d_input, dx, true);

        auto d_attended = matrix(heads() * head_dim());
        project_backward(layer, model::o_proj, saved.attended, dx, &d_attended, false);
        auto dq = matrix(heads() * head_dim());
        auto dk = matrix(kv_heads() * head_dim());
        auto dv = matrix(kv_heads() * head_dim());
        ops_.attention_backward(model_.attention_shape(), sequences_, true, saved.q, saved.k, saved.v, saved.attended,
                                saved.stats, d_attended, dq, dk, dv);
        ops_.rope(dq, positions_, heads(), model_.rope_cos, model_.rope_sin, true);
        ops_.rope(dk, positions_, kv_heads(), model_.rope_cos, model_.rope_sin, true);
        if (parts.q_norm.defined()) {
            dq = norm_heads_backward(saved.q_before_norm, parts.q_norm, dq);
            dk = norm_heads_backward(saved.k_before_norm, parts.k_norm, dk);
        }
        auto const attention_input = norm(saved.input, parts.attention_norm);
        // Nothing below the first layer has gradients.
        auto* const below = layer == 0 ? nullptr : &d_input;
        project_backward(layer, model::q_proj, attention_input, dq, below, false);
        project_backward(layer, model::k_proj, attention_input, dk, below, true);
        project_backward(layer, model::v_proj, attention_input, dv, below, true);
        if (below) ops_.rms_norm_backward(saved.input, parts.attention_norm, eps(), d_input, dx, true);
        saved = {};
    }

    Dropout const& dropout_;
    std::vector<kernel::DropoutRow> dropout_rows_;
    LanguageModel const& model_;
    Ops const& ops_;
    LoraParameters& lora_;
    Packed const& packed_;
    at::Tensor ids_;
    at::Tensor positions_;
    model::Sequences sequences_;
    std::int64_t tokens_;
    std::vector<Saved> saved_;
};

}  // namespace

Loss add_gradients(LanguageModel const& model, Ops const& ops, LoraParameters& lora,
                   std::span<Example const* const> batch, Dropout const& dropout) {
    auto const packed = pack(batch);
    Loss loss;
    loss.answer = static_cast<std::int64_t>(packed.answers.size());
    loss.tokens = static_cast<std::int64_t>(packed.ids.size());
    if (packed.ids.empty()) return loss;
    lora.refresh();
    loss.sum = Pass{model, ops, lora, packed, dropout}.run();
    return loss;
}

}  // namespace samner::train
