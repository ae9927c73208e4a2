#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/json.h"
#include "test_files.h"
#include "weights/architecture.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string error_of(fs::path const& model) {
    return input_error([&] { Checkpoint::open(model); });
}

/// Rewrites a safetensors file after a change of its list of tensors.
void rewrite(fs::path const& path, std::function<void(std::vector<TensorView>&)> const& change) {
    auto const changed = path.parent_path() / "changed";
    {
        SafetensorsFile const file{path};
        auto tensors = file.tensors();
        change(tensors);
        write_safetensors(changed, tensors, file.metadata());
    }
    fs::rename(changed, path);
}

void expect_tensors_of(fs::path const& model, fs::path const& expected_file) {
    auto const checkpoint = Checkpoint::open(model);
    SafetensorsFile const expected{expected_file};
    std::vector<std::string> names;
    for (auto const& tensor : expected.tensors()) names.push_back(tensor.name);
    EXPECT_THAT(checkpoint.names(), testing::UnorderedElementsAreArray(names));
    for (auto const& tensor : expected.tensors()) {
        ASSERT_EQ(checkpoint.shape(tensor.name), tensor.shape) << tensor.name;
        auto const values = checkpoint.read(tensor.name);
        EXPECT_EQ(std::memcmp(values.data(), tensor.bytes.data(), tensor.bytes.size()), 0) << tensor.name;
    }
}

TEST(GgufCheckpoint, GivesTheReferenceTensorsBitForBit) {
    for (auto const* type : {"F32", "F16", "Q8_0", "Q4_0", "Q4_1"}) {
        SCOPED_TRACE(type);
        expect_tensors_of(golden(fmt::format("gguf/llama-tiny.{}.gguf", type)),
                          golden(fmt::format("gguf/llama-tiny.{}.expected.safetensors", type)));
    }
}

TEST(FolderCheckpoint, GivesTheTensorsOfItsFile) {
    expect_tensors_of(golden("models/llama-tiny"), golden("models/llama-tiny/model.safetensors"));
}

TEST(FolderCheckpoint, WidensBfloat16Exactly) {
    auto const checkpoint = Checkpoint::open(golden("models/llama-tiny-bf16"));
    SafetensorsFile const file{golden("models/llama-tiny-bf16/model.safetensors")};
    for (auto const& name : checkpoint.names()) {
        ASSERT_EQ(file.at(name).dtype, Dtype::bf16);
        auto const values = checkpoint.read(name);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::uint32_t bits = 0;
            std::memcpy(reinterpret_cast<char*>(&bits) + 2, file.at(name).bytes.data() + 2 * i, 2);
            ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), bits) << name << " " << i;
        }
    }
}

TEST(FolderCheckpoint, InShardsHasTheTensorsOfAllOfThem) {
    auto const checkpoint = Checkpoint::open(golden("models/qwen2-tiny"));
    for (auto const* shard : {"1", "2", "3"}) {
        SafetensorsFile const file{golden(fmt::format("models/qwen2-tiny/model-0000{}-of-00003.safetensors", shard))};
        for (auto const& tensor : file.tensors()) {
            EXPECT_EQ(checkpoint.read(tensor.name), file.floats(tensor.name)) << tensor.name;
        }
    }
    EXPECT_TRUE(checkpoint.has("model.layers.2.self_attn.v_proj.bias"));
    EXPECT_FALSE(checkpoint.has("lm_head.weight"));
    EXPECT_EQ(checkpoint.tokenizer_path(), golden("models/qwen2-tiny/tokenizer.json"));
    EXPECT_EQ(checkpoint.names().size(), expected_tensors(checkpoint.config()).size());
}

TEST(Checkpoint, RefusesUnknownNamesAndBuffersOfAnotherSize) {
    for (auto const* model : {"models/llama-tiny", "gguf/llama-tiny.Q4_0.gguf"}) {
        auto const checkpoint = Checkpoint::open(golden(model));
        std::string const name = "model.layers.0.self_attn.q_proj.weight";
        std::vector<float> small(checkpoint.read(name).size() - 1);
        EXPECT_THROW(checkpoint.read(name, small), InputError);
        EXPECT_THROW(checkpoint.read("absent"), InputError);
        EXPECT_THROW(checkpoint.shape("absent"), InputError);
    }
}

TEST(RealModel, HasTheSumsThatTheReferenceFound) {
    auto const checkpoint = Checkpoint::open(fs::path{SAMNER_DEPS} / "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    auto const expected = read_json(golden("gguf/smollm2/tensors.json"));
    auto const model = read_json(golden("gguf/smollm2/model.json")).at("config");
    EXPECT_EQ(checkpoint.config().head_dim, model.at("head_dim"));
    EXPECT_EQ(checkpoint.config().num_kv_heads, model.at("num_key_value_heads"));
    EXPECT_EQ(checkpoint.config().tie_word_embeddings, model.at("tie_word_embeddings"));
    EXPECT_EQ(checkpoint.names().size(), expected.at("tensors").size());
    for (auto const& tensor : expected.at("tensors")) {
        auto const name = tensor.at("name").get<std::string>();
        ASSERT_EQ(checkpoint.shape(name), tensor.at("shape").get<std::vector<std::int64_t>>());
        auto const values = checkpoint.read(name);
        double sum = 0;
        double position_sum = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            auto const value = static_cast<double>(values[i]);
            sum += value;
            position_sum += value * static_cast<double>(i % 8191 + 1) / 8192;
        }
        // The recorded sums add in another order: 1e-9 of the sum of magnitudes is what their maker allows for that.
        auto const tolerance = 1e-9 * tensor.at("abs_sum").get<double>();
        EXPECT_NEAR(sum, tensor.at("sum").get<double>(), tolerance) << name;
        EXPECT_NEAR(position_sum, tensor.at("position_sum").get<double>(), tolerance) << name;
        for (std::size_t i = 0; i < 4; ++i) {
            EXPECT_EQ(static_cast<double>(values[i]), tensor.at("first").at(i).get<double>()) << name;
        }
    }
}

TEST(ContentHash, IsThatOfAnyCopyAndChangesWithWeightsAndConfiguration) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/qwen2-tiny", folder);
    auto const original = Checkpoint::open(golden("models/qwen2-tiny")).content_hash();
    EXPECT_EQ(original.size(), 64U);
    EXPECT_EQ(Checkpoint::open(copy).content_hash(), original);

    write_plain(copy / "generation_config.json", R"({"eos_token_id": 3})");
    EXPECT_NE(Checkpoint::open(copy).content_hash(), original);

    auto const gguf = golden("gguf/llama-tiny.Q4_0.gguf");
    fs::copy_file(gguf, folder / "other.gguf");
    EXPECT_EQ(Checkpoint::open(folder / "other.gguf").content_hash(), Checkpoint::open(gguf).content_hash());
    auto bytes = read_text(gguf);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_plain(folder / "other.gguf", bytes);
    EXPECT_NE(Checkpoint::open(folder / "other.gguf").content_hash(), Checkpoint::open(gguf).content_hash());
}

TEST(Checkpoint, ThatIsNoModelIsRefusedWithTheWayOut) {
    TemporaryFolder const folder;
    EXPECT_THAT(error_of(folder / "absent"), HasSubstr("Hugging Face"));
    EXPECT_THAT(error_of(folder / "absent.gguf"), HasSubstr("absent.gguf"));
    EXPECT_THAT(error_of(folder.path()), HasSubstr("config.json"));
    auto const copy = copy_of("models/llama-tiny", folder);
    fs::rename(copy / "model.safetensors", copy / "pytorch_model.bin");
    EXPECT_THAT(error_of(copy), HasSubstr("safetensors"));
}

TEST(Checkpoint, WithAMissingMisshapenOrForeignTensorIsRefused) {
    TemporaryFolder const folder;
    auto const error_after = [&](std::function<void(std::vector<TensorView>&)> const& change) {
        auto const copy = copy_of("models/llama-tiny", folder);
        rewrite(copy / "model.safetensors", change);
        return error_of(copy);
    };
    std::vector<float> const values(64);
    auto const bytes = std::as_bytes(std::span{values});
    EXPECT_EQ(error_after([](auto&) {}), "");
    EXPECT_THAT(error_after([](auto& tensors) {
                    std::erase_if(tensors, [](auto& t) { return t.name == "model.norm.weight"; });
                }),
                HasSubstr("'model.norm.weight' is missing"));
    EXPECT_THAT(error_after([](auto& tensors) {
                    for (auto& tensor : tensors) {
                        if (tensor.name == "model.norm.weight") tensor.shape = {8, 8};
                    }
                }),
                HasSubstr("has the shape [8, 8], the configuration asks for [64]"));
    EXPECT_THAT(error_after([&](auto& tensors) {
                    tensors.push_back({"model.layers.0.self_attn.q_proj.bias", Dtype::f32, {64}, bytes});
                }),
                HasSubstr("q_proj.bias' is not part of a llama model"));
    EXPECT_THAT(error_after([&](auto& tensors) {
                    for (auto& tensor : tensors) {
                        if (tensor.name == "model.norm.weight") tensor.dtype = Dtype::i32;
                    }
                }),
                HasSubstr("of type I32"));
}

TEST(Checkpoint, IgnoresATiedHeadAndStoredFrequencies) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama-tiny", folder);
    std::vector<float> const values(300 * 64);
    auto const bytes = std::as_bytes(std::span{values});
    rewrite(copy / "model.safetensors", [&](auto& tensors) {
        tensors.push_back({"lm_head.weight", Dtype::f32, {300, 64}, bytes});
        tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", Dtype::f32, {8}, bytes.first(32)});
    });
    EXPECT_EQ(Checkpoint::open(copy).names(), Checkpoint::open(golden("models/llama-tiny")).names());
}

TEST(ShardIndex, ThatLeadsElsewhereOrDisagreesWithTheShardsIsRefused) {
    TemporaryFolder const folder;
    auto const error_after = [&](std::function<void(Json&)> const& change) {
        auto const copy = copy_of("models/qwen2-tiny", folder);
        auto const path = copy / "model.safetensors.index.json";
        auto index = read_json(path);
        change(index["weight_map"]);
        write_plain(path, index.dump());
        return error_of(copy);
    };
    std::string const norm = "model.norm.weight";
    for (auto const* name : {"../model.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", ".x.safetensors",
                             "x\\y.safetensors", "model.bin"}) {
        EXPECT_THAT(error_after([&](Json& map) { map[norm] = name; }), HasSubstr("no plain .safetensors file name"))
            << name;
    }
    EXPECT_THAT(error_after([&](Json& map) { map[norm] = "absent.safetensors"; }), HasSubstr("cannot open"));
    EXPECT_THAT(error_after([&](Json& map) { map[norm] = 3; }), HasSubstr("no string"));
    EXPECT_THAT(error_after([&](Json& map) { map[norm] = "model-00001-of-00003.safetensors"; }),
                HasSubstr("no tensor 'model.norm.weight'"));
    EXPECT_THAT(error_after([&](Json& map) { map.erase(norm); }), HasSubstr("does not list tensor"));
    EXPECT_THAT(error_after([&](Json& map) { map = Json::array(); }), HasSubstr("weight_map"));
}

TEST(GgufCheckpoint, ThatIsCutOffOrOfAnotherArchitectureIsRefused) {
    TemporaryFolder const folder;
    auto bytes = read_text(golden("gguf/llama-tiny.Q4_0.gguf"));
    write_plain(folder / "cut.gguf", bytes.substr(0, bytes.size() - 100));
    EXPECT_THAT(error_of(folder / "cut.gguf"), HasSubstr("damaged or incomplete"));
    auto const norm = bytes.find("blk.1.ffn_norm");
    ASSERT_NE(norm, std::string::npos);
    bytes[norm + 4] = '7';
    write_plain(folder / "other.gguf", bytes);
    EXPECT_THAT(error_of(folder / "other.gguf"), HasSubstr("blk.7.ffn_norm.weight' is not part of a llama model"));
}

}  // namespace
}  // namespace samner::weights
