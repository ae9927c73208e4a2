#include "weights/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "weights/fields.h"

namespace samner::weights {
namespace {

constexpr auto architectures = std::to_array<Architecture>({
    {.name = "llama", .attention_bias = false, .head_norm = false, .sliding_window = false, .permuted_in_gguf = true},
    // GGUF files of Mistral call themselves llama.
    {.name = "mistral", .attention_bias = false, .head_norm = false, .sliding_window = true, .permuted_in_gguf = true},
    {.name = "qwen2", .attention_bias = true, .head_norm = false, .sliding_window = false, .permuted_in_gguf = false},
    {.name = "qwen3", .attention_bias = false, .head_norm = true, .sliding_window = false, .permuted_in_gguf = false},
});

constexpr std::string_view layer_prefix = "model.layers.";

/// Names of tensors outside and inside of layers, in Hugging Face files and in GGUF, less .weight and .bias.
constexpr auto model_names = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}});
constexpr auto layer_names =
    std::to_array<std::pair<std::string_view, std::string_view>>({{"input_layernorm", "attn_norm"},
                                                                  {"self_attn.q_proj", "attn_q"},
                                                                  {"self_attn.k_proj", "attn_k"},
                                                                  {"self_attn.v_proj", "attn_v"},
                                                                  {"self_attn.o_proj", "attn_output"},
                                                                  {"self_attn.q_norm", "attn_q_norm"},
                                                                  {"self_attn.k_norm", "attn_k_norm"},
                                                                  {"post_attention_layernorm", "ffn_norm"},
                                                                  {"mlp.gate_proj", "ffn_gate"},
                                                                  {"mlp.up_proj", "ffn_up"},
                                                                  {"mlp.down_proj", "ffn_down"}});

template <class Table>
std::string_view translated(Table const& table, std::string_view stem) {
    auto const* const found =
        std::find_if(table.begin(), table.end(), [&](auto const& entry) { return entry.first == stem; });
    return found == table.end() ? std::string_view{} : found->second;
}

std::vector<LinearSpec> layer_linears(ModelConfig const& config, std::string const& layer) {
    auto const hidden = config.hidden_size;
    auto const inner = config.intermediate_size;
    auto const heads = config.num_heads * config.head_dim;
    auto const kv_heads = config.num_kv_heads * config.head_dim;
    return {{layer + "self_attn.q_proj", heads, hidden},    {layer + "self_attn.k_proj", kv_heads, hidden},
            {layer + "self_attn.v_proj", kv_heads, hidden}, {layer + "self_attn.o_proj", hidden, heads},
            {layer + "mlp.gate_proj", inner, hidden},       {layer + "mlp.up_proj", inner, hidden},
            {layer + "mlp.down_proj", hidden, inner}};
}

std::string layer_path(std::int64_t layer) {
    return fmt::format("{}{}.", layer_prefix, layer);
}

bool has_bias(ModelConfig const& config, std::string_view linear) {
    return config.attention_bias &&
           (linear.ends_with(".q_proj") || linear.ends_with(".k_proj") || linear.ends_with(".v_proj"));
}

}  // namespace

Architecture const& find_architecture(std::string_view name, std::string_view place) {
    auto const* const found = std::find_if(architectures.begin(), architectures.end(),
                                           [&](Architecture const& known) { return known.name == name; });
    if (found != architectures.end()) return *found;
    std::vector<std::string_view> names;
    for (auto const& known : architectures) names.push_back(known.name);
    throw InputError{fmt::format("architecture '{}' is not supported ({})", shown(name), place),
                     fmt::format("supported are {}", fmt::join(names, ", "))};
}

std::vector<TensorSpec> expected_tensors(ModelConfig const& config) {
    std::vector<TensorSpec> tensors{{"model.embed_tokens.weight", {config.vocab_size, config.hidden_size}}};
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
        auto const path = layer_path(layer);
        tensors.push_back({path + "input_layernorm.weight", {config.hidden_size}});
        tensors.push_back({path + "post_attention_layernorm.weight", {config.hidden_size}});
        if (config.head_norm) {
            tensors.push_back({path + "self_attn.q_norm.weight", {config.head_dim}});
            tensors.push_back({path + "self_attn.k_norm.weight", {config.head_dim}});
        }
        for (auto const& linear : layer_linears(config, path)) {
            tensors.push_back({linear.name + ".weight", {linear.out, linear.in}});
            if (has_bias(config, linear.name)) tensors.push_back({linear.name + ".bias", {linear.out}});
        }
    }
    tensors.push_back({"model.norm.weight", {config.hidden_size}});
    if (!config.tie_word_embeddings) tensors.push_back({"lm_head.weight", {config.vocab_size, config.hidden_size}});
    return tensors;
}

std::int64_t num_parameters(ModelConfig const& config) {
    std::int64_t number = 0;
    for (auto const& tensor : expected_tensors(config)) {
        std::int64_t size = 1;
        for (auto const n : tensor.shape) size *= n;
        number += size;
    }
    return number;
}

std::vector<LinearSpec> linear_modules(ModelConfig const& config) {
    std::vector<LinearSpec> modules;
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
        for (auto& linear : layer_linears(config, layer_path(layer))) modules.push_back(std::move(linear));
    }
    return modules;
}

std::string gguf_tensor_name(std::string_view name) {
    auto const dot = name.rfind('.');
    if (dot == std::string_view::npos) return {};
    auto const suffix = name.substr(dot);
    auto stem = name.substr(0, dot);
    if (!stem.starts_with(layer_prefix)) {
        auto const known = translated(model_names, stem);
        return known.empty() ? std::string{} : fmt::format("{}{}", known, suffix);
    }
    stem.remove_prefix(layer_prefix.size());
    auto const end_of_number = std::min(stem.find('.'), stem.size());
    auto const number = stem.substr(0, end_of_number);
    auto const known = translated(layer_names, stem.substr(std::min(end_of_number + 1, stem.size())));
    return known.empty() ? std::string{} : fmt::format("blk.{}.{}{}", number, known, suffix);
}

}  // namespace samner::weights
