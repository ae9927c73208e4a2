#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "core/error.h"
#include "weights/architecture.h"
#include "weights/config.h"
#include "weights/config_checks.h"
#include "weights/fields.h"
#include "weights/gguf.h"

namespace samner::weights {
namespace {

/// Metadata of the file's architecture: key "block_count" is "llama.block_count".
class ArchitectureKeys {
public:
    ArchitectureKeys(GgufFile const& file, std::string const& architecture)
        : file_{file}, prefix_{fmt::format("{}.", architecture)} {}

    template <class T>
    std::optional<T> get(std::string_view key) const {
        return file_.get<T>(fmt::format("{}{}", prefix_, key));
    }
    template <class T>
    T require(std::string_view key) const {
        return file_.require<T>(fmt::format("{}{}", prefix_, key));
    }

    /// @throws InputError unless the value is absent or the one that is supported
    template <class T>
    void expect(std::string_view key, T const& supported) const {
        auto const value = get<T>(key);
        if (!value || *value == supported) return;
        throw InputError{fmt::format("metadata '{}{}' is {} ({})", prefix_, key, *value, file_.path().string()),
                         fmt::format("only {} is supported", supported)};
    }

private:
    GgufFile const& file_;
    std::string prefix_;
};

/// A factor without a type is one of linear scaling for llama.cpp; its older key is scale_linear.
void expect_no_rope_scaling(ArchitectureKeys const& keys) {
    if (keys.get<std::string>("rope.scaling.type") == "none") return;
    keys.expect<std::string>("rope.scaling.type", "none");
    for (auto const* key : {"rope.scaling.factor", "rope.scale_linear"})
        if (keys.get<double>(key) != 0.0) keys.expect<double>(key, 1);  // 0 says nothing
    keys.expect<double>("rope.scaling.attn_factor", 1);
}

/// Divisors of the rotary frequencies, which llama.cpp's converter computes from llama3 rope settings.
std::vector<float> read_rope_factors(GgufFile const& file, std::int64_t head_dim) {
    auto const* const tensor = file.find("rope_freqs.weight");
    if (tensor == nullptr) return {};
    if (tensor->shape != std::vector<std::int64_t>{head_dim / 2}) {
        throw InputError{fmt::format("rope_freqs.weight does not have head_dim / 2 = {} values ({})", head_dim / 2,
                                     file.path().string())};
    }
    std::vector<float> factors(static_cast<std::size_t>(tensor->elements()));
    dequantise(tensor->type, tensor->bytes, factors);
    if (!std::all_of(factors.begin(), factors.end(),
                     [](float factor) { return factor > 0 && std::isfinite(factor); })) {
        throw InputError{fmt::format("rope_freqs.weight has values that are not positive ({})", file.path().string())};
    }
    return factors;
}

/// Texts of tokens at which llama.cpp ends a text whatever the file's ids say (llama-vocab.cpp, special_eog_ids): ends
/// of texts, turns and messages, and what stands between files where code is filled in.
constexpr auto end_texts = std::to_array<std::string_view>({"<|eot_id|>",
                                                            "<|im_end|>",
                                                            "<|end|>",
                                                            "<|return|>",
                                                            "<|call|>",
                                                            "<|flush|>",
                                                            "<|calls|>",
                                                            "<end_of_turn>",
                                                            "<|eom_id|>",
                                                            "<|endoftext|>",
                                                            "</s>",
                                                            "<EOT>",
                                                            "_<EOT>",
                                                            "[EOT]",
                                                            "[EOS]",
                                                            "<|end_of_text|>",
                                                            "<eos>",
                                                            "<turn|>",
                                                            "<|tool_response>",
                                                            "<end_of_utterance>",
                                                            "<|fim_pad|>",
                                                            "<fim-pad>",
                                                            "<fim_pad>",
                                                            "<PAD>",
                                                            "[PAD]",
                                                            "<|fim_repo|>",
                                                            "<|repo_name|>",
                                                            "<fim-repo>",
                                                            "<REPO>",
                                                            "<reponame>",
                                                            "<|file_sep|>"});

/// Ids of control and user-defined tokens with one of those texts.
std::vector<std::int64_t> text_ends(GgufFile const& file) {
    constexpr std::int64_t control = 3;
    constexpr std::int64_t user_defined = 4;
    auto const tokens =
        file.get<std::vector<std::string>>("tokenizer.ggml.tokens").value_or(std::vector<std::string>{});
    auto const types =
        file.get<std::vector<std::int64_t>>("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>{});
    std::map<std::string_view, std::int64_t> found;
    for (std::size_t id = 0; id < std::min(tokens.size(), types.size()); ++id) {
        if (types[id] != control && types[id] != user_defined) continue;
        if (std::ranges::find(end_texts, tokens[id]) != end_texts.end())
            found.emplace(tokens[id], static_cast<std::int64_t>(id));
    }
    // As in llama.cpp: in these vocabularies the token ends part of an answer, or nothing.
    bool const calls = found.contains("<|call|>") || found.contains("<|calls|>");
    if (calls && (found.contains("<|return|>") || found.contains("<|flush|>"))) found.erase("<|end|>");
    if (found.contains("<|tool_response>")) found.erase("</s>");
    std::vector<std::int64_t> ids;
    for (auto const& [text, id] : found) ids.push_back(id);
    std::ranges::sort(ids);
    return ids;
}

void read_tokens(GgufFile const& file, ModelConfig& config) {
    auto const token = [&](std::string const& key) -> std::optional<std::int32_t> {
        auto const id = file.get<std::int64_t>(key);
        if (!id) return std::nullopt;
        return checked_token(*id, config.vocab_size, key, file.path().string());
    };
    auto const add_end = [&](std::optional<std::int32_t> id) {
        auto& ends = config.end_tokens;
        if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) ends.push_back(*id);
    };
    config.bos_token = token("tokenizer.ggml.bos_token_id");
    config.pad_token = token("tokenizer.ggml.padding_token_id");
    for (auto const* kind : {"eos", "eot", "eom"}) add_end(token(fmt::format("tokenizer.ggml.{}_token_id", kind)));
    for (auto const id : text_ends(file)) {
        add_end(checked_token(id, config.vocab_size, "end token", file.path().string()));
    }
    for (auto const* kind : {"fim_pad", "fim_rep", "fim_sep"})
        add_end(token(fmt::format("tokenizer.ggml.{}_token_id", kind)));
}

/// Rows of the embedding: the vocabulary as the tensors have it.
std::int64_t vocabulary_size(GgufFile const& file) {
    auto const* const embedding = file.find("token_embd.weight");
    if (embedding == nullptr) {
        throw InputError{fmt::format("there is no tensor 'token_embd.weight' ({})", file.path().string()),
                         "use a complete file of a language model"};
    }
    return embedding->shape.front();
}

}  // namespace

ModelConfig read_config(GgufFile const& file) {
    auto const place = file.path().string();
    ModelConfig config;
    config.architecture = file.require<std::string>("general.architecture");
    auto const& architecture = find_architecture(config.architecture, place);
    config.attention_bias = architecture.attention_bias;
    config.head_norm = architecture.head_norm;
    ArchitectureKeys const keys{file, config.architecture};

    config.vocab_size = vocabulary_size(file);
    config.hidden_size = keys.require<std::int64_t>("embedding_length");
    config.intermediate_size = keys.require<std::int64_t>("feed_forward_length");
    config.num_layers = keys.require<std::int64_t>("block_count");
    config.num_heads = keys.require<std::int64_t>("attention.head_count");
    config.num_kv_heads = keys.get<std::int64_t>("attention.head_count_kv").value_or(config.num_heads);
    config.head_dim = keys.get<std::int64_t>("attention.key_length")
                          .value_or(config.num_heads > 0 ? config.hidden_size / config.num_heads : 0);
    config.max_position_embeddings = keys.require<std::int64_t>("context_length");
    config.rms_norm_eps = static_cast<float>(keys.require<double>("attention.layer_norm_rms_epsilon"));
    config.rope_theta = keys.get<double>("rope.freq_base").value_or(10'000);
    config.tie_word_embeddings = file.find("output.weight") == nullptr;
    check_config(config, place);

    keys.expect<std::int64_t>("attention.value_length", config.head_dim);
    keys.expect<std::int64_t>("rope.dimension_count", config.head_dim);
    keys.expect<std::int64_t>("expert_count", 0);
    expect_no_rope_scaling(keys);
    config.rope_factors = read_rope_factors(file, config.head_dim);
    read_tokens(file, config);
    return config;
}

}  // namespace samner::weights
