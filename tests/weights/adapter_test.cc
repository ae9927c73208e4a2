#include "weights/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/json.h"
#include "test_files.h"
#include "weights/architecture.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> golden_adapters() {
    std::vector<std::string> names;
    for (auto const* model : {"llama-tiny", "qwen2-tiny"}) {
        for (auto const* adapter : {"all-linear", "qv-only", "rslora-patterns"}) {
            names.push_back(fmt::format("adapters/{}/{}", model, adapter));
        }
    }
    return names;
}

/// What read_adapter says of llama-tiny's rslora-patterns after a change of its adapter_config.json.
std::string error_after(std::function<void(Json&)> const& change) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/rslora-patterns", folder);
    auto config = read_json(copy / "adapter_config.json");
    change(config);
    write_plain(copy / "adapter_config.json", config.dump());
    return input_error([&] { read_adapter(copy); });
}

std::string error_with(std::string const& key, Json const& value) {
    return error_after([&](Json& config) { config[key] = value; });
}

/// As error_after, for the tensors.
std::string tensor_error_after(std::function<void(std::vector<TensorView>&)> const& change) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/qv-only", folder);
    {
        SafetensorsFile const file{golden("adapters/llama-tiny/qv-only/adapter_model.safetensors")};
        auto tensors = file.tensors();
        change(tensors);
        write_safetensors(copy / "adapter_model.safetensors", tensors, file.metadata());
    }
    return input_error([&] { read_adapter(copy); });
}

TEST(Adapter, ScalingsAreThoseOfTheReference) {
    for (auto const& name : golden_adapters()) {
        auto const adapter = read_adapter(golden(name));
        auto const scaling = read_json(golden(name + ".expected.json")).at("scaling");
        EXPECT_EQ(adapter.modules.size(), scaling.size()) << name;
        for (auto const& module : adapter.modules) {
            EXPECT_EQ(module.scaling, scaling.at(module.name).get<double>()) << name << " " << module.name;
        }
    }
}

TEST(Adapter, HasTheFactorsOfItsFileAndItsSettings) {
    auto const folder = golden("adapters/llama-tiny/rslora-patterns");
    auto const adapter = read_adapter(folder);
    SafetensorsFile const file{folder / "adapter_model.safetensors"};
    for (auto const& module : adapter.modules) {
        EXPECT_EQ(module.a, file.floats("base_model.model." + module.name + ".lora_A.weight"));
        EXPECT_EQ(module.b, file.floats("base_model.model." + module.name + ".lora_B.weight"));
        EXPECT_EQ(module.a.size(), static_cast<std::size_t>(module.rank * module.in));
    }
    EXPECT_TRUE(adapter.settings.use_rslora);
    EXPECT_EQ(adapter.settings.base_model_name_or_path, "llama-tiny");
    EXPECT_THAT(adapter.settings.target_modules,
                ElementsAre("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"));
}

TEST(Adapter, WrittenIsReadBackTheSameAndHasTheSameBytesEachTime) {
    TemporaryFolder const folder;
    for (auto const& name : golden_adapters()) {
        auto const adapter = read_adapter(golden(name));
        write_adapter(folder / "one", adapter, {{"method", "ties"}}, true);
        write_adapter(folder / "two", adapter, {{"method", "ties"}}, true);
        EXPECT_EQ(read_adapter(folder / "one"), adapter) << name;
        EXPECT_EQ(adapter_hash(folder / "one"), adapter_hash(folder / "two")) << name;
        SafetensorsFile const file{folder / "one" / "adapter_model.safetensors"};
        EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}, {"method", "ties"}}));
    }
}

TEST(Adapter, WrittenWithoutProvenanceHasTheTensorFileThatPeftWrites) {
    TemporaryFolder const folder;
    for (auto const& name : golden_adapters()) {
        write_adapter(folder / "copy", read_adapter(golden(name)), {}, true);
        EXPECT_EQ(read_text(folder / "copy" / "adapter_model.safetensors"),
                  read_text(golden(name) / "adapter_model.safetensors"))
            << name;
    }
}

TEST(Adapter, DoesNotReplaceAFolderUnlessAsked) {
    TemporaryFolder const folder;
    auto const adapter = read_adapter(golden("adapters/llama-tiny/qv-only"));
    write_adapter(folder / "a", adapter);
    EXPECT_THROW(write_adapter(folder / "a", adapter), StorageError);
    EXPECT_NO_THROW(write_adapter(folder / "a", adapter, {}, true));
}

TEST(Adapter, ThatContradictsItsSettingsIsNotWritten) {
    TemporaryFolder const folder;
    auto const error_of = [&](std::function<void(Adapter&)> const& change) {
        auto adapter = read_adapter(golden("adapters/llama-tiny/qv-only"));
        change(adapter);
        return input_error([&] { write_adapter(folder / "a", adapter); });
    };
    EXPECT_THAT(error_of([](Adapter& a) { a.modules[0].scaling = 1; }), HasSubstr("scaling 1, its settings give"));
    EXPECT_THAT(error_of([](Adapter& a) { a.settings.r = 4; }), HasSubstr("rank 8"));
    EXPECT_THAT(error_of([](Adapter& a) { a.modules[0].a.pop_back(); }), HasSubstr("values"));
    EXPECT_THAT(error_of([](Adapter& a) { std::swap(a.modules[0], a.modules[1]); }), HasSubstr("not sorted"));
    EXPECT_THAT(error_of([](Adapter& a) { a.modules[1] = a.modules[0]; }), HasSubstr("twice"));
    EXPECT_THAT(error_of([](Adapter& a) { a.settings.target_modules = {"q_proj"}; }), HasSubstr("target_modules"));
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(LoraPatterns, MatchTheWholeNameOrADottedSuffixAndTheFirstInTheFileWins) {
    LoraSettings settings;
    settings.r = 4;
    settings.rank_pattern = {{"v_proj", 1}, {"layers\\.[01]\\.mlp\\..*", 2}, {"layers.0.mlp.up_proj", 3}, {"proj", 9}};
    auto const scales =
        lora_scales(settings, {"model.layers.0.self_attn.v_proj", "model.layers.0.mlp.up_proj",
                               "model.layers.2.mlp.up_proj", "v_proj", "model.layers.0.self_attn.qv_proj"});
    std::vector<std::int32_t> ranks;
    for (auto const& scale : scales) ranks.push_back(scale.rank);
    EXPECT_THAT(ranks, ElementsAre(1, 2, 4, 1, 4));
}

TEST(LoraPatterns, KeepTheOrderOfTheFile) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/rslora-patterns", folder);
    auto text = read_text(copy / "adapter_config.json");
    auto const place = text.find("\"mlp.up_proj\": 3");
    ASSERT_NE(place, std::string::npos);
    text.insert(place, "\"z_first\": 1, \"a_second\": 2.5, ");
    write_plain(copy / "adapter_config.json", text);
    auto const adapter = read_adapter(copy);
    std::vector<std::pair<std::string, double>> const expected{
        {"layers.0.self_attn.v_proj", 12}, {"z_first", 1}, {"a_second", 2.5}, {"mlp.up_proj", 3}};
    EXPECT_EQ(adapter.settings.alpha_pattern, expected);
    write_adapter(folder / "written", adapter);
    EXPECT_EQ(read_adapter(folder / "written").settings.alpha_pattern, expected);
}

TEST(LoraTargets, AreSuffixesOfNamesOrOnePatternForTheWholeName) {
    LoraSettings settings;
    std::vector<std::string> const names{"model.layers.0.self_attn.q_proj", "model.layers.1.mlp.q_proj", "q_proj",
                                         "model.layers.0.xq_proj"};
    settings.target_modules = {"q_proj"};
    EXPECT_THAT(lora_targets(settings, names), ElementsAre(true, true, true, false));
    settings.target_pattern = R"(.*\.self_attn\.(q|v)_proj)";
    EXPECT_THAT(lora_targets(settings, names), ElementsAre(true, false, false, false));
    settings.target_pattern = "(";
    EXPECT_THROW(lora_targets(settings, names), InputError);
    settings.target_pattern = "(((a*)*)*)*[bc]";
    EXPECT_THROW(lora_targets(settings, {std::string(60, 'a')}), InputError) << "matching has a bound";
}

TEST(Adapter, SelectedByAPatternIsReadAndWritten) {
    TemporaryFolder const folder;
    auto adapter = read_adapter(golden("adapters/llama-tiny/qv-only"));
    adapter.settings.target_modules.clear();
    adapter.settings.target_pattern = R"(model\.layers\.\d+\.self_attn\.(q|v)_proj)";
    write_adapter(folder / "a", adapter);
    EXPECT_EQ(read_adapter(folder / "a"), adapter);
}

TEST(Adapter, NarrowedToLayersNamesItsModulesInstead) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/qv-only", folder);
    auto config = read_json(copy / "adapter_config.json");
    config["layers_to_transform"] = {0, 1};
    write_plain(copy / "adapter_config.json", config.dump());
    auto const adapter = read_adapter(copy);
    EXPECT_EQ(adapter.settings.target_modules.size(), adapter.modules.size());
    EXPECT_EQ(adapter.settings.target_modules.front(), adapter.modules.front().name);
}

TEST(AdapterConfig, WithAnUnsupportedFeatureIsRefusedByName) {
    EXPECT_EQ(error_after([](Json&) {}), "");
    for (auto const& [key, value] : std::vector<std::pair<std::string, Json>>{{"use_dora", true},
                                                                              {"bias", "all"},
                                                                              {"modules_to_save", {"lm_head"}},
                                                                              {"loftq_config", {{"loftq_bits", 4}}},
                                                                              {"peft_type", "IA3"},
                                                                              {"init_lora_weights", "pissa"},
                                                                              {"lora_bias", true},
                                                                              {"fan_in_fan_out", true},
                                                                              {"layer_replication", {{0, 1}}},
                                                                              {"trainable_token_indices", {1}},
                                                                              {"target_parameters", {"x"}},
                                                                              {"a_setting_of_the_future", 1}}) {
        auto const message = error_with(key, value);
        EXPECT_THAT(message, HasSubstr(fmt::format("'{}'", key)));
        EXPECT_THAT(message, HasSubstr("not supported"));
        EXPECT_THAT(message, HasSubstr("adapter_config.json"));
    }
    EXPECT_EQ(error_with("init_lora_weights", "gaussian"), "");
    EXPECT_EQ(error_with("a_setting_of_the_future", nullptr), "");
}

TEST(AdapterConfig, WithAValueThatIsMissingOrWrongIsRefused) {
    for (auto const* key : {"r", "lora_alpha", "peft_type", "target_modules"}) {
        EXPECT_THAT(error_after([&](Json& config) { config.erase(key); }), HasSubstr(key));
    }
    for (auto const& [key, value] : std::vector<std::pair<std::string, Json>>{{"r", 0},
                                                                              {"r", 4.5},
                                                                              {"r", 1 << 20},
                                                                              {"lora_alpha", "x"},
                                                                              {"use_rslora", 1},
                                                                              {"lora_dropout", 1},
                                                                              {"target_modules", Json::array({1})},
                                                                              {"target_modules", "("},
                                                                              {"rank_pattern", {{"q_proj", 0}}},
                                                                              {"rank_pattern", {{"(", 4}}},
                                                                              {"alpha_pattern", Json::array()},
                                                                              {"alpha_pattern", {{"q_proj", "x"}}}}) {
        EXPECT_NE(error_with(key, value), "") << key << " " << value;
    }
}

TEST(AdapterConfig, OfAnotherRankOrOtherTargetsThanTheTensorsIsRefused) {
    EXPECT_THAT(error_with("r", 5), HasSubstr("its settings say rank 5"));
    EXPECT_THAT(error_with("target_modules", {"q_proj"}), HasSubstr("not among target_modules"));
}

TEST(AdapterTensors, MayHaveTheNameOfOneAdapterInTheirs) {
    TemporaryFolder const folder;
    auto const name = std::string{"adapters/llama-tiny/qv-only"};
    SafetensorsFile const file{golden(name) / "adapter_model.safetensors"};
    auto const read_as = [&](std::function<std::string(std::size_t)> const& adapter_of) {
        auto const copy = copy_of(name, folder);
        auto tensors = file.tensors();
        for (std::size_t i = 0; i < tensors.size(); ++i)
            tensors[i].name.insert(tensors[i].name.size() - std::string_view{"weight"}.size(), adapter_of(i));
        write_safetensors(copy / "adapter_model.safetensors", tensors);
        return read_adapter(copy);
    };
    auto const plain = read_adapter(golden(name));
    for (auto const* adapter : {"default.", "science.", "weight."})
        EXPECT_EQ(read_as([&](std::size_t) { return adapter; }), plain) << adapter;
    auto const two = input_error([&] { read_as([](std::size_t i) { return i == 3 ? "other." : "default."; }); });
    EXPECT_THAT(two, HasSubstr("tensors of two adapters"));
    EXPECT_THAT(two, HasSubstr("'other'"));
    EXPECT_THAT(input_error([&] { read_as([](std::size_t i) { return i == 3 ? "other." : ""; }); }),
                HasSubstr("tensors of two adapters"));
    EXPECT_THAT(input_error([&] { read_as([](std::size_t) { return "a.b."; }); }), HasSubstr("no LoRA factor"));
}

TEST(AdapterTensors, ThatAreNoPairsOfLinearFactorsAreRefused) {
    std::vector<float> const values(64);
    auto const bytes = std::as_bytes(std::span{values});
    EXPECT_EQ(tensor_error_after([](auto&) {}), "");
    EXPECT_THAT(tensor_error_after([](auto& tensors) { tensors.pop_back(); }), HasSubstr("lacks lora_B"));
    EXPECT_THAT(tensor_error_after([](auto& tensors) { tensors.erase(tensors.begin()); }), HasSubstr("lacks lora_A"));
    EXPECT_THAT(tensor_error_after([](auto& tensors) { tensors.clear(); }), HasSubstr("no modules"));
    EXPECT_THAT(tensor_error_after([](auto& tensors) { tensors[0].shape = {tensors[0].elements()}; }),
                HasSubstr("has lora_A ["));
    for (auto const* name : {"base_model.model.model.embed_tokens.lora_embedding_A",
                             "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
                             "base_model.model.lm_head.weight", "model.layers.0.self_attn.q_proj.lora_A.weight"}) {
        EXPECT_THAT(tensor_error_after([&](auto& tensors) {
                        tensors.push_back({name, Dtype::f32, {64}, bytes});
                    }),
                    HasSubstr("no LoRA factor of a linear layer"))
            << name;
    }
}

TEST(AdapterTensors, ThatAreNotFiniteAreRefusedWithNameAndIndexUnlessKept) {
    TemporaryFolder const folder;
    auto adapter = read_adapter(golden("adapters/llama-tiny/qv-only"));
    adapter.modules[1].b[3] = std::numeric_limits<float>::infinity();
    write_adapter(folder / "a", adapter);
    auto const message = input_error([&] { read_adapter(folder / "a"); });
    EXPECT_THAT(message, HasSubstr(adapter.modules[1].name + ".lora_B.weight' is inf at index 3"));
    EXPECT_EQ(read_adapter(folder / "a", NonFinite::keep), adapter);
}

TEST(AdapterTensors, InHalfPrecisionAreWidened) {
    TemporaryFolder const folder;
    auto const copy = copy_of("adapters/llama-tiny/qv-only", folder);
    SafetensorsFile const file{golden("adapters/llama-tiny/qv-only/adapter_model.safetensors")};
    auto tensors = file.tensors();
    std::vector<std::vector<std::byte>> halves;
    for (auto& tensor : tensors) {
        halves.emplace_back(2 * static_cast<std::size_t>(tensor.elements()));
        from_float(Dtype::bf16, file.floats(tensor.name), halves.back());
        tensor.dtype = Dtype::bf16;
        tensor.bytes = halves.back();
    }
    write_safetensors(copy / "adapter_model.safetensors", tensors);
    auto const narrow = read_adapter(copy);
    auto const wide = read_adapter(golden("adapters/llama-tiny/qv-only"));
    for (std::size_t i = 0; i < wide.modules.size(); ++i) {
        for (std::size_t j = 0; j < wide.modules[i].a.size(); ++j) {
            EXPECT_EQ(narrow.modules[i].a[j], bfloat_to_float(float_to_bfloat(wide.modules[i].a[j])));
        }
    }
}

TEST(AdapterTensors, AreWrittenInHalfPrecisionRoundedOnceAndReadBack) {
    TemporaryFolder const folder;
    auto const adapter = read_adapter(golden(golden_adapters().front()));
    for (auto const type : {Dtype::f16, Dtype::bf16}) {
        write_adapter(folder / "half", adapter, {}, true, type);
        SafetensorsFile const file{folder / "half" / "adapter_model.safetensors"};
        for (auto const& tensor : file.tensors()) EXPECT_EQ(tensor.dtype, type);
        auto const back = read_adapter(folder / "half");
        ASSERT_EQ(back.modules.size(), adapter.modules.size());
        for (std::size_t m = 0; m < back.modules.size(); ++m) {
            for (std::size_t i = 0; i < back.modules[m].a.size(); ++i) {
                auto const value = adapter.modules[m].a[i];
                ASSERT_EQ(back.modules[m].a[i], type == Dtype::f16 ? half_to_float(float_to_half(value))
                                                                   : bfloat_to_float(float_to_bfloat(value)));
            }
        }
        write_adapter(folder / "again", back, {}, true, type);
        EXPECT_EQ(adapter_hash(folder / "half"), adapter_hash(folder / "again"));
    }
}

TEST(AdapterTensors, TooLargeForHalfPrecisionAreRefusedWithNameAndIndexAndNothingIsWritten) {
    TemporaryFolder const folder;
    auto adapter = read_adapter(golden(golden_adapters().front()));
    adapter.modules.front().b[3] = 1e5F;
    auto const message = input_error([&] { write_adapter(folder / "half", adapter, {}, false, Dtype::f16); });
    EXPECT_THAT(message, testing::HasSubstr(adapter.modules.front().name + ".lora_B.weight"));
    EXPECT_THAT(message, testing::HasSubstr("index 3"));
    EXPECT_FALSE(std::filesystem::exists(folder / "half"));
    EXPECT_NO_THROW(write_adapter(folder / "bfloat", adapter, {}, false, Dtype::bf16));
}

TEST(AdapterFolder, ThatLacksAFileIsRefused) {
    TemporaryFolder const folder;
    EXPECT_THAT(input_error([&] { read_adapter(folder / "absent"); }), HasSubstr("adapter_config.json"));
    auto const copy = copy_of("adapters/llama-tiny/qv-only", folder);
    fs::remove(copy / "adapter_model.safetensors");
    EXPECT_THAT(input_error([&] { read_adapter(copy); }), HasSubstr("adapter_model.safetensors"));
    EXPECT_THAT(input_error([&] { adapter_hash(copy); }), HasSubstr("adapter_model.safetensors"));
    write_plain(copy / "adapter_model.bin", "x");
    EXPECT_THAT(input_error([&] { read_adapter(copy); }), HasSubstr("safe_serialization"));
}

TEST(CheckFits, AcceptsAnAdapterOfTheModelAndNamesTheFirstMisfitOfAnotherOne) {
    auto const llama = read_config(golden("models/llama-tiny"));
    auto const qwen = read_config(golden("models/qwen2-tiny"));
    auto adapter = read_adapter(golden("adapters/llama-tiny/all-linear"));
    EXPECT_NO_THROW(check_fits(adapter, llama));
    EXPECT_NO_THROW(check_fits(read_adapter(golden("adapters/qwen2-tiny/all-linear")), qwen));
    EXPECT_THAT(input_error([&] { check_fits(adapter, qwen); }),
                HasSubstr("'model.layers.0.mlp.down_proj' maps 112 to 64 values, the model's 96 to 64"));
    EXPECT_THAT(input_error([&] { check_fits(read_adapter(golden("adapters/qwen2-tiny/qv-only")), llama); }),
                HasSubstr("another base"));
    adapter.modules.back().name = "model.layers.9.self_attn.v_proj";
    EXPECT_THAT(input_error([&] { check_fits(adapter, llama); }), HasSubstr("no linear layer"));
}

TEST(CheckFits, NamesTheModulesOfTheVocabularyAndWhyTheyDoNotFit) {
    auto model = read_config(golden("models/llama-tiny"));
    auto adapter = read_adapter(golden("adapters/llama-tiny/all-linear"));
    adapter.modules.back().name = "lm_head";
    EXPECT_THAT(input_error([&] { check_fits(adapter, model); }), HasSubstr("'lm_head', which this model ties"));
    model.tie_word_embeddings = false;
    EXPECT_THAT(input_error([&] { check_fits(adapter, model); }),
                HasSubstr("'lm_head', which is not supported beside"));
    adapter.modules.back().name = "model.embed_tokens";
    EXPECT_THAT(input_error([&] { check_fits(adapter, model); }), HasSubstr("embedding 'model.embed_tokens'"));
}

TEST(LinearModules, AreTheSevenOfEachLayerWithTheShapesOfTheWeights) {
    auto const config = read_config(golden("models/llama3rope-tiny"));
    auto const modules = linear_modules(config);
    EXPECT_EQ(modules.size(), 14U);
    SafetensorsFile const file{golden("models/llama3rope-tiny/model.safetensors")};
    for (auto const& module : modules) {
        EXPECT_EQ(file.at(module.name + ".weight").shape, (std::vector<std::int64_t>{module.out, module.in}));
    }
}

}  // namespace
}  // namespace samner::weights
