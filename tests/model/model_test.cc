#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "golden.h"
#include "model/encoder.h"
#include "model/language_model.h"

namespace samner::model {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

void expect_near(std::vector<float> const& actual, std::vector<float> const& expected, float tolerance,
                 std::string const& what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    float worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) worst = std::max(worst, std::abs(actual[i] - expected[i]));
    EXPECT_LE(worst, tolerance) << what;
}

/// Both implementations of the operators: samner's kernels and, as the path of other devices, libtorch's.
class Models : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        set_num_threads(2);
        ops = GetParam() == std::string{"kernel"} ? make_cpu_ops() : make_aten_ops("cpu");
    }
    std::unique_ptr<Ops> ops;
};

TEST_P(Models, GiveTheLogitsOfTransformersAtEveryPosition) {
    for (std::string const name : {"llama-tiny", "llama3rope-tiny", "qwen2-tiny", "llama-tiny-bf16"}) {
        auto const model = load_language_model(weights::Checkpoint::open(golden("models/" + name)), *ops, false);
        auto const expected = read_json(golden("models/" + name + ".expected.json"));
        weights::SafetensorsFile const tensors{golden("models/" + name + ".expected.safetensors")};
        auto const suffix = name == "llama-tiny-bf16" ? ".logits_fp32" : ".logits";
        for (auto const& sequence : expected["sequences"]) {
            auto const key = sequence["name"].get<std::string>() + suffix;
            expect_near(sequence_logits(model, *ops, sequence["ids"].get<Ids>(), nullptr), golden_tensor(tensors, key),
                        1e-4F, name + " " + key);
        }
    }
}

TEST_P(Models, StretchRotaryPositionsAsLlama3DoesFarIntoASequence) {
    auto const model = load_language_model(weights::Checkpoint::open(golden("models/llama3rope-tiny")), *ops, false);
    auto const expected = read_json(golden("models/llama3rope-tiny.expected.json"));
    weights::SafetensorsFile const tensors{golden("models/llama3rope-tiny.expected.safetensors")};
    auto const all = sequence_logits(model, *ops, expected["long"]["ids"].get<Ids>(), nullptr);
    std::vector<float> rows;
    for (auto const position : expected["long"]["positions"].get<Ids>()) {
        auto const begin = all.begin() + position * model.config.vocab_size;
        rows.insert(rows.end(), begin, begin + model.config.vocab_size);
    }
    expect_near(rows, golden_tensor(tensors, "long.logits"), 5e-4F, "long.logits");
    auto const frequencies = weights::rope_inverse_frequencies(model.config);
    auto const wanted = golden_tensor(tensors, "rope.inverse_frequencies");
    ASSERT_EQ(frequencies.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_FLOAT_EQ(frequencies[i], wanted[i]);
}

TEST_P(Models, WithAdaptersGiveTheLogitsOfPeft) {
    for (std::string const name : {"llama-tiny", "qwen2-tiny"}) {
        auto const model = load_language_model(weights::Checkpoint::open(golden("models/" + name)), *ops, false);
        for (std::string const adapter : {"all-linear", "qv-only", "rslora-patterns"}) {
            auto const base = "adapters/" + name + "/" + adapter;
            PreparedAdapter const prepared{weights::read_adapter(golden(base)), model.config, *ops};
            auto const expected = read_json(golden(base + ".expected.json"));
            weights::SafetensorsFile const tensors{golden(base + ".expected.safetensors")};
            for (auto const& sequence : expected["sequences"]) {
                auto const key = sequence["name"].get<std::string>() + ".logits";
                expect_near(sequence_logits(model, *ops, sequence["ids"].get<Ids>(), &prepared),
                            golden_tensor(tensors, key), 1e-4F, base + " " + key);
            }
        }
    }
}

TEST_P(Models, OfMistralAndQwen3GiveTheLogitsOfTransformersAndPeft) {
    auto const folder = fs::path{SAMNER_TEST_DATA} / "models";
    for (std::string const name : {"mistral-tiny", "qwen3-tiny"}) {
        auto const model = load_language_model(weights::Checkpoint::open(folder / name), *ops, false);
        auto const sequences = read_json(folder / (name + ".expected.json"))["sequences"];
        weights::SafetensorsFile const tensors{folder / (name + ".expected.safetensors")};
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            auto const key = "logits." + std::to_string(i);
            expect_near(sequence_logits(model, *ops, sequences[i].get<Ids>(), nullptr), tensors.floats(key), 1e-4F,
                        name + " " + key);
        }
        PreparedAdapter const prepared{weights::read_adapter(folder / name / "adapter"), model.config, *ops};
        expect_near(sequence_logits(model, *ops, sequences[2].get<Ids>(), &prepared),
                    tensors.floats("adapted.logits.2"), 1e-4F, name + " with its adapter");
    }
    // Beyond the sliding window attention would differ.
    auto const mistral = load_language_model(weights::Checkpoint::open(folder / "mistral-tiny"), *ops, false);
    EXPECT_EQ(mistral.config.max_position_embeddings, 128);
    EXPECT_THROW(sequence_logits(mistral, *ops, Ids(129, 5), nullptr), InputError);
}

TEST_P(Models, FromGgufGiveTheLogitsOfTransformers) {
    auto const expected = read_json(golden("gguf/llama-tiny.expected.json"));
    weights::SafetensorsFile const tensors{golden("gguf/llama-tiny.logits.expected.safetensors")};
    for (std::string const type : {"F32", "F16", "Q8_0", "Q4_0", "Q4_1"}) {
        auto const model =
            load_language_model(weights::Checkpoint::open(golden("gguf/llama-tiny." + type + ".gguf")), *ops, false);
        expect_near(sequence_logits(model, *ops, expected["ids"].get<Ids>(), nullptr),
                    golden_tensor(tensors, type + ".logits"), 1e-4F, type);
    }
}

TEST_P(Models, RefuseTokensOutsideTheVocabularyAndSequencesLongerThanTheContext) {
    auto const model = load_language_model(weights::Checkpoint::open(golden("models/llama-tiny")), *ops, false);
    EXPECT_THROW(sequence_logits(model, *ops, Ids{1, 300}, nullptr), InputError);
    EXPECT_THROW(sequence_logits(model, *ops, Ids{-1}, nullptr), InputError);
    EXPECT_THROW(sequence_logits(model, *ops, Ids(8193, 1), nullptr), InputError);
    EXPECT_TRUE(sequence_logits(model, *ops, Ids{}, nullptr).empty());
}

TEST_P(Models, EncodeSentencesAsSentenceTransformersDoes) {
    Encoder const encoder{fs::path{SAMNER_SOURCE_DIR} / ".deps/minilm", *ops};
    auto const sentences = read_json(golden("minilm/sentences.json"))["sentences"];
    std::vector<Ids> texts;
    for (auto const& sentence : sentences) texts.push_back(sentence["ids"].get<Ids>());
    EXPECT_EQ(encoder.max_length(), 256);
    EXPECT_EQ(encoder.dimension(), 384);
    auto const embeddings = encoder.encode(texts);
    weights::SafetensorsFile const tensors{golden("minilm/embeddings.safetensors")};
    expect_near(embeddings.mean_pooled, golden_tensor(tensors, "mean_pooled"), 2e-5F, "mean_pooled");
    expect_near(embeddings.normalised, golden_tensor(tensors, "normalised"), 5e-6F, "normalised");
}

INSTANTIATE_TEST_SUITE_P(Ops, Models, testing::Values("kernel", "libtorch"),
                         [](auto const& parameter) { return std::string{parameter.param}; });

TEST(Encoding, OfATextIsTheSameBitsAloneAndInABatchOnAnyNumberOfThreads) {
    auto const ops = make_cpu_ops();
    Encoder const encoder{fs::path{SAMNER_SOURCE_DIR} / ".deps/minilm", *ops};
    auto const sentences = read_json(golden("minilm/sentences.json"))["sentences"];
    std::vector<Ids> texts;
    for (auto const& sentence : sentences) texts.push_back(sentence["ids"].get<Ids>());
    set_num_threads(2);
    auto const together = encoder.encode(texts).normalised;
    set_num_threads(1);
    for (std::size_t i = 0; i < texts.size(); i += 7) {
        auto const alone = encoder.encode(std::span{texts}.subspan(i, 1)).normalised;
        for (std::size_t d = 0; d < alone.size(); ++d)
            ASSERT_EQ(alone[d], together[i * alone.size() + d]) << "text " << i;
    }
}

TEST(Devices, ThatAreAbsentOrUnknownAreErrors) {
    EXPECT_THROW(make_aten_ops("cuda"), InputError);
    EXPECT_THROW(make_aten_ops("tpu9"), InputError);
}

}  // namespace
}  // namespace samner::model
