#include "model/encoder.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/json.h"
#include "model/ops.h"
#include "weights/safetensors.h"

namespace samner::model {
namespace {

struct Dense {
    std::unique_ptr<Weight> weight;
    at::Tensor bias;
};

struct Norm {
    at::Tensor weight;
    at::Tensor bias;
};

struct EncoderLayer {
    Dense query, key, value, attention_output, intermediate, output;
    Norm attention_norm, output_norm;
};

class Reader {
public:
    Reader(std::filesystem::path const& path, Ops const& ops) : file_{path}, path_{path}, ops_{ops} {}

    at::Tensor tensor(std::string const& name, std::vector<std::int64_t> const& shape) const {
        auto const* const view = file_.find(name);
        if (!view)
            throw InputError{fmt::format("tensor '{}' is missing ({})", name, path_.string()),
                             "use a BERT sentence encoder"};
        if (view->shape != shape) {
            throw InputError{fmt::format("tensor '{}' has shape [{}], the configuration asks for [{}] ({})", name,
                                         fmt::join(view->shape, ", "), fmt::join(shape, ", "), path_.string())};
        }
        auto result = at::empty(shape, at::TensorOptions{}.dtype(at::kFloat));
        weights::to_float(view->dtype, view->bytes,
                          {result.mutable_data_ptr<float>(), static_cast<std::size_t>(result.numel())});
        auto placed = ops_.empty(shape);
        placed.copy_(result);
        return placed;
    }
    Dense dense(std::string const& name, std::int64_t out, std::int64_t in) const {
        return {ops_.prepare(tensor(name + ".weight", {out, in}).cpu(), false), tensor(name + ".bias", {out})};
    }
    Norm norm(std::string const& name, std::int64_t size) const {
        return {tensor(name + ".weight", {size}), tensor(name + ".bias", {size})};
    }

private:
    weights::SafetensorsFile file_;
    std::filesystem::path path_;
    Ops const& ops_;
};

}  // namespace

struct Encoder::Impl {
    Ops const& ops;
    std::int64_t hidden = 0;
    std::int64_t inner = 0;
    std::int64_t max_length = 0;
    std::int64_t vocabulary = 0;
    float eps = 0;
    kernel::AttentionShape shape{};
    at::Tensor words, positions, types;
    Norm embedding_norm;
    std::vector<EncoderLayer> layers;

    Impl(std::filesystem::path const& folder, Ops const& on) : ops{on} {
        auto const config = read_json(folder / "config.json");
        auto const place = (folder / "config.json").string();
        auto const type = member<std::string>(config, "model_type", place);
        if (type != "bert")
            throw InputError{fmt::format("model_type is '{}' ({})", type, place), "the encoder has to be a BERT"};
        auto const activation = member<std::string>(config, "hidden_act", place);
        if (activation != "gelu")
            throw InputError{fmt::format("hidden_act is '{}' ({})", activation, place), "only gelu is there"};
        auto const pooling = read_json(folder / "1_Pooling" / "config.json");
        if (!member<bool>(pooling, "pooling_mode_mean_tokens", (folder / "1_Pooling/config.json").string())) {
            throw InputError{fmt::format("the encoder does not pool by the mean ({})", folder.string()),
                             "only mean pooling is there"};
        }
        hidden = member<std::int64_t>(config, "hidden_size", place);
        inner = member<std::int64_t>(config, "intermediate_size", place);
        vocabulary = member<std::int64_t>(config, "vocab_size", place);
        eps = member<float>(config, "layer_norm_eps", place);
        auto const context = member<std::int64_t>(config, "max_position_embeddings", place);
        auto const num_types = member<std::int64_t>(config, "type_vocab_size", place);
        auto const heads = member<std::int64_t>(config, "num_attention_heads", place);
        auto const num_layers = member<std::int64_t>(config, "num_hidden_layers", place);
        if (hidden < 1 || inner < 1 || heads < 1 || hidden % heads != 0 || num_layers < 1 || num_layers > 1000 ||
            context < 1) {
            throw InputError{fmt::format("sizes that make no model: hidden {}, heads {}, layers {} ({})", hidden, heads,
                                         num_layers, place)};
        }
        auto const sentence = folder / "sentence_bert_config.json";
        max_length = std::filesystem::exists(sentence)
                         ? member<std::int64_t>(read_json(sentence), "max_seq_length", sentence.string())
                         : context;
        max_length = std::min(max_length, context);
        auto const dim = hidden / heads;
        shape = {static_cast<int>(heads), static_cast<int>(heads), static_cast<int>(dim),
                 1.0F / std::sqrt(static_cast<float>(dim))};

        Reader const reader{folder / "model.safetensors", ops};
        words = reader.tensor("embeddings.word_embeddings.weight", {vocabulary, hidden});
        positions = reader.tensor("embeddings.position_embeddings.weight", {context, hidden});
        types = reader.tensor("embeddings.token_type_embeddings.weight", {num_types, hidden});
        embedding_norm = reader.norm("embeddings.LayerNorm", hidden);
        for (std::int64_t i = 0; i < num_layers; ++i) {
            auto const prefix = fmt::format("encoder.layer.{}.", i);
            auto& layer = layers.emplace_back();
            layer.query = reader.dense(prefix + "attention.self.query", hidden, hidden);
            layer.key = reader.dense(prefix + "attention.self.key", hidden, hidden);
            layer.value = reader.dense(prefix + "attention.self.value", hidden, hidden);
            layer.attention_output = reader.dense(prefix + "attention.output.dense", hidden, hidden);
            layer.attention_norm = reader.norm(prefix + "attention.output.LayerNorm", hidden);
            layer.intermediate = reader.dense(prefix + "intermediate.dense", inner, hidden);
            layer.output = reader.dense(prefix + "output.dense", hidden, inner);
            layer.output_norm = reader.norm(prefix + "output.LayerNorm", hidden);
        }
    }

    at::Tensor apply(Dense const& dense, at::Tensor const& x) const {
        auto y = ops.empty({x.size(0), dense.weight->out()});
        ops.linear(*dense.weight, x, y, false);
        ops.add_bias(dense.bias, y);
        return y;
    }
    at::Tensor apply(Norm const& norm, at::Tensor const& x) const {
        auto y = ops.empty(x.sizes());
        ops.layer_norm(x, norm.weight, norm.bias, eps, y);
        return y;
    }

    /// The last hidden states of packed texts, [tokens, hidden].
    at::Tensor forward(std::vector<std::int32_t> const& ids, std::vector<std::int32_t> const& places,
                       std::vector<std::int32_t> const& offsets) const {
        auto const count = std::ssize(ids);
        auto sum = ops.empty({count, hidden});
        auto part = ops.empty({count, hidden});
        ops.embed(words, ids, sum);
        ops.embed(types, std::vector<std::int32_t>(ids.size(), 0), part);
        ops.add(part, sum);
        ops.embed(positions, places, part);
        ops.add(part, sum);
        auto x = apply(embedding_norm, sum);
        auto attended = ops.empty({count, hidden});
        auto stats = ops.empty({count, 2 * shape.heads});
        for (auto const& layer : layers) {
            ops.attention(shape, offsets, false, apply(layer.query, x), apply(layer.key, x), apply(layer.value, x),
                          attended, stats);
            auto mixed = apply(layer.attention_output, attended);
            ops.add(x, mixed);
            x = apply(layer.attention_norm, mixed);
            auto activated = apply(layer.intermediate, x);
            ops.gelu(activated, activated);
            auto y = apply(layer.output, activated);
            ops.add(x, y);
            x = apply(layer.output_norm, y);
        }
        return x;
    }
};

Encoder::Encoder(std::filesystem::path const& folder, Ops const& ops) : impl_{std::make_unique<Impl>(folder, ops)} {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;
std::int64_t Encoder::dimension() const {
    return impl_->hidden;
}
std::int64_t Encoder::max_length() const {
    return impl_->max_length;
}

Encoder::Embeddings Encoder::encode(std::span<std::vector<std::int32_t> const> texts) const {
    auto const dim = impl_->hidden;
    Embeddings result;
    result.mean_pooled.resize(texts.size() * static_cast<std::size_t>(dim));
    result.normalised.resize(result.mean_pooled.size());
    constexpr std::size_t most_tokens = 2048;  // in one pass
    for (std::size_t begin = 0; begin < texts.size();) {
        std::vector<std::int32_t> ids;
        std::vector<std::int32_t> places;
        std::vector<std::int32_t> offsets;
        auto end = begin;
        for (; end < texts.size() && (end == begin || ids.size() + texts[end].size() <= most_tokens); ++end) {
            auto const& text = texts[end];
            if (text.empty() || std::ssize(text) > impl_->max_length) {
                throw InputError{fmt::format("text {} has {} tokens, the encoder takes 1 to {}", end, text.size(),
                                             impl_->max_length)};
            }
            offsets.push_back(static_cast<std::int32_t>(ids.size()));
            for (std::size_t i = 0; i < text.size(); ++i) {
                if (text[i] < 0 || text[i] >= impl_->vocabulary) {
                    throw InputError{fmt::format("token {} of text {} is outside the vocabulary of {}", text[i], end,
                                                 impl_->vocabulary)};
                }
                ids.push_back(text[i]);
                places.push_back(static_cast<std::int32_t>(i));
            }
        }
        offsets.push_back(static_cast<std::int32_t>(ids.size()));
        auto const states = impl_->forward(ids, places, offsets).cpu();
        auto const* const data = states.const_data_ptr<float>();
        for (auto text = begin; text < end; ++text) {
            auto const first = offsets[text - begin];
            auto const last = offsets[text - begin + 1];
            auto* const mean = result.mean_pooled.data() + text * static_cast<std::size_t>(dim);
            auto* const unit = result.normalised.data() + text * static_cast<std::size_t>(dim);
            double square = 0;
            for (std::int64_t d = 0; d < dim; ++d) {
                double sum = 0;
                for (auto row = first; row < last; ++row) sum += static_cast<double>(data[row * dim + d]);
                mean[d] = static_cast<float>(sum / (last - first));
                square += static_cast<double>(mean[d]) * static_cast<double>(mean[d]);
            }
            auto const norm = std::sqrt(square);
            for (std::int64_t d = 0; d < dim; ++d)
                unit[d] = norm > 0 ? static_cast<float>(static_cast<double>(mean[d]) / norm) : 0.0F;
        }
        begin = end;
    }
    return result;
}

std::vector<float> centroid(std::span<float const> embeddings, std::int64_t dimension) {
    auto const dim = static_cast<std::size_t>(dimension);
    auto const texts = embeddings.size() / dim;
    if (texts == 0) throw InputError{"the centroid of no texts", "give at least one text"};
    std::vector<float> result(dim);
    for (std::size_t d = 0; d < dim; ++d) {
        double sum = 0;
        for (std::size_t text = 0; text < texts; ++text) sum += static_cast<double>(embeddings[text * dim + d]);
        result[d] = static_cast<float>(sum / static_cast<double>(texts));
    }
    return result;
}

}  // namespace samner::model
