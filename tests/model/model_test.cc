#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "golden.h"
#include "model/encoder.h"
#include "model/language_model.h"
#include "operators.h"

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

/// The implementations of the operators: samner's kernels, libtorch's, and those of a GPU.
class Models : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        set_num_threads(2);
        if (auto const why = obstacle(GetParam()); !why.empty()) GTEST_SKIP() << why;
        ops = operators(GetParam());
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

TEST_P(Models, OfQwen3FromGgufGiveTheLogitsOfTheFolderItWasMadeFrom) {
    auto const data = fs::path{SAMNER_TEST_DATA};
    auto const folder = load_language_model(weights::Checkpoint::open(data / "models/qwen3-tiny"), *ops, false);
    auto const file = load_language_model(weights::Checkpoint::open(data / "gguf/qwen3-tiny.gguf"), *ops, false);
    auto const expected = read_json(data / "models/qwen3-tiny.expected.json");  // lives as long as the loop
    for (auto const& sequence : expected["sequences"]) {
        auto const ids = sequence.get<Ids>();
        EXPECT_EQ(sequence_logits(file, *ops, ids, nullptr), sequence_logits(folder, *ops, ids, nullptr));
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
    expect_near(embeddings.pooled, golden_tensor(tensors, "mean_pooled"), 2e-5F, "mean_pooled");
    expect_near(embeddings.encoded, golden_tensor(tensors, "normalised"), 5e-6F, "normalised");
}

TEST_P(Models, AttendToWhatRowsShareOnceAndGiveWhatEachRowAloneGives) {
    kernel::AttentionShape const shape{6, 2, 64, 0.125F};
    constexpr std::int64_t query_width = 6 * 64, kv_width = 2 * 64, blocks = 16;
    RandomStream const random{3, "attention"};
    std::uint64_t next = 0;
    auto const numbers = [&](std::int64_t rows, std::int64_t columns) {
        auto const host = make_cpu_ops()->empty({rows, columns});
        for (auto& value : std::span{host.mutable_data_ptr<float>(), static_cast<std::size_t>(host.numel())})
            value = static_cast<float>(random.normal(next++));
        auto x = ops->empty({rows, columns});
        x.copy_(host);
        return x;
    };
    auto const cache = ops->make_cache(shape, 2, blocks);
    std::vector<KvSlot> slots;
    for (std::int32_t i = 0; i < blocks * kernel::kv_block; ++i) slots.push_back({i / 16, i % 16});
    auto const k = numbers(std::ssize(slots), kv_width);
    auto const v = numbers(std::ssize(slots), kv_width);
    auto const all = ops->make_rows(std::ssize(slots), 1);
    ops->set_rows(*all, slots, std::vector<kernel::AttentionRow>(slots.size(), {&slots[0].block, 1}), 0);
    ops->store_kv(*cache, 1, *all, k, v);
    // Three sequences behind three blocks, one of which ends with the third; two of another prompt; one alone.
    std::vector<std::vector<std::int32_t>> const tables{{4, 1, 7, 2, 5}, {4, 1, 7, 3}, {4, 1, 7},
                                                        {8, 9},          {8, 10, 11},  {12}};
    std::vector<kernel::AttentionRow> const rows{{tables[0].data(), 77, 0}, {tables[1].data(), 50, 3},
                                                 {tables[2].data(), 48, 3}, {tables[3].data(), 20, 0},
                                                 {tables[4].data(), 48, 1}, {tables[5].data(), 1, 0}};
    auto plain = rows;
    for (auto& row : plain) row.shared = 0;
    auto const q = numbers(std::ssize(rows), query_width);
    auto const attended = [&](std::vector<kernel::AttentionRow> const& some, KvCache const& in) {
        auto out = ops->empty({std::ssize(rows), query_width});
        auto const read = ops->make_rows(std::ssize(some), 5);
        ops->set_rows(*read, {slots.begin(), slots.begin() + std::ssize(some)}, some, 0);
        ops->attend(in, 1, *read, q, out);
        out = out.cpu();
        return std::vector<float>{out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel()};
    };
    auto const together = attended(rows, *cache);

    // Blocks that were copied to other places in another cache hold the same.
    Ids places(blocks);
    std::iota(places.begin(), places.end(), 0);
    Ids const others{places.rbegin(), places.rend()};
    auto const copy = ops->make_cache(shape, 2, blocks);
    ops->copy_kv(*cache, places, *copy, others);
    auto moved_tables = tables;
    auto moved = rows;
    for (std::size_t i = 0; i < tables.size(); ++i) {
        for (auto& place : moved_tables[i]) place = others[static_cast<std::size_t>(place)];
        moved[i].blocks = moved_tables[i].data();
    }
    EXPECT_EQ(together, attended(moved, *copy));

    if (GetParam() == std::string{"kernel"}) {
        EXPECT_EQ(together, attended(plain, *cache));
        return;
    }
    // A score's terms add up to less than 64 * 0.125 * 3 and it errs by (64 + 2) roundings of that; a weight errs by
    // twice as much, a sum over 77 positions by 77 roundings more, the join by those of two logarithms below 16. Values
    // are below 5. Both sides err.
    constexpr float bound = 2 * 5 * (2 * 66 * 24 + 77 + 2 * 16) * 0x1p-24F;
    expect_near(together, attended(plain, *cache), bound, "attention");
}

INSTANTIATE_TEST_SUITE_P(Ops, Models, testing::Values("kernel", "libtorch", "cuda"),
                         [](auto const& parameter) { return std::string{parameter.param}; });

double root_mean_square_difference(std::vector<float> const& a, std::vector<float> const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    return std::sqrt(sum / static_cast<double>(a.size()));
}

class Bf16 : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        if (auto const why = obstacle(GetParam()); !why.empty()) GTEST_SKIP() << why;
        ops = operators(GetParam(), Precision::bf16);
    }
    std::unique_ptr<Ops> ops;
};

TEST_P(Bf16, IsAsNearToFp32AsTransformersIs) {
    auto const model = load_language_model(weights::Checkpoint::open(golden("models/llama-tiny-bf16")), *ops, false);
    auto const expected = read_json(golden("models/llama-tiny-bf16.expected.json"));
    weights::SafetensorsFile const tensors{golden("models/llama-tiny-bf16.expected.safetensors")};
    for (auto const& sequence : expected["sequences"]) {
        auto const name = sequence["name"].get<std::string>();
        auto const got = sequence_logits(model, *ops, sequence["ids"].get<Ids>(), nullptr);
        auto const exact = golden_tensor(tensors, name + ".logits_fp32");
        auto const theirs = golden_tensor(tensors, name + ".logits_bf16");
        ASSERT_EQ(got.size(), exact.size());
        auto const their_error = root_mean_square_difference(theirs, exact);
        // samner rounds where transformers does, or less often (rope, softmax and SwiGLU inside are fp32), so its error
        // is of the same size; a tenth more for chance. Two errors that have nothing to do with each other differ by at
        // most their sum.
        EXPECT_LE(root_mean_square_difference(got, exact), 1.1 * their_error) << name;
        EXPECT_LE(root_mean_square_difference(got, theirs), 2.1 * their_error) << name;
        EXPECT_GT(root_mean_square_difference(got, exact), 0.0) << name << " was computed in fp32";
    }
}

TEST_P(Bf16, KeepsWeightsActivationsAndCacheInBf16AndStatisticsInFp32) {
    EXPECT_EQ(ops->empty({1, 1}).scalar_type(), at::kBFloat16);
    EXPECT_EQ(ops->floats({1, 1}).scalar_type(), at::kFloat);
    auto const model = load_language_model(weights::Checkpoint::open(golden("models/llama-tiny-bf16")), *ops, false);
    EXPECT_EQ(model.embeddings.scalar_type(), at::kBFloat16);
    EXPECT_EQ(model.rope_cos.scalar_type(), at::kFloat);
}

INSTANTIATE_TEST_SUITE_P(Ops, Bf16, testing::Values("libtorch", "cuda"),
                         [](auto const& parameter) { return std::string{parameter.param}; });

TEST(Encoding, OfATextIsTheSameBitsAloneAndInABatchOnAnyNumberOfThreads) {
    auto const ops = make_cpu_ops();
    Encoder const encoder{fs::path{SAMNER_SOURCE_DIR} / ".deps/minilm", *ops};
    auto const sentences = read_json(golden("minilm/sentences.json"))["sentences"];
    std::vector<Ids> texts;
    for (auto const& sentence : sentences) texts.push_back(sentence["ids"].get<Ids>());
    set_num_threads(2);
    auto const together = encoder.encode(texts).encoded;
    set_num_threads(1);
    for (std::size_t i = 0; i < texts.size(); i += 7) {
        auto const alone = encoder.encode(std::span{texts}.subspan(i, 1)).encoded;
        for (std::size_t d = 0; d < alone.size(); ++d)
            ASSERT_EQ(alone[d], together[i * alone.size() + d]) << "text " << i;
    }
}

TEST(Devices, ThatAreAbsentOrUnknownAreErrors) {
    if (!obstacle("cuda").empty()) {
        EXPECT_THROW(make_aten_ops("cuda"), InputError);
    }
    EXPECT_THROW(make_aten_ops("tpu9"), InputError);
}

}  // namespace
}  // namespace samner::model
