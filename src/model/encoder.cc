#include "model/encoder.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

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

enum class Pooling { mean, first };

/// What a sentence-transformers folder says beside BERT's own configuration.
struct SentenceConfig {
    Pooling pooling = Pooling::mean;
    bool normalised = false;
    std::optional<std::int64_t> max_length;
};

/// A member that may be absent or null.
template <class T>
std::optional<T> optional_member(Json const& object, std::string const& key, std::filesystem::path const& path) {
    if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return std::nullopt;
    return member<T>(object, key, path.string());
}

std::optional<Json> read_if_there(std::filesystem::path const& path) {
    return std::filesystem::exists(path) ? std::optional{read_json(path)} : std::nullopt;
}

/// The pooling modes of a Pooling module: before version 6 each a key of its own, since then one text or a list.
std::vector<std::string> pooling_modes(Json const& config, std::string const& place) {
    if (config.contains("pooling_mode")) {
        if (config["pooling_mode"].is_string()) return {config["pooling_mode"].get<std::string>()};
        return member<std::vector<std::string>>(config, "pooling_mode", place);
    }
    std::vector<std::string> modes;
    for (auto const& [key, value] : config.items()) {
        constexpr std::string_view prefix = "pooling_mode_";
        if (!key.starts_with(prefix) || !member<bool>(config, key, place)) continue;
        auto mode = key.substr(prefix.size());
        if (mode.ends_with("_tokens")) mode.resize(mode.size() - std::string_view{"_tokens"}.size());
        modes.push_back(mode == "cls_token" ? "cls" : mode);
    }
    return modes;
}

Pooling read_pooling(std::filesystem::path const& path) {
    auto const modes = pooling_modes(read_json(path), path.string());
    if (modes == std::vector<std::string>{"mean"}) return Pooling::mean;
    if (modes == std::vector<std::string>{"cls"}) return Pooling::first;
    throw InputError{
        fmt::format("the encoder pools by {} ({})",
                    modes.empty() ? "nothing" : fmt::format("{}", fmt::join(modes, " and ")), path.string()),
        "supported are mean and cls"};
}

struct Module {
    std::string type;             ///< a Python class
    std::filesystem::path place;  ///< inside the folder

    std::string name() const { return type.substr(type.rfind('.') + 1); }  // npos + 1 is 0
};

/// What modules.json names; nothing where there is none.
std::optional<std::vector<Module>> read_modules(std::filesystem::path const& folder) {
    auto const path = folder / "modules.json";
    auto const list = read_if_there(path);
    if (!list) return std::nullopt;
    std::vector<Module> modules;
    for (auto const& item : *list) {
        Module module{member<std::string>(item, "type", path.string()),
                      std::filesystem::path{member<std::string>(item, "path", path.string())}};
        if (!module.place.is_relative() || std::ranges::find(module.place, "..") != module.place.end()) {
            throw InputError{
                fmt::format("module path '{}' leads out of the folder ({})", module.place.string(), path.string())};
        }
        modules.push_back(std::move(module));
    }
    return modules;
}

/// Takes what modules.json and the configurations that it names say.
void apply_modules(std::filesystem::path const& folder, SentenceConfig& config) {
    auto const path = folder / "modules.json";
    auto const modules = read_modules(folder);
    if (!modules) return;
    bool pooled = false;
    for (auto const& module : *modules) {
        if (module.name() == "Transformer" && module.place.empty()) continue;
        if (module.name() == "Pooling" && !pooled) {
            config.pooling = read_pooling(folder / module.place / "config.json");
            pooled = true;
        } else if (module.name() == "Normalize" && pooled) {
            config.normalised = true;
        } else {
            throw InputError{fmt::format("module {} in '{}' ({})", module.type, module.place.string(), path.string()),
                             "supported are Transformer in the folder itself, one Pooling, and Normalize behind it"};
        }
    }
    if (!pooled)
        throw InputError{fmt::format("no module pools ({})", path.string()), "an encoder has a Pooling module"};
}

/// Refuses what changes the text before its tokens are counted.
void refuse_prompts_and_case(std::filesystem::path const& folder, Json const& sentence) {
    auto const path = folder / "config_sentence_transformers.json";
    auto const config = read_if_there(path).value_or(Json::object());
    auto const name = optional_member<std::string>(config, "default_prompt_name", path);
    auto const prompts = optional_member<std::map<std::string, std::string>>(config, "prompts", path);
    if (name && prompts && prompts->contains(*name) && !prompts->at(*name).empty()) {
        throw InputError{fmt::format("texts are to be put behind the prompt '{}' ({})", *name, path.string()),
                         "only encoders without a default prompt are supported"};
    }
    auto const sentence_path = folder / "sentence_bert_config.json";
    if (optional_member<bool>(sentence, "do_lower_case", sentence_path).value_or(false)) {
        throw InputError{fmt::format("'do_lower_case' is true ({})", sentence_path.string()),
                         "only false is supported: let the tokenizer's normalizer lower the case"};
    }
}

SentenceConfig read_sentence_config(std::filesystem::path const& folder) {
    SentenceConfig config;
    apply_modules(folder, config);
    auto const path = folder / "sentence_bert_config.json";
    auto const sentence = read_if_there(path).value_or(Json::object());
    refuse_prompts_and_case(folder, sentence);
    auto const tokenizer = folder / "tokenizer_config.json";
    auto length = optional_member<double>(sentence, "max_seq_length", path);
    if (!length) {
        length =
            optional_member<double>(read_if_there(tokenizer).value_or(Json::object()), "model_max_length", tokenizer);
    }
    if (length && !(*length >= 1)) {
        throw InputError{fmt::format("the encoder takes {} tokens ({})", *length, folder.string()),
                         "give it 1 or more"};
    }
    // Tokenizers without a limit name 10^30.
    if (length) config.max_length = static_cast<std::int64_t>(std::min(*length, 1e9));
    return config;
}

class Reader {
public:
    Reader(std::filesystem::path const& path, Ops const& ops) : file_{path}, path_{path}, ops_{ops} {
        // Models that were saved with a head have the encoder below this name.
        if (file_.find("bert.embeddings.word_embeddings.weight")) prefix_ = "bert.";
    }

    at::Tensor tensor(std::string const& key, std::vector<std::int64_t> const& shape) const {
        auto const name = prefix_ + key;
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
    std::string prefix_;
    Ops const& ops_;
};

/// Rows of `width` values, each divided by its length; zero stays zero.
std::vector<float> of_length_one(std::span<float const> rows, std::int64_t width) {
    std::vector<float> result(rows.size());
    for (std::size_t begin = 0; begin < rows.size(); begin += static_cast<std::size_t>(width)) {
        auto const row = rows.subspan(begin, static_cast<std::size_t>(width));
        double square = 0;
        for (auto const value : row) square += static_cast<double>(value) * static_cast<double>(value);
        auto const norm = std::sqrt(square);
        for (std::size_t d = 0; d < row.size(); ++d)
            result[begin + d] = norm > 0 ? static_cast<float>(static_cast<double>(row[d]) / norm) : 0.0F;
    }
    return result;
}

}  // namespace

struct Encoder::Impl {
    Ops const& ops;
    std::int64_t hidden = 0;
    std::int64_t inner = 0;
    SentenceConfig sentence;
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
        auto const positions_as =
            optional_member<std::string>(config, "position_embedding_type", place).value_or("absolute");
        if (positions_as != "absolute")
            throw InputError{fmt::format("position_embedding_type is '{}' ({})", positions_as, place),
                             "only absolute is there"};
        sentence = read_sentence_config(folder);
        hidden = member<std::int64_t>(config, "hidden_size", place);
        inner = member<std::int64_t>(config, "intermediate_size", place);
        vocabulary = member<std::int64_t>(config, "vocab_size", place);
        eps = member<float>(config, "layer_norm_eps", place);
        auto const context = member<std::int64_t>(config, "max_position_embeddings", place);
        auto const num_types = member<std::int64_t>(config, "type_vocab_size", place);
        auto const heads = member<std::int64_t>(config, "num_attention_heads", place);
        auto const num_layers = member<std::int64_t>(config, "num_hidden_layers", place);
        if (hidden < 1 || inner < 1 || heads < 1 || hidden % heads != 0 || num_layers < 1 || num_layers > 1000 ||
            context < 1 || num_types < 1 || vocabulary < 1) {
            throw InputError{fmt::format("sizes that make no model: hidden {}, heads {}, layers {} ({})", hidden, heads,
                                         num_layers, place)};
        }
        max_length = std::min(sentence.max_length.value_or(context), context);
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
        ops.embed(words, ops.indices(ids), sum);
        ops.embed(types, ops.indices(std::vector<std::int32_t>(ids.size(), 0)), part);
        ops.add(part, sum);
        ops.embed(positions, ops.indices(places), part);
        ops.add(part, sum);
        auto x = apply(embedding_norm, sum);
        auto attended = ops.empty({count, hidden});
        auto const sequences = ops.sequences(offsets);
        at::Tensor stats;
        for (auto const& layer : layers) {
            ops.attention(shape, sequences, false, apply(layer.query, x), apply(layer.key, x), apply(layer.value, x),
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
    result.pooled.resize(texts.size() * static_cast<std::size_t>(dim));
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
            auto const last = impl_->sentence.pooling == Pooling::first ? first + 1 : offsets[text - begin + 1];
            auto* const pooled = result.pooled.data() + text * static_cast<std::size_t>(dim);
            for (std::int64_t d = 0; d < dim; ++d) {
                double sum = 0;
                for (auto row = first; row < last; ++row) sum += static_cast<double>(data[row * dim + d]);
                pooled[d] = static_cast<float>(sum / (last - first));
            }
        }
        begin = end;
    }
    result.encoded = impl_->sentence.normalised ? of_length_one(result.pooled, dim) : result.pooled;
    return result;
}

std::vector<std::filesystem::path> encoder_files(std::filesystem::path const& folder) {
    std::vector<std::filesystem::path> files{
        "config.json",          "config_sentence_transformers.json", "model.safetensors",
        "modules.json",         "sentence_bert_config.json",         "tokenizer.json",
        "tokenizer_config.json"};
    for (auto const& module : read_modules(folder).value_or(std::vector<Module>{}))
        files.push_back((module.place / "config.json").lexically_normal());
    std::erase_if(files, [&](auto const& file) { return !std::filesystem::exists(folder / file); });
    std::ranges::sort(files);
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
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
