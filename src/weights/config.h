#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace samner::weights {

class GgufFile;

/// Llama 3's change of the rotary frequencies (transformers, modeling_rope_utils.py, rope type llama3).
struct Llama3Rope {
    double factor = 1;
    double low_freq_factor = 1;
    double high_freq_factor = 4;
    std::int64_t original_max_position_embeddings = 8192;

    friend bool operator==(Llama3Rope const&, Llama3Rope const&) = default;
};

/// What a decoder-only model looks like, whatever file says so. Checked when read: sizes are positive, below 2^31 and
/// fit each other; token ids are below vocab_size.
struct ModelConfig {
    std::string architecture;  ///< one of architecture.cc
    std::int64_t vocab_size = 0;
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    std::int64_t num_layers = 0;
    std::int64_t num_heads = 0;
    std::int64_t num_kv_heads = 0;             ///< divides num_heads
    std::int64_t head_dim = 0;                 ///< even; num_heads * head_dim need not be hidden_size
    std::int64_t max_position_embeddings = 0;  ///< at most the sliding window: up to there it makes no difference
    float rms_norm_eps = 0;
    double rope_theta = 0;
    std::optional<Llama3Rope> llama3_rope;
    std::vector<float> rope_factors;  ///< [head_dim / 2] divisors of the frequencies (GGUF's rope_freqs), or empty
    bool rope_replaced = false;       ///< rope_scaling stands beside rope_parameters, and counts in its place
    bool attention_bias = false;      ///< biases on q, k and v (never on o)
    bool head_norm = false;           ///< an RMS norm on each head of q and k, before the rotation
    bool tie_word_embeddings = false;
    std::vector<std::int32_t> end_tokens;  ///< may be empty: the model names none
    std::optional<std::int32_t> bos_token;
    std::optional<std::int32_t> pad_token;

    friend bool operator==(ModelConfig const&, ModelConfig const&) = default;
};

/// Reads config.json of a Hugging Face folder, in the forms of transformers 4 (rope_theta, rope_scaling) and
/// 5 (rope_parameters); of both, what transformers 5 goes by. End tokens: generation_config.json's where it names any,
/// else config.json's.
/// @throws InputError naming file and key; an unknown architecture or a setting that changes the arithmetic
///         (another activation, sliding windows on some layers, quantisation …) is named beside what is supported
ModelConfig read_config(std::filesystem::path const& folder);

/// Reads a GGUF file's metadata. End tokens: those at which llama.cpp ends a text, the file's eos, eot, eom and fim ids
/// and control or user-defined tokens of the texts that it knows, such as <|im_end|> and <|endoftext|>; the eos id
/// comes first. Heads are tied where the file has no output.weight. @throws InputError as read_config
ModelConfig read_config(GgufFile const& file);

/// Rotary inverse frequencies in float32, after scaling, shape [head_dim / 2].
std::vector<float> rope_inverse_frequencies(ModelConfig const& config);

}  // namespace samner::weights
