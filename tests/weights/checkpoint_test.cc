#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/json.h"
#include "gguf_builder.h"
#include "test_files.h"
#include "weights/architecture.h"
#include "weights/gguf.h"
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

/// The embedding of llama-tiny, in other words its head.
std::vector<float> embedding_of_llama_tiny() {
    return SafetensorsFile{golden("models/llama-tiny/model.safetensors")}.floats("model.embed_tokens.weight");
}

TEST(Checkpoint, IgnoresAHeadThatIsTheEmbeddingAndStoredFrequencies) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama-tiny", folder);
    auto const head = embedding_of_llama_tiny();
    auto const bytes = std::as_bytes(std::span{head});
    rewrite(copy / "model.safetensors", [&](auto& tensors) {
        tensors.push_back({"lm_head.weight", Dtype::f32, {300, 64}, bytes});
        tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", Dtype::f32, {8}, bytes.first(32)});
    });
    auto const checkpoint = Checkpoint::open(copy);
    EXPECT_EQ(checkpoint.names(), Checkpoint::open(golden("models/llama-tiny")).names());
    EXPECT_TRUE(checkpoint.config().tie_word_embeddings);
}

TEST(Checkpoint, ComparesAHeadWithItsEmbeddingByValueWhateverTheirTypes) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama-tiny-bf16", folder);
    auto const rounded = Checkpoint::open(copy).read("model.embed_tokens.weight");
    auto const with_head = [&](std::vector<float> const& head) {
        rewrite(copy / "model.safetensors", [&](auto& tensors) {
            std::erase_if(tensors, [](auto& tensor) { return tensor.name == "lm_head.weight"; });
            tensors.push_back({"lm_head.weight", Dtype::f32, {300, 64}, std::as_bytes(std::span{head})});
        });
        return Checkpoint::open(copy).config().tie_word_embeddings;
    };
    EXPECT_TRUE(with_head(rounded));
    auto nearly = rounded;
    nearly.back() = std::nextafter(nearly.back(), 2.0F);
    EXPECT_FALSE(with_head(nearly)) << "the last value, by one bit";
}

TEST(Checkpoint, WithAHeadThatDiffersFromTheEmbeddingKeepsBothAlthoughTheConfigurationTiesThem) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama-tiny", folder);
    auto head = embedding_of_llama_tiny();
    head[17] += 1.0F;
    rewrite(copy / "model.safetensors", [&](auto& tensors) {
        tensors.push_back({"lm_head.weight", Dtype::f32, {300, 64}, std::as_bytes(std::span{head})});
    });
    auto const checkpoint = Checkpoint::open(copy);
    EXPECT_FALSE(checkpoint.config().tie_word_embeddings);
    EXPECT_EQ(checkpoint.read("lm_head.weight"), head);
    EXPECT_EQ(checkpoint.read("model.embed_tokens.weight"), embedding_of_llama_tiny());

    rewrite(copy / "model.safetensors", [&](auto& tensors) {
        for (auto& tensor : tensors)
            if (tensor.name == "lm_head.weight") tensor.shape = {64, 300};
    });
    EXPECT_THAT(error_of(copy), HasSubstr("'lm_head.weight' has the shape [64, 300]"));
}

TEST(Checkpoint, InShardsWithAHeadThatDiffersKeepsIt) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/qwen2-tiny", folder);
    auto const shape = Checkpoint::open(copy).shape("model.embed_tokens.weight");
    std::vector<float> const head(static_cast<std::size_t>(shape[0] * shape[1]), 0.5F);
    rewrite(copy / "model-00003-of-00003.safetensors", [&](auto& tensors) {
        tensors.push_back({"lm_head.weight", Dtype::f32, shape, std::as_bytes(std::span{head})});
    });
    auto index = read_json(copy / "model.safetensors.index.json");
    index["weight_map"]["lm_head.weight"] = "model-00003-of-00003.safetensors";
    write_plain(copy / "model.safetensors.index.json", index.dump());
    auto const checkpoint = Checkpoint::open(copy);
    EXPECT_FALSE(checkpoint.config().tie_word_embeddings);
    EXPECT_EQ(checkpoint.read("lm_head.weight"), head);
}

TEST(Checkpoint, ThatIsTiedAndHasTheHeadAloneTakesItAsTheEmbedding) {
    TemporaryFolder const folder;
    auto const copy = copy_of("models/llama-tiny", folder);
    rewrite(copy / "model.safetensors", [&](auto& tensors) {
        for (auto& tensor : tensors)
            if (tensor.name == "model.embed_tokens.weight") tensor.name = "lm_head.weight";
    });
    auto const checkpoint = Checkpoint::open(copy);
    EXPECT_TRUE(checkpoint.config().tie_word_embeddings);
    EXPECT_EQ(checkpoint.names(), Checkpoint::open(golden("models/llama-tiny")).names());
    EXPECT_EQ(checkpoint.read("model.embed_tokens.weight"), embedding_of_llama_tiny());

    auto config = read_json(copy / "config.json");
    config["tie_word_embeddings"] = false;
    write_plain(copy / "config.json", config.dump());
    EXPECT_THAT(error_of(copy), HasSubstr("'model.embed_tokens.weight' is missing"));
}

TEST(Checkpoint, OfNamesWithoutTheModelsPrefixIsRead) {
    TemporaryFolder const folder;
    auto const strip = [](std::vector<TensorView>& tensors) {
        for (auto& tensor : tensors)
            if (tensor.name.starts_with("model.")) tensor.name = tensor.name.substr(6);
    };
    auto const copy = copy_of("models/llama-tiny", folder);
    rewrite(copy / "model.safetensors", strip);
    auto const checkpoint = Checkpoint::open(copy);
    auto const original = Checkpoint::open(golden("models/llama-tiny"));
    EXPECT_EQ(checkpoint.names(), original.names());
    for (auto const& name : original.names()) EXPECT_EQ(checkpoint.read(name), original.read(name)) << name;

    rewrite(copy / "model.safetensors", [](auto& tensors) {
        for (auto& tensor : tensors)
            if (tensor.name == "norm.weight") tensor.name = "model.norm.weight";
    });
    EXPECT_NE(error_of(copy), "") << "names of both kinds";
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

/// The tensors of a small GGUF model as parts, as gguf-split makes them: the metadata in the first, two tensors each.
void write_parts(TemporaryFolder const& folder, std::string const& stem) {
    GgufFile const whole{golden("gguf/llama-tiny.F32.gguf")};
    auto const count = static_cast<std::uint16_t>((whole.tensors().size() + 1) / 2);
    for (std::uint16_t part = 0; part < count; ++part) {
        GgufBuilder builder;
        if (part == 0) {
            for (auto const& [key, value] : whole.metadata()) {
                if (auto const* number = std::get_if<std::int64_t>(&value)) builder.add_value(key, 11, *number);
                if (auto const* number = std::get_if<double>(&value)) builder.add_value(key, 12, *number);
                if (auto const* text = std::get_if<std::string>(&value)) builder.add_text(key, *text);
            }
        }
        builder.add_value("split.no", 2, part).add_value("split.count", 2, count);
        builder.add_value("split.tensors.count", 5, static_cast<std::int32_t>(whole.tensors().size()));
        for (std::size_t i = 2U * part; i < std::min<std::size_t>(2U * part + 2U, whole.tensors().size()); ++i) {
            auto const& tensor = whole.tensors()[i];
            std::vector<std::uint64_t> dimensions{tensor.shape.rbegin(), tensor.shape.rend()};
            builder.add_tensor(tensor.name, dimensions, 0,
                               std::string{reinterpret_cast<char const*>(tensor.bytes.data()), tensor.bytes.size()});
        }
        write_plain(folder / fmt::format("{}-{:05}-of-{:05}.gguf", stem, part + 1, count), builder.build());
    }
}

TEST(GgufCheckpoint, InPartsIsReadFromAnyOfThem) {
    TemporaryFolder const folder;
    write_parts(folder, "m");
    auto const whole = Checkpoint::open(golden("gguf/llama-tiny.F32.gguf"));
    auto const count = (whole.names().size() + 1) / 2;
    auto const part = [&](std::size_t number) { return folder / fmt::format("m-{:05}-of-{:05}.gguf", number, count); };
    for (auto const number : {std::size_t{1}, std::size_t{2}, count}) {
        auto const checkpoint = Checkpoint::open(part(number));
        EXPECT_EQ(checkpoint.names(), whole.names());
        for (auto const& name : whole.names()) EXPECT_EQ(checkpoint.read(name), whole.read(name)) << name;
        EXPECT_EQ(checkpoint.files().size(), count);
        EXPECT_EQ(checkpoint.content_hash(), Checkpoint::open(part(1)).content_hash());
    }
    auto const hash = Checkpoint::open(part(1)).content_hash();
    auto bytes = read_text(part(count));
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_plain(part(count), bytes);
    EXPECT_NE(Checkpoint::open(part(1)).content_hash(), hash);

    fs::copy_file(part(3), folder / "renamed.gguf");
    EXPECT_THAT(error_of(folder / "renamed.gguf"), HasSubstr("gguf-split --merge"));
    write_plain(part(3), read_text(part(2)));
    EXPECT_THAT(error_of(part(1)), HasSubstr("is not part 3 of"));
    fs::remove(part(3));
    EXPECT_THAT(error_of(part(1)), HasSubstr("-00003-of-"));
    EXPECT_THAT(error_of(part(1)), HasSubstr("is missing"));
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
