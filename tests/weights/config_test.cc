#include "weights/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "gguf_builder.h"
#include "test_files.h"
#include "weights/architecture.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Reads llama-tiny's configuration after a change of its config.json.
ModelConfig read_changed(std::function<void(Json&)> const& change, std::string const& generation = "") {
    TemporaryFolder const folder;
    auto config = read_json(golden("models/llama-tiny/config.json"));
    change(config);
    write_plain(folder / "config.json", config.dump());
    if (!generation.empty()) write_plain(folder / "generation_config.json", generation);
    return read_config(folder.path());
}

std::string error_with(std::string const& key, Json const& value) {
    return input_error([&] { read_changed([&](Json& config) { config[key] = value; }); });
}

TEST(Config, OfALlamaFolderIsRead) {
    auto const config = read_config(golden("models/llama-tiny"));
    EXPECT_EQ(config.architecture, "llama");
    EXPECT_EQ(config.vocab_size, 300);
    EXPECT_EQ(config.hidden_size, 64);
    EXPECT_EQ(config.intermediate_size, 112);
    EXPECT_EQ(config.num_layers, 2);
    EXPECT_EQ(config.num_heads, 4);
    EXPECT_EQ(config.num_kv_heads, 4);
    EXPECT_EQ(config.head_dim, 16);
    EXPECT_EQ(config.max_position_embeddings, 8192);
    EXPECT_EQ(config.rms_norm_eps, 1e-5F);
    EXPECT_EQ(config.rope_theta, 100'000);
    EXPECT_EQ(config.llama3_rope, std::nullopt);
    EXPECT_TRUE(config.tie_word_embeddings);
    EXPECT_FALSE(config.attention_bias);
    EXPECT_EQ(config.bos_token, 1);
    EXPECT_EQ(config.pad_token, std::nullopt);
}

TEST(Config, OfAQwen2FolderHasBiasesAndItsHeadDimensionFromTheHeads) {
    auto const config = read_config(golden("models/qwen2-tiny"));
    EXPECT_EQ(config.architecture, "qwen2");
    EXPECT_TRUE(config.attention_bias);
    EXPECT_EQ(config.head_dim, 16);
    EXPECT_EQ(config.num_kv_heads, 2);
    EXPECT_EQ(config.rms_norm_eps, 1e-6F);
    EXPECT_THAT(config.end_tokens, ElementsAre(2, 206));
}

TEST(Config, IsTheSameInTheFormsOfTransformers4And5) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama3rope-tiny", folder);
    std::filesystem::copy_file(golden("models/llama3rope-tiny.config-transformers4.json"), copy / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    auto const config = read_config(golden("models/llama3rope-tiny"));
    EXPECT_EQ(read_config(copy), config);
    EXPECT_EQ(config.rope_theta, 500'000);
    EXPECT_EQ(config.llama3_rope, (Llama3Rope{8, 1, 4, 8192}));
    EXPECT_EQ(config.head_dim, 24) << "an explicit head_dim wins over hidden_size / num_attention_heads";
}

TEST(RopeFrequencies, AreThoseOfTheReferenceBitForBit) {
    SafetensorsFile const expected{golden("models/llama3rope-tiny.expected.safetensors")};
    EXPECT_EQ(rope_inverse_frequencies(read_config(golden("models/llama3rope-tiny"))),
              expected.floats("rope.inverse_frequencies"));
}

TEST(EndTokens, ComeFromGenerationConfigWhereItNamesAnyElseFromConfig) {
    auto const nothing = [](Json&) {};
    EXPECT_THAT(read_changed(nothing, R"({"eos_token_id": [7, 2]})").end_tokens, ElementsAre(7, 2));
    EXPECT_THAT(read_changed(nothing, R"({"eos_token_id": 9})").end_tokens, ElementsAre(9));
    EXPECT_THAT(read_changed(nothing, R"({"eos_token_id": null})").end_tokens, ElementsAre(2));
    EXPECT_THAT(read_changed(nothing).end_tokens, ElementsAre(2));
    EXPECT_THAT(read_changed([](Json& config) { config["eos_token_id"] = nullptr; }).end_tokens, IsEmpty());
}

TEST(EndTokens, OutsideOfTheVocabularyAreRefused) {
    for (auto const* id : {"300", "-1", "18446744073709551615", "[2, 300]", "\"2\"", "2.0", "true"}) {
        auto const message =
            input_error([&] { read_changed([](Json&) {}, fmt::format(R"({{"eos_token_id": {}}})", id)); });
        EXPECT_THAT(message, HasSubstr("generation_config.json")) << id;
        EXPECT_THAT(message, HasSubstr("eos_token_id")) << id;
    }
}

TEST(Config, OfAnUnknownArchitectureIsNamedBesideTheSupportedOnes) {
    auto const message = error_with("model_type", "mamba");
    EXPECT_THAT(message, HasSubstr("'mamba'"));
    EXPECT_THAT(message, HasSubstr("config.json"));
    EXPECT_THAT(message, HasSubstr("supported are llama, mistral, qwen2, qwen3"));
}

TEST(Config, WithASettingThatChangesTheArithmeticIsRefused) {
    EXPECT_THAT(error_with("hidden_act", "gelu"), HasSubstr("'hidden_act' is \"gelu\""));
    EXPECT_THAT(error_with("attention_bias", true), HasSubstr("attention_bias"));
    EXPECT_THAT(error_with("mlp_bias", true), HasSubstr("mlp_bias"));
    EXPECT_THAT(error_with("use_sliding_window", true), HasSubstr("use_sliding_window"));
    EXPECT_THAT(error_with("partial_rotary_factor", 0.5), HasSubstr("partial_rotary_factor"));
    EXPECT_THAT(error_with("quantization_config", Json{{"bits", 4}}), HasSubstr("quantization_config"));
    EXPECT_THAT(error_with("rope_parameters", Json{{"rope_type", "yarn"}}), HasSubstr("supported are default, llama3"));
    EXPECT_THAT(error_with("rope_parameters", Json{{"rope_type", "llama3"}}), HasSubstr("'factor' is missing"));
}

TEST(Config, WithASizeThatIsMissingOutOfRangeOrOfAnotherTypeIsRefused) {
    for (auto const* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                            "num_attention_heads", "max_position_embeddings"}) {
        auto const missing = input_error([&] { read_changed([&](Json& config) { config.erase(key); }); });
        EXPECT_THAT(missing, HasSubstr(fmt::format("'{}' is missing", key)));
        for (auto const& value : {Json(0), Json(-4), Json(4.5), Json("4"), Json(true), Json(std::uint64_t{1} << 63U)}) {
            EXPECT_THAT(error_with(key, value), HasSubstr("config.json")) << key << value;
        }
    }
    EXPECT_THAT(error_with("num_hidden_layers", 1'000'000'000), HasSubstr("number of layers"));
    EXPECT_THAT(error_with("num_key_value_heads", 3), HasSubstr("must divide"));
    EXPECT_THAT(error_with("head_dim", 15), HasSubstr("must be even"));
    EXPECT_THAT(error_with("rms_norm_eps", "x"), HasSubstr("rms_norm_eps"));
    EXPECT_THAT(error_with("rms_norm_eps", -1), HasSubstr("epsilon"));
    EXPECT_THAT(error_with("rope_parameters", Json{{"rope_theta", 0}}), HasSubstr("rope base"));
}

TEST(Config, ThatIsMissingOrNoObjectIsRefused) {
    TemporaryFolder const folder;
    EXPECT_THAT(input_error([&] { read_config(folder.path()); }), HasSubstr("config.json"));
    write_plain(folder / "config.json", "[]");
    EXPECT_THAT(input_error([&] { read_config(folder.path()); }), HasSubstr("not a JSON object"));
    write_plain(folder / "config.json", R"({"model_type": "llama", "model_type": "qwen2"})");
    EXPECT_THAT(input_error([&] { read_config(folder.path()); }), HasSubstr("twice"));
}

TEST(GgufConfig, IsWhatTheReferenceReads) {
    auto const expected = read_json(golden("gguf/llama-tiny.expected.json"));
    for (auto const* type : {"F32", "F16", "Q8_0", "Q4_0", "Q4_1"}) {
        GgufFile const file{golden(fmt::format("gguf/llama-tiny.{}.gguf", type))};
        auto const config = read_config(file);
        auto const& values = expected.at("config");
        EXPECT_EQ(config.architecture, values.at("architecture"));
        EXPECT_EQ(config.vocab_size, values.at("vocab_size"));
        EXPECT_EQ(config.hidden_size, values.at("hidden_size"));
        EXPECT_EQ(config.intermediate_size, values.at("intermediate_size"));
        EXPECT_EQ(config.num_layers, values.at("num_hidden_layers"));
        EXPECT_EQ(config.num_heads, values.at("num_attention_heads"));
        EXPECT_EQ(config.num_kv_heads, values.at("num_key_value_heads"));
        EXPECT_EQ(config.max_position_embeddings, values.at("max_position_embeddings"));
        EXPECT_EQ(config.rope_theta, values.at("rope_theta").get<double>());
        EXPECT_EQ(static_cast<double>(config.rms_norm_eps), values.at("rms_norm_eps").get<double>());
        EXPECT_EQ(config.bos_token, values.at("bos_token_id").get<std::int32_t>());
        EXPECT_THAT(config.end_tokens, ElementsAre(values.at("eos_token_id").get<std::int32_t>()));
        EXPECT_EQ(config.tie_word_embeddings, expected.at("files").at(type).at("tie_word_embeddings"));
    }
}

/// Metadata of a model of one head and one layer, with a vocabulary of four.
GgufBuilder small_model() {
    GgufBuilder builder;
    builder.add_text("general.architecture", "llama");
    for (auto const* key : {"embedding_length", "feed_forward_length", "context_length"}) {
        builder.add_value(fmt::format("llama.{}", key), 4, std::uint32_t{8});
    }
    for (auto const* key : {"block_count", "attention.head_count"}) {
        builder.add_value(fmt::format("llama.{}", key), 4, std::uint32_t{1});
    }
    builder.add_value("llama.attention.layer_norm_rms_epsilon", 6, 1e-5F);
    builder.add_tensor("token_embd.weight", {8, 4}, 0, std::string(128, '\0'));
    return builder;
}

ModelConfig read_gguf(GgufBuilder const& builder) {
    TemporaryFolder const folder;
    write_plain(folder / "small.gguf", builder.build());
    return read_config(GgufFile{folder / "small.gguf"});
}

TEST(GgufConfig, EndTokensAreTheNamedIdsAndTheControlTokensThatEndATurn) {
    auto builder = small_model();
    builder.add_texts("tokenizer.ggml.tokens", {"<|eot_id|>", "<|im_end|>", "a", "b"});
    builder.add_array("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>{1, 3, 1, 1});
    builder.add_value("tokenizer.ggml.eos_token_id", 4, std::uint32_t{3});
    builder.add_value("tokenizer.ggml.eot_token_id", 4, std::uint32_t{1});
    EXPECT_THAT(read_gguf(builder).end_tokens, ElementsAre(3, 1)) << "0 is no control token";
}

TEST(GgufConfig, RopeFactorsDivideTheFrequencies) {
    auto builder = small_model();
    std::vector<float> const factors{1, 1, 2, 4};
    builder.add_tensor("rope_freqs.weight", {4}, 0,
                       std::string{reinterpret_cast<char const*>(factors.data()), 4 * factors.size()});
    auto const with = rope_inverse_frequencies(read_gguf(builder));
    auto const without = rope_inverse_frequencies(read_gguf(small_model()));
    for (std::size_t i = 0; i < factors.size(); ++i) EXPECT_EQ(with[i], without[i] / factors[i]);
}

TEST(GgufConfig, ThatIsIncompleteOrChangesTheArithmeticIsRefused) {
    auto const error_of = [](GgufBuilder const& builder) { return input_error([&] { read_gguf(builder); }); };
    EXPECT_EQ(error_of(small_model()), "");
    EXPECT_THAT(error_of(GgufBuilder{}), HasSubstr("general.architecture"));
    EXPECT_THAT(error_of(GgufBuilder{}.add_text("general.architecture", "rwkv")), HasSubstr("supported are llama"));
    EXPECT_THAT(error_of(GgufBuilder{}.add_text("general.architecture", "llama")), HasSubstr("token_embd.weight"));
    EXPECT_THAT(error_of(small_model().add_value("llama.expert_count", 4, std::uint32_t{8})), HasSubstr("only 0"));
    EXPECT_THAT(error_of(small_model().add_text("llama.rope.scaling.type", "linear")), HasSubstr("only none"));
    EXPECT_THAT(error_of(small_model().add_value("llama.rope.dimension_count", 4, std::uint32_t{4})),
                HasSubstr("only 8"));
    EXPECT_THAT(error_of(small_model().add_value("tokenizer.ggml.eos_token_id", 4, std::uint32_t{4})),
                HasSubstr("no token of a vocabulary of 4"));
    EXPECT_THAT(error_of(small_model().add_tensor("rope_freqs.weight", {4}, 0, std::string(16, '\0'))),
                HasSubstr("not positive"));
}

TEST(TensorNames, OfGgufAreTranslatedFromHuggingFace) {
    EXPECT_EQ(gguf_tensor_name("model.embed_tokens.weight"), "token_embd.weight");
    EXPECT_EQ(gguf_tensor_name("model.layers.12.self_attn.q_proj.bias"), "blk.12.attn_q.bias");
    EXPECT_EQ(gguf_tensor_name("model.layers.0.post_attention_layernorm.weight"), "blk.0.ffn_norm.weight");
    EXPECT_EQ(gguf_tensor_name("lm_head.weight"), "output.weight");
    for (auto const* name : {"", "weight", "model.layers.", "model.layers.0", "model.layers.0.x.weight", "x.weight"}) {
        EXPECT_EQ(gguf_tensor_name(name), "") << name;
    }
}

}  // namespace
}  // namespace samner::weights
