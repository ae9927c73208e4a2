#include "weights/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "weights/architecture.h"
#include "weights/config_checks.h"
#include "weights/fields.h"

namespace samner::weights {
namespace {

constexpr std::int64_t most_layers = 10'000;

/// Settings of which only one value is supported, since another one changes the arithmetic.
void refuse_unsupported(Fields const& fields) {
    auto const refuse = [&](std::string const& key, std::string_view supported) {
        throw InputError{fmt::format("'{}' is {} ({})", key, shown(fields.find(key)->dump()), fields.place()),
                         fmt::format("only {} is supported", supported)};
    };
    if (fields.text("hidden_act").value_or("silu") != "silu") refuse("hidden_act", "\"silu\"");
    for (auto const* key : {"attention_bias", "mlp_bias", "use_sliding_window"}) {
        if (fields.boolean(key).value_or(false)) refuse(key, "false");
    }
    if (fields.find("quantization_config") != nullptr)
        refuse("quantization_config", "an unquantised model or a .gguf file");
    if (fields.number("partial_rotary_factor").value_or(1) != 1) refuse("partial_rotary_factor", "1");
}

/// The rope settings that count in transformers 5: rope_scaling, where it says anything, replaces rope_parameters as a
/// whole, with its theta. @return their key, or nothing where there are none
std::optional<std::string> rope_key(Fields const& fields) {
    auto const says_anything = [&](std::string const& key) {
        auto const* const settings = fields.find(key);
        return settings != nullptr && !(settings->is_object() && settings->empty());
    };
    for (auto const* key : {"rope_scaling", "rope_parameters"})
        if (says_anything(key)) return key;
    return std::nullopt;
}

/// Transformers 5 goes on with a context beside the settings, then with the settings' own, then with the model's.
std::int64_t original_context(Fields const& fields, Fields const& rope) {
    auto const* const key = "original_max_position_embeddings";
    if (auto const beside = fields.integer(key)) return *beside;
    if (auto const own = rope.integer(key)) return *own;
    return fields.required("max_position_embeddings", fields.integer("max_position_embeddings"));
}

/// Reads theta and scaling. Transformers 4 has theta beside rope_scaling.
void read_rope(Fields const& fields, ModelConfig& config) {
    constexpr double theta_where_none_is_given = 10'000;  // of every architecture here
    config.rope_theta = fields.number("rope_theta").value_or(theta_where_none_is_given);
    auto const key = rope_key(fields);
    if (!key) return;
    config.rope_replaced = key == "rope_scaling" && fields.find("rope_parameters") != nullptr;

    auto const& settings = *fields.find(*key);
    Fields const rope{settings, fmt::format("{}, {}", fields.place(), *key)};
    for (auto const& [name, value] : settings.items()) {
        if (!value.is_object()) continue;
        throw InputError{
            fmt::format("rope settings of its own for '{}', which is not supported ({})", shown(name), rope.place()),
            "use a model with one rotation for all layers"};
    }
    config.rope_theta = rope.number("rope_theta").value_or(config.rope_theta);
    auto const type = rope.text("rope_type").value_or(rope.text("type").value_or("default"));
    if (type == "llama3") {
        config.llama3_rope =
            Llama3Rope{.factor = rope.required("factor", rope.number("factor")),
                       .low_freq_factor = rope.required("low_freq_factor", rope.number("low_freq_factor")),
                       .high_freq_factor = rope.required("high_freq_factor", rope.number("high_freq_factor")),
                       .original_max_position_embeddings = original_context(fields, rope)};
    } else if (type != "default") {
        throw InputError{fmt::format("rope type '{}' is not supported ({})", shown(type), rope.place()),
                         fmt::format("supported are default, llama3; where the scaling was only added for texts longer "
                                     "than the model was trained on, take {} back to what it was",
                                     *key)};
    }
    if (rope.number("partial_rotary_factor").value_or(1) != 1) {
        throw InputError{fmt::format("'partial_rotary_factor' is not 1 ({})", rope.place()), "only 1 is supported"};
    }
}

/// An id or a list of ids; absent gives none.
std::vector<std::int32_t> token_ids(Fields const& fields, std::string const& key, std::int64_t vocab_size) {
    std::vector<std::int32_t> ids;
    auto const* const value = fields.find(key);
    if (value == nullptr) return ids;
    auto const list = value->is_array() ? *value : Json::array({*value});
    for (auto const& id : list) {
        if (!id.is_number_integer()) fields.throw_wrong(key, "a token id or a list of them");
        // Above 2^63 - 1 the conversion gives a negative number, which is no token either.
        ids.push_back(checked_token(id.get<std::int64_t>(), vocab_size, key, fields.place()));
    }
    return ids;
}

std::optional<std::int32_t> first(std::vector<std::int32_t> const& ids) {
    return ids.empty() ? std::nullopt : std::optional{ids.front()};
}

void read_tokens(std::filesystem::path const& folder, Fields const& fields, ModelConfig& config) {
    config.bos_token = first(token_ids(fields, "bos_token_id", config.vocab_size));
    config.pad_token = first(token_ids(fields, "pad_token_id", config.vocab_size));
    auto const path = folder / "generation_config.json";
    if (std::filesystem::exists(path)) {
        auto const generation = read_json(path);
        config.end_tokens = token_ids(Fields{generation, path.string()}, "eos_token_id", config.vocab_size);
    }
    if (config.end_tokens.empty()) config.end_tokens = token_ids(fields, "eos_token_id", config.vocab_size);
}

/// The wavelength-dependent division of Llama 3: none for short waves, `factor` for long ones, a blend between.
float scaled_as_llama3(float frequency, Llama3Rope const& rope) {
    auto const context = static_cast<double>(rope.original_max_position_embeddings);
    auto const longest_kept = static_cast<float>(context / rope.high_freq_factor);
    auto const shortest_scaled = static_cast<float>(context / rope.low_freq_factor);
    auto const wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    auto const factor = static_cast<float>(rope.factor);
    if (wavelength < longest_kept) return frequency;
    if (wavelength > shortest_scaled) return frequency / factor;
    auto const smooth = (static_cast<float>(context) / wavelength - static_cast<float>(rope.low_freq_factor)) /
                        static_cast<float>(rope.high_freq_factor - rope.low_freq_factor);
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

ModelConfig read_config(std::filesystem::path const& folder) {
    auto const path = folder / "config.json";
    auto const json = read_json(path);
    Fields const fields{json, path.string()};
    auto const required = [&](char const* key) { return fields.required(key, fields.integer(key)); };

    ModelConfig config;
    config.architecture = fields.required("model_type", fields.text("model_type"));
    auto const& architecture = find_architecture(config.architecture, path.string());
    config.attention_bias = architecture.attention_bias;
    config.head_norm = architecture.head_norm;
    refuse_unsupported(fields);
    config.vocab_size = required("vocab_size");
    config.hidden_size = required("hidden_size");
    config.intermediate_size = required("intermediate_size");
    config.num_layers = required("num_hidden_layers");
    config.num_heads = required("num_attention_heads");
    config.num_kv_heads = fields.integer("num_key_value_heads").value_or(config.num_heads);
    config.head_dim =
        fields.integer("head_dim").value_or(config.num_heads > 0 ? config.hidden_size / config.num_heads : 0);
    config.max_position_embeddings = required("max_position_embeddings");
    if (architecture.sliding_window) {
        config.max_position_embeddings = std::min(
            config.max_position_embeddings, fields.integer("sliding_window").value_or(config.max_position_embeddings));
    }
    config.rms_norm_eps = static_cast<float>(fields.required("rms_norm_eps", fields.number("rms_norm_eps")));
    config.tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(false);
    read_rope(fields, config);
    check_config(config, path.string());
    read_tokens(folder, fields, config);
    return config;
}

void check_config(ModelConfig const& config, std::string_view place) {
    auto const require = [&](bool holds, std::string_view what, auto value) {
        if (!holds) {
            throw InputError{fmt::format("{} is {} ({})", what, value, place), "use the model's own configuration"};
        }
    };
    auto const in_range = [&](std::string_view what, std::int64_t value, std::int64_t largest) {
        require(value > 0 && value <= largest, what, value);
    };
    constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();
    in_range("the vocabulary size", config.vocab_size, largest);
    in_range("the hidden size", config.hidden_size, largest);
    in_range("the intermediate size", config.intermediate_size, largest);
    in_range("the number of layers", config.num_layers, most_layers);
    in_range("the number of heads", config.num_heads, 1 << 16);
    in_range("the number of key/value heads", config.num_kv_heads, config.num_heads);
    in_range("the head dimension", config.head_dim, 1 << 15);
    in_range("the number of positions", config.max_position_embeddings, largest);
    require(config.num_heads % config.num_kv_heads == 0, "the number of key/value heads, which must divide the heads,",
            config.num_kv_heads);
    require(config.head_dim % 2 == 0, "the head dimension, which must be even,", config.head_dim);
    require(std::isfinite(config.rms_norm_eps) && config.rms_norm_eps >= 0, "the epsilon of the norms",
            config.rms_norm_eps);
    require(std::isfinite(config.rope_theta) && config.rope_theta > 0, "the rope base", config.rope_theta);
    if (auto const& rope = config.llama3_rope) {
        require(rope->factor >= 1, "the rope factor", rope->factor);
        require(rope->low_freq_factor > 0, "the low rope factor", rope->low_freq_factor);
        require(rope->high_freq_factor > rope->low_freq_factor, "the high rope factor", rope->high_freq_factor);
        in_range("the original number of positions", rope->original_max_position_embeddings, largest);
    }
}

std::int32_t checked_token(std::int64_t id, std::int64_t vocab_size, std::string_view what, std::string_view place) {
    if (id >= 0 && id < vocab_size) return static_cast<std::int32_t>(id);
    throw InputError{fmt::format("{} {} is no token of a vocabulary of {} ({})", what, id, vocab_size, place),
                     "use the model's own configuration"};
}

std::vector<float> rope_inverse_frequencies(ModelConfig const& config) {
    std::vector<float> frequencies(static_cast<std::size_t>(config.head_dim / 2));
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
        auto const exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
        auto const power = static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
        auto& frequency = frequencies[i];
        frequency = 1 / power;
        if (config.llama3_rope) frequency = scaled_as_llama3(frequency, *config.llama3_rope);
        if (!config.rope_factors.empty()) frequency /= config.rope_factors[i];
    }
    return frequencies;
}

}  // namespace samner::weights
