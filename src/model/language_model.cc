#include "model/language_model.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/hash.h"
#include "kernel/gemm.h"
#include "model/decoder_layer.h"

namespace samner::model {
namespace {

at::Tensor floats(at::IntArrayRef shape) {
    return at::empty(shape, at::TensorOptions{}.dtype(at::kFloat));
}

at::Tensor read_tensor(weights::Checkpoint const& checkpoint, std::string const& name) {
    auto tensor = floats(checkpoint.shape(name));
    checkpoint.read(name, {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())});
    return tensor;
}

Values values_of(weights::Checkpoint const& checkpoint, std::string const& name) {
    return {checkpoint.shape(name), [&checkpoint, name] { return read_tensor(checkpoint, name); }};
}

/// cos or sin of position times inverse frequency. The angle is in fp32, as transformers has it; the function is taken
/// in double precision and rounded, so that its last bit does not depend on the C library.
template <class Function>
Values rope_table(weights::ModelConfig const& config, Function const& function) {
    auto const frequencies = weights::rope_inverse_frequencies(config);
    auto const positions = config.max_position_embeddings;
    std::vector<std::int64_t> const shape{positions, std::ssize(frequencies)};
    return {shape, [=] {
                auto table = floats(shape);
                auto* out = table.mutable_data_ptr<float>();
                for (std::int64_t position = 0; position < positions; ++position) {
                    for (float const frequency : frequencies) {
                        auto const angle = static_cast<float>(position) * frequency;
                        *out++ = static_cast<float>(function(static_cast<double>(angle)));
                    }
                }
                return table;
            }};
}

void apply_linear(Ops const& ops, LanguageModel::Linear const& linear, at::Tensor const& x, at::Tensor& y,
                  std::vector<Pass::Segment> const& segments, int layer, Projection projection) {
    auto const factors_of = [&](Pass::Segment const& segment) {
        return segment.adapter ? segment.adapter->find(layer, projection) : nullptr;
    };
    bool const folded = std::ranges::any_of(segments, [&](Pass::Segment const& segment) {
        auto const* const factors = factors_of(segment);
        return factors && factors->folded;
    });
    if (!folded) ops.linear(*linear.weight, x, y, false);
    for (auto const& segment : segments) {
        auto const* const factors = factors_of(segment);
        if (!folded && !factors) continue;
        auto const part_x = x.narrow(0, segment.begin, segment.size);
        auto part_y = y.narrow(0, segment.begin, segment.size);
        if (folded) ops.linear(factors && factors->folded ? *factors->folded : *linear.weight, part_x, part_y, false);
        if (!factors || factors->folded) continue;
        auto low_rank = ops.empty({segment.size, factors->a->out()});
        ops.linear(*factors->a, part_x, low_rank, false);
        ops.linear(*factors->b, low_rank, part_y, true);
    }
    if (linear.bias.defined()) ops.add_bias(linear.bias, y);
}

std::int64_t most_blocks(std::span<Row const> rows) {
    std::int64_t most = 1;
    for (auto const& row : rows) most = std::max<std::int64_t>(most, row.position / kernel::kv_block + 1);
    return most;
}

/// How many first blocks, within what both attend to, two rows have in common.
std::int32_t shared_blocks(Row const& a, Row const& b) {
    auto const count = std::min(a.position, b.position) / kernel::kv_block + 1;
    if (a.blocks == b.blocks) return count;
    return static_cast<std::int32_t>(std::mismatch(a.blocks, a.blocks + count, b.blocks).first - a.blocks);
}

/// KvRows::common of these rows.
std::int64_t common_blocks(std::span<Row const> rows) {
    if (rows.size() < 2) return 0;
    std::int64_t common = rows[0].position / kernel::kv_block;
    for (std::size_t i = 1; i < rows.size() && common > 0; ++i) {
        common = std::min({common, std::int64_t{rows[i].position / kernel::kv_block},
                           std::int64_t{shared_blocks(rows[i - 1], rows[i])}});
    }
    return common;
}

/// The names of an adapter's modules. @throws InputError when it does not fit the model
std::vector<std::string> checked_names(weights::Adapter const& adapter, weights::ModelConfig const& config) {
    weights::check_fits(adapter, config);
    std::vector<std::string> names;
    for (auto const& module : adapter.modules) names.push_back(module.name);
    return names;
}

/// @param form  in which it is computed with
std::string content_of(weights::Adapter const& adapter, std::string_view form) {
    Sha256 content;
    content.update(form);
    for (auto const& module : adapter.modules) {
        content.update(fmt::format("{} {} {} {} {};", module.name, module.rank, module.scaling, module.in, module.out))
            .update(std::as_bytes(std::span{module.a}))
            .update(std::as_bytes(std::span{module.b}));
    }
    return content.hex();
}

}  // namespace

std::string module_name(int layer, Projection projection) {
    constexpr std::array<char const*, num_projections> names{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                             "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                             "mlp.down_proj"};
    return fmt::format("model.layers.{}.{}", layer, names[projection]);
}

kernel::AttentionShape LanguageModel::attention_shape() const {
    return {static_cast<int>(config.num_heads), static_cast<int>(config.num_kv_heads),
            static_cast<int>(config.head_dim), 1.0F / std::sqrt(static_cast<float>(config.head_dim))};
}

LanguageModel load_language_model(weights::Checkpoint const& checkpoint, Ops const& ops, bool with_backward,
                                  Placement& placement) {
    LanguageModel model;
    model.config = checkpoint.config();
    auto const& config = model.config;
    auto const place = [&](std::string const& name) {
        return ops.place(values_of(checkpoint, name), false, placement);
    };
    model.embeddings = place("model.embed_tokens.weight");
    for (int layer = 0; layer < config.num_layers; ++layer) {
        auto& parts = model.layers.emplace_back();
        auto const prefix = fmt::format("model.layers.{}.", layer);
        parts.attention_norm = place(prefix + "input_layernorm.weight");
        parts.mlp_norm = place(prefix + "post_attention_layernorm.weight");
        if (config.head_norm) {
            parts.q_norm = place(prefix + "self_attn.q_norm.weight");
            parts.k_norm = place(prefix + "self_attn.k_norm.weight");
        }
        for (int p = 0; p < num_projections; ++p) {
            auto const name = module_name(layer, static_cast<Projection>(p));
            auto& linear = parts.linear[static_cast<std::size_t>(p)];
            linear.weight = ops.prepare(values_of(checkpoint, name + ".weight"), with_backward, placement);
            if (checkpoint.has(name + ".bias")) {
                linear.bias = place(name + ".bias");
            }
        }
    }
    model.final_norm = place("model.norm.weight");
    auto const head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
    model.head = ops.prepare(values_of(checkpoint, head), with_backward, placement);
    model.rope_cos = ops.place(rope_table(config, [](double angle) { return std::cos(angle); }), true, placement);
    model.rope_sin = ops.place(rope_table(config, [](double angle) { return std::sin(angle); }), true, placement);
    return model;
}

LanguageModel load_language_model(weights::Checkpoint const& checkpoint, Ops const& ops, bool with_backward) {
    OwnPlacement own;
    return load_language_model(checkpoint, ops, with_backward, own);
}

PreparedAdapter::PreparedAdapter(weights::Adapter const& adapter, weights::ModelConfig const& config, Ops const& ops)
    : PreparedAdapter{checked_names(adapter, config), content_of(adapter, "factors"), config, [&](std::size_t i) {
                          auto const& module = adapter.modules[i];
                          auto const tensor = [](std::vector<float> const& values, std::int64_t rows, float scale) {
                              auto result = floats({rows, std::ssize(values) / rows});
                              std::ranges::transform(values, result.mutable_data_ptr<float>(),
                                                     [&](float value) { return scale * value; });
                              return result;
                          };
                          return Factors{
                              ops.prepare(tensor(module.a, module.rank, 1.0F), false),
                              ops.prepare(tensor(module.b, module.out, static_cast<float>(module.scaling)), false),
                              nullptr};
                      }} {}

PreparedAdapter PreparedAdapter::fold(weights::Adapter const& adapter, weights::Checkpoint const& base,
                                      Ops const& ops) {
    return fold(checked_names(adapter, base.config()), content_of(adapter, "folded"), base, ops,
                [&](std::size_t i, std::span<float> weight) {
                    auto const& module = adapter.modules[i];
                    kernel::gemm(kernel::Op::none, kernel::Op::none, module.out, module.in, module.rank,
                                 static_cast<float>(module.scaling), module.b.data(), module.rank, module.a.data(),
                                 module.in, weight.data(), module.in, true);
                });
}

PreparedAdapter PreparedAdapter::fold(std::vector<std::string> const& modules, std::string content,
                                      weights::Checkpoint const& base, Ops const& ops,
                                      std::function<void(std::size_t module, std::span<float> weight)> const& add) {
    return {modules, std::move(content), base.config(), [&](std::size_t i) {
                auto const weight = read_tensor(base, modules[i] + ".weight");
                add(i, {weight.mutable_data_ptr<float>(), static_cast<std::size_t>(weight.numel())});
                return Factors{nullptr, nullptr, ops.prepare(weight, false)};
            }};
}

PreparedAdapter::PreparedAdapter(std::vector<std::string> const& modules, std::string content,
                                 weights::ModelConfig const& config,
                                 std::function<Factors(std::size_t module)> const& prepare)
    : content_{std::move(content)} {
    factors_.resize(static_cast<std::size_t>(config.num_layers) * num_projections);
    for (int layer = 0; layer < config.num_layers; ++layer) {
        for (int p = 0; p < num_projections; ++p) {
            auto const found = std::ranges::find(modules, module_name(layer, static_cast<Projection>(p)));
            if (found == modules.end()) continue;
            factors_[static_cast<std::size_t>(layer * num_projections + p)] =
                std::make_unique<Factors>(prepare(static_cast<std::size_t>(found - modules.begin())));
        }
    }
}

PreparedAdapter::Factors const* PreparedAdapter::find(int layer, Projection projection) const {
    return factors_[static_cast<std::size_t>(layer * num_projections + projection)].get();
}

Pass::Pass(Ops const& ops, std::int64_t rows, std::int64_t blocks)
    : tokens_{ops.indices(std::vector<std::int32_t>(static_cast<std::size_t>(rows)))},
      positions_{ops.indices(std::vector<std::int32_t>(static_cast<std::size_t>(rows)))},
      kv_{ops.make_rows(rows, blocks)} {}

Pass::Pass(Ops const& ops, std::span<Row const> rows) : Pass{ops, std::ssize(rows), most_blocks(rows)} {
    set(ops, rows, common_blocks(rows));
}

void Pass::set(Ops const& ops, std::span<Row const> rows, std::int64_t common) {
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> positions;
    std::vector<KvSlot> slots;
    std::vector<kernel::AttentionRow> attention;
    segments_.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto const& row = rows[i];
        tokens.push_back(row.token);
        positions.push_back(row.position);
        slots.push_back({row.blocks[row.position / kernel::kv_block], row.position % kernel::kv_block});
        attention.push_back({row.blocks, row.position + 1, i == 0 ? 0 : shared_blocks(rows[i - 1], row)});
        if (segments_.empty() || segments_.back().adapter != row.adapter)
            segments_.push_back({static_cast<std::int64_t>(i), 0, row.adapter});
        ++segments_.back().size;
    }
    tokens_.copy_(ops.indices(tokens));
    positions_.copy_(ops.indices(positions));
    ops.set_rows(*kv_, std::move(slots), std::move(attention), common);
}

at::Tensor forward_rows(LanguageModel const& model, Ops const& ops, KvCache& cache, std::span<Row const> rows) {
    return forward(model, ops, cache, Pass{ops, rows});
}

namespace {

/// A layer's steps over cached keys and values (see decoder_layer).
struct DecodeSteps {
    LanguageModel const& model;
    Ops const& ops;
    KvCache& cache;
    Pass const& pass;
    int layer;
    at::Tensor& residual;

    void project(Projection projection, at::Tensor const& input, at::Tensor& output) const {
        apply_linear(ops, model.layers[static_cast<std::size_t>(layer)].linear[projection], input, output,
                     pass.segments(), layer, projection);
    }
    void norm_heads(Projection, at::Tensor& values, at::Tensor const& weight) const {
        auto heads = values.view({-1, model.config.head_dim});
        ops.rms_norm(heads, weight, model.config.rms_norm_eps, heads);
    }
    void attend(LayerBuffers const& buffers) const {
        ops.store_kv(cache, layer, pass.kv(), buffers.k, buffers.v);
        ops.attend(cache, layer, pass.kv(), buffers.q, buffers.attended);
    }
    void add_attention(LayerBuffers const& buffers, at::Tensor const& mlp_norm) const {
        ops.add_rms_norm(buffers.attention_out, residual, mlp_norm, model.config.rms_norm_eps, buffers.mlp_input);
    }
};

}  // namespace

at::Tensor forward(LanguageModel const& model, Ops const& ops, KvCache& cache, Pass const& pass) {
    auto const& config = model.config;
    auto const count = pass.size();
    auto const heads = static_cast<int>(config.num_heads);
    auto const kv_heads = static_cast<int>(config.num_kv_heads);

    auto x = ops.empty({count, config.hidden_size});
    ops.embed(model.embeddings, pass.tokens(), x);
    auto normed = ops.empty({count, config.hidden_size});
    auto block_out = ops.empty({count, config.hidden_size});
    auto q = ops.empty({count, heads * config.head_dim});
    auto k = ops.empty({count, kv_heads * config.head_dim});
    auto v = ops.empty({count, kv_heads * config.head_dim});
    auto attended = ops.empty({count, heads * config.head_dim});
    auto gate = ops.empty({count, config.intermediate_size});
    auto up = ops.empty({count, config.intermediate_size});
    LayerBuffers const buffers{q, k, v, attended, block_out, normed, gate, up, gate, block_out};
    ops.rms_norm(x, model.layers.front().attention_norm, config.rms_norm_eps, normed);
    for (int layer = 0; layer < config.num_layers; ++layer) {
        decoder_layer(model, ops, layer, pass.positions(), normed, buffers,
                      DecodeSteps{model, ops, cache, pass, layer, x});
        if (layer + 1 < config.num_layers) {
            auto const& next = model.layers[static_cast<std::size_t>(layer) + 1];
            ops.add_rms_norm(block_out, x, next.attention_norm, config.rms_norm_eps, normed);
        } else {
            ops.add(block_out, x);
        }
    }
    return x;
}

void logits(LanguageModel const& model, Ops const& ops, at::Tensor const& hidden, at::Tensor& out) {
    auto normed = ops.empty(hidden.sizes());
    ops.rms_norm(hidden, model.final_norm, model.config.rms_norm_eps, normed);
    ops.linear(*model.head, normed, out, false);
}

at::Tensor logits(LanguageModel const& model, Ops const& ops, at::Tensor const& hidden) {
    auto out = ops.empty({hidden.size(0), model.head->out()});
    logits(model, ops, hidden, out);
    return out;
}

std::vector<float> sequence_logits(LanguageModel const& model, Ops const& ops, std::span<std::int32_t const> ids,
                                   PreparedAdapter const* adapter) {
    auto const& config = model.config;
    auto const length = static_cast<std::int64_t>(ids.size());
    if (length > config.max_position_embeddings) {
        throw InputError{fmt::format("a sequence of {} tokens exceeds the model's context of {}", length,
                                     config.max_position_embeddings),
                         "shorten it"};
    }
    for (auto const id : ids) {
        if (id < 0 || id >= config.vocab_size) {
            throw InputError{fmt::format("token id {} is outside the vocabulary of {}", id, config.vocab_size)};
        }
    }
    std::vector<float> result;
    if (ids.empty()) return result;
    auto const num_blocks = (length + kernel::kv_block - 1) / kernel::kv_block;
    std::vector<std::int32_t> blocks(static_cast<std::size_t>(num_blocks));
    std::iota(blocks.begin(), blocks.end(), 0);
    auto const cache = ops.make_cache(model.attention_shape(), static_cast<int>(config.num_layers), num_blocks);
    constexpr std::int64_t chunk = 256;  // bounds the logits' memory: 256 x 152k x 4 bytes = 156 MB
    result.reserve(static_cast<std::size_t>(length * config.vocab_size));
    for (std::int64_t begin = 0; begin < length; begin += chunk) {
        std::vector<Row> rows;
        for (auto i = begin; i < std::min(begin + chunk, length); ++i) {
            rows.push_back({ids[static_cast<std::size_t>(i)], static_cast<std::int32_t>(i), blocks.data(), adapter});
        }
        auto const out = logits(model, ops, forward_rows(model, ops, *cache, rows)).to(at::kCPU, at::kFloat);
        auto const* data = out.const_data_ptr<float>();
        result.insert(result.end(), data, data + out.numel());
    }
    return result;
}

}  // namespace samner::model
