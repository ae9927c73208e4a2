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

Json const llama3_settings{{"rope_type", "llama3"}, {"factor", 4}, {"low_freq_factor", 1}, {"high_freq_factor", 3}};

/// llama3_settings with other members.
Json llama3_with(Json const& more) {
    auto settings = llama3_settings;
    settings.update(more);
    return settings;
}

TEST(RopeSettings, InRopeScalingReplaceThoseInRopeParametersAsAWhole) {
    auto const read = [](Json const& scaling, Json const& more = Json::object()) {
        return read_changed([&](Json& config) {
            config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 300'000}};
            config["rope_scaling"] = scaling;
            config.update(more);
        });
    };
    auto const scaled = read(llama3_with({{"original_max_position_embeddings", 32}, {"rope_theta", 200'000}}));
    EXPECT_EQ(scaled.llama3_rope, (Llama3Rope{4, 1, 3, 32}));
    EXPECT_EQ(scaled.rope_theta, 200'000);
    EXPECT_EQ(read(llama3_settings).rope_theta, 10'000) << "the base goes with the settings that are replaced";
    EXPECT_EQ(read(llama3_settings, {{"rope_theta", 70'000}}).rope_theta, 70'000);
    EXPECT_EQ(read({{"rope_type", "default"}}).llama3_rope, std::nullopt);
    for (auto const& nothing : {Json::object(), Json{}}) EXPECT_EQ(read(nothing).rope_theta, 300'000) << nothing;
}

TEST(RopeSettings, ThatAreNotSupportedAreRefusedWhereverTheyStand) {
    for (auto const* type : {"yarn", "linear", "dynamic", "longrope", "su", "mrope", "proportional", "axial"}) {
        for (auto const* name : {"rope_type", "type"}) {
            Json const settings{{name, type}, {"factor", 4.0}};
            auto const beside = error_with("rope_scaling", settings);
            EXPECT_THAT(beside, HasSubstr(fmt::format("rope type '{}' is not supported", type)));
            EXPECT_THAT(beside, HasSubstr("config.json, rope_scaling"));
            EXPECT_THAT(beside, HasSubstr("supported are default, llama3"));
            EXPECT_THAT(error_with("rope_parameters", settings), HasSubstr("config.json, rope_parameters"));
        }
    }
    EXPECT_EQ(error_with("rope_scaling", {{"rope_type", "default"}, {"type", "yarn"}}), "") << "rope_type wins";
    EXPECT_THAT(error_with("rope_scaling", {{"partial_rotary_factor", 0.5}}), HasSubstr("partial_rotary_factor"));
    EXPECT_THAT(error_with("rope_scaling", Json::array()), HasSubstr("not a JSON object"));
    for (auto const* key : {"rope_scaling", "rope_parameters"}) {
        auto const message = error_with(key, {{"full_attention", {{"rope_type", "yarn"}}}});
        EXPECT_THAT(message, HasSubstr("'full_attention'"));
        EXPECT_THAT(message, HasSubstr(fmt::format("config.json, {}", key)));
    }
}

TEST(RopeSettings, OfLlama3TakeTheOriginalContextFromWhereTransformersDoes) {
    auto const context = [](Json const& settings, Json const& more = Json::object()) {
        return read_changed([&](Json& config) {
                   config["rope_parameters"] = settings;
                   config.update(more);
               })
            .llama3_rope->original_max_position_embeddings;
    };
    Json const with{{"original_max_position_embeddings", 32}};
    EXPECT_EQ(context(llama3_with(with)), 32);
    EXPECT_EQ(context(llama3_settings), 8192) << "max_position_embeddings";
    EXPECT_EQ(context(llama3_with(with), {{"original_max_position_embeddings", 64}}), 64) << "beside the settings";
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
        EXPECT_THAT(config.end_tokens, ElementsAre(values.at("eos_token_id").get<std::int32_t>(), 0))
            << "0 is <|endoftext|>";
        EXPECT_EQ(config.tie_word_embeddings, expected.at("files").at(type).at("tie_word_embeddings"));
    }
}

/// Metadata of a model of one head and one layer.
GgufBuilder small_model(std::size_t vocabulary = 4) {
    GgufBuilder builder;
    builder.add_text("general.architecture", "llama");
    for (auto const* key : {"embedding_length", "feed_forward_length", "context_length"}) {
        builder.add_value(fmt::format("llama.{}", key), 4, std::uint32_t{8});
    }
    for (auto const* key : {"block_count", "attention.head_count"}) {
        builder.add_value(fmt::format("llama.{}", key), 4, std::uint32_t{1});
    }
    builder.add_value("llama.attention.layer_norm_rms_epsilon", 6, 1e-5F);
    builder.add_tensor("token_embd.weight", {8, vocabulary}, 0, std::string(32 * vocabulary, '\0'));
    return builder;
}

ModelConfig read_gguf(GgufBuilder const& builder) {
    TemporaryFolder const folder;
    write_plain(folder / "small.gguf", builder.build());
    return read_config(GgufFile{folder / "small.gguf"});
}

TEST(GgufConfig, EndTokensAreAllThatEndATextInLlamaCpp) {
    auto const ends = [](std::vector<std::string> texts, std::int32_t type = 3) {
        GgufBuilder builder = small_model(texts.size());
        builder.add_texts("tokenizer.ggml.tokens", texts);
        builder.add_array("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>(texts.size(), type));
        return read_gguf(builder).end_tokens;
    };
    for (auto const* text : {"<|eot_id|>",
                             "<|im_end|>",
                             "<|end|>",
                             "<|return|>",
                             "<|call|>",
                             "<|flush|>",
                             "<|calls|>",
                             "<end_of_turn>",
                             "<|endoftext|>",
                             "</s>",
                             "<|eom_id|>",
                             "<EOT>",
                             "_<EOT>",
                             "[EOT]",
                             "[EOS]",
                             "<|end_of_text|>",
                             "<end_of_utterance>",
                             "<eos>",
                             "<turn|>",
                             "<|tool_response>",
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
                             "<|file_sep|>"}) {
        EXPECT_THAT(ends({"a", text, "b", "c"}), ElementsAre(1)) << text;
        EXPECT_THAT(ends({"a", text, "b", "c"}, 4), ElementsAre(1)) << text << ", user-defined";
        EXPECT_THAT(ends({"a", text, "b", "c"}, 1), IsEmpty()) << text << ", text like any other";
    }
    EXPECT_THAT(ends({"<|im_start|>", "<s>", "<|start_header_id|>", "<unk>"}), IsEmpty());
    EXPECT_THAT(ends({"<|end|>", "<|return|>", "<|call|>", "a"}), ElementsAre(1, 2)) << "there it ends a part only";
    EXPECT_THAT(ends({"<|end|>", "<|flush|>", "<|calls|>", "a"}), ElementsAre(1, 2));
    EXPECT_THAT(ends({"<|end|>", "<|return|>", "a", "b"}), ElementsAre(0, 1));
    EXPECT_THAT(ends({"</s>", "<|tool_response>", "a", "b"}), ElementsAre(1));
}

TEST(GgufConfig, EndTokensAreTheNamedIdsAndTheControlTokensThatEndATurn) {
    auto builder = small_model();
    builder.add_texts("tokenizer.ggml.tokens", {"<|eot_id|>", "<|im_end|>", "a", "b"});
    builder.add_array("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>{1, 3, 1, 1});
    builder.add_value("tokenizer.ggml.eos_token_id", 4, std::uint32_t{3});
    builder.add_value("tokenizer.ggml.eot_token_id", 4, std::uint32_t{1});
    EXPECT_THAT(read_gguf(builder).end_tokens, ElementsAre(3, 1)) << "0 is no control token";
    builder.add_value("tokenizer.ggml.fim_rep_token_id", 4, std::uint32_t{2});
    EXPECT_THAT(read_gguf(builder).end_tokens, ElementsAre(3, 1, 2)) << "the answer's own end stays first";
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
    for (auto const* key : {"rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"}) {
        auto const full = fmt::format("llama.{}", key);
        EXPECT_THAT(error_of(small_model().add_value(full, 6, 4.0F)), HasSubstr(key)) << "a factor without a type";
        EXPECT_EQ(error_of(small_model().add_value(full, 6, 1.0F)), "");
        EXPECT_EQ(error_of(small_model().add_value(full, 6, 4.0F).add_text("llama.rope.scaling.type", "none")), "");
    }
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
