#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "gguf_builder.h"
#include "test_files.h"
#include "weights/safetensors.h"

namespace samner::weights {
namespace {

using testing::HasSubstr;

/// One f32 tensor "t" of 8 values.
GgufBuilder small_file() {
    GgufBuilder builder;
    builder.add_tensor("t", {8}, 0, std::string(32, 'x'));
    return builder;
}

TEST(Dequantise, GivesTheBitsOfTheReferenceForEveryType) {
    SafetensorsFile const blocks{golden("gguf/blocks.safetensors")};
    for (auto const type :
         {GgufType::f16, GgufType::bf16, GgufType::q8_0, GgufType::q4_0, GgufType::q4_1, GgufType::q5_0, GgufType::q5_1,
          GgufType::q2_k, GgufType::q3_k, GgufType::q4_k, GgufType::q5_k, GgufType::q6_k}) {
        std::string const type_name{gguf_type_facts(type).name};
        auto const& expected = blocks.at(type_name + ".values");
        std::vector<float> values(static_cast<std::size_t>(expected.elements()));
        dequantise(type, blocks.at(type_name + ".bytes").bytes, values);
        EXPECT_EQ(std::memcmp(values.data(), expected.bytes.data(), expected.bytes.size()), 0) << type_name;
    }
}

TEST(Dequantise, GivesTheBitsOfTheReferenceForZeroSubnormalHugeAndInfiniteScales) {
    SafetensorsFile const blocks{std::filesystem::path{SAMNER_TEST_DATA} / "gguf/blocks.safetensors"};
    for (auto const type : {GgufType::f16, GgufType::bf16, GgufType::q8_0, GgufType::q4_0, GgufType::q4_1,
                            GgufType::q4_k, GgufType::q5_k, GgufType::q6_k}) {
        std::string const type_name{gguf_type_facts(type).name};
        auto const expected = blocks.floats(type_name + ".values");
        std::vector<float> values(expected.size());
        dequantise(type, blocks.at(type_name + ".bytes").bytes, values);
        for (std::size_t i = 0; i < values.size(); ++i) {
            auto const both_nan = std::isnan(values[i]) && std::isnan(expected[i]);
            ASSERT_TRUE(both_nan ||
                        std::bit_cast<std::uint32_t>(values[i]) == std::bit_cast<std::uint32_t>(expected[i]))
                << type_name << " value " << i << ": " << values[i] << ", not " << expected[i];
        }
    }
}

TEST(Dequantise, RefusesPartsOfBlocksAndTheWrongNumberOfValues) {
    std::vector<std::byte> const bytes(36);
    std::vector<float> values(64);
    EXPECT_NO_THROW(dequantise(GgufType::q4_0, bytes, values));
    EXPECT_THROW(dequantise(GgufType::q4_0, std::span{bytes}.first(35), values), InputError);
    EXPECT_THROW(dequantise(GgufType::q4_0, bytes, std::span{values}.first(63)), InputError);
}

TEST(Gguf, MetadataKeepTheirTypesAndShapesAreRowMajor) {
    GgufFile const file{golden("gguf/llama-tiny.Q4_1.gguf")};
    EXPECT_EQ(file.version(), 3U);
    EXPECT_EQ(file.require<std::string>("general.architecture"), "llama");
    EXPECT_EQ(file.require<std::int64_t>("llama.attention.head_count"), 4);
    EXPECT_EQ(file.require<double>("llama.attention.layer_norm_rms_epsilon"), 9.999999747378752e-06);
    EXPECT_EQ(file.require<bool>("tokenizer.ggml.add_bos_token"), false);
    EXPECT_EQ(file.require<std::vector<std::string>>("tokenizer.ggml.tokens").at(2), "<|im_end|>");
    EXPECT_EQ(file.require<std::vector<std::int64_t>>("tokenizer.ggml.token_type").at(3), 1);
    EXPECT_EQ(file.get<std::int64_t>("absent"), std::nullopt);
    EXPECT_THROW(file.require<std::int64_t>("absent"), InputError);
    EXPECT_THROW(file.get<std::int64_t>("general.architecture"), InputError);

    auto const* const embedding = file.find("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_EQ(embedding->shape, (std::vector<std::int64_t>{288, 32}));
    EXPECT_EQ(embedding->type, GgufType::q4_1);
    EXPECT_EQ(file.tensors().size(), 21U);
    EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Gguf, WithValuesOfEveryTypeIsRead) {
    auto builder = small_file();
    builder.add_value("u8", 0, std::uint8_t{200}).add_value("i8", 1, std::int8_t{-3});
    builder.add_value("i64", 11, std::int64_t{-5}).add_value("u64", 10, std::numeric_limits<std::uint64_t>::max());
    builder.add_value("f64", 12, 0.1).add_value("flag", 7, std::uint8_t{1});
    builder.add_array("floats", 6, std::vector<float>{0.5F, 2}).add_array("flags", 7, std::vector<std::uint8_t>{1, 0});
    TemporaryFolder const folder;
    write_plain(folder / "a.gguf", builder.build());
    GgufFile const file{folder / "a.gguf"};
    EXPECT_EQ(file.require<std::int64_t>("u8"), 200);
    EXPECT_EQ(file.require<std::int64_t>("i8"), -3);
    EXPECT_EQ(file.require<std::int64_t>("i64"), -5);
    EXPECT_EQ(std::get<std::uint64_t>(file.metadata().at("u64")), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(file.require<double>("f64"), 0.1);
    EXPECT_TRUE(file.require<bool>("flag"));
    EXPECT_EQ(file.require<std::vector<double>>("floats"), (std::vector<double>{0.5, 2}));
    EXPECT_EQ(file.require<std::vector<std::int64_t>>("flags"), (std::vector<std::int64_t>{1, 0}));
}

TEST(Gguf, OfAnotherVersionByteOrderOrFormatIsRefused) {
    EXPECT_EQ(error_of<GgufFile>(small_file().build()), "");
    EXPECT_EQ(error_of<GgufFile>(small_file().version(2).build()), "");
    EXPECT_THAT(error_of<GgufFile>(small_file().version(1).build()), HasSubstr("version 1"));
    EXPECT_THAT(error_of<GgufFile>(small_file().version(4).build()), HasSubstr("version 4"));
    EXPECT_THAT(error_of<GgufFile>(small_file().version(0x03000000U).build()), HasSubstr("big-endian"));
    EXPECT_THAT(error_of<GgufFile>("GGML" + small_file().build().substr(4)), HasSubstr("magic"));
    EXPECT_THAT(error_of<GgufFile>(""), HasSubstr("magic"));
}

TEST(Gguf, CountsThatExceedTheFileAreRefusedBeforeMemoryIsTaken) {
    constexpr auto huge = std::numeric_limits<std::uint64_t>::max() / 2;
    EXPECT_THAT(error_of<GgufFile>(small_file().claim_tensors(huge).build()), HasSubstr("tensors in the"));
    EXPECT_THAT(error_of<GgufFile>(small_file().claim_entries(huge).build()), HasSubstr("metadata entries in the"));
    auto long_text = small_file();
    long_text.add_value("text", 8, huge);
    EXPECT_THAT(error_of<GgufFile>(long_text.build()), HasSubstr("characters in the"));
    for (std::uint32_t const element : {0U, 8U, 12U}) {
        auto long_array = small_file();
        long_array.add_value("array", 9, element, huge);
        EXPECT_THAT(error_of<GgufFile>(long_array.build()), HasSubstr(" in the ")) << element;
    }
}

TEST(Gguf, MetadataOfUnknownTypesNestedArraysAndKeysTwiceAreRefused) {
    auto unknown = small_file();
    unknown.add_value("key", 13, std::uint64_t{0});
    EXPECT_THAT(error_of<GgufFile>(unknown.build()), HasSubstr("type 13"));
    auto nested = small_file();
    nested.add_value("key", 9, std::uint32_t{9}, std::uint64_t{0});
    EXPECT_THAT(error_of<GgufFile>(nested.build()), HasSubstr("array of arrays"));
    auto twice = small_file();
    twice.add_value("key", 7, std::uint8_t{1}).add_value("key", 7, std::uint8_t{1});
    EXPECT_THAT(error_of<GgufFile>(twice.build()), HasSubstr("'key' stands twice"));
}

TEST(Gguf, AlignmentMustBeAPowerOfTwoAndIsRespected) {
    for (std::uint32_t const alignment : {0U, 24U}) {
        auto builder = small_file();
        builder.add_value("general.alignment", 4, alignment);
        EXPECT_THAT(error_of<GgufFile>(builder.build()), HasSubstr("power of two")) << alignment;
    }
    auto wide = small_file();
    wide.add_value("general.alignment", 4, std::uint32_t{64}).alignment(64);
    EXPECT_EQ(error_of<GgufFile>(wide.build()), "");
    auto beyond = small_file();
    beyond.add_value("general.alignment", 10, std::uint64_t{1} << 62U);
    EXPECT_THAT(error_of<GgufFile>(beyond.build()), HasSubstr("ends before its tensors"));
}

TEST(GgufTensor, OfAnUnknownTypeIsNamedBesideTheSupportedOnes) {
    auto const error_of_type = [](std::uint32_t type) {
        GgufBuilder builder;
        builder.add_tensor("odd", {32}, type, std::string(32, 'x'));
        return error_of<GgufFile>(builder.build());
    };
    EXPECT_THAT(error_of_type(23), HasSubstr("IQ4_XS (23)"));
    EXPECT_THAT(error_of_type(23), HasSubstr("'odd'"));
    EXPECT_THAT(error_of_type(23), HasSubstr("supported are F32, F16, BF16, Q8_0, Q4_0, Q4_1"));
    EXPECT_THAT(error_of_type(4000), HasSubstr("unknown (4000)"));
}

TEST(GgufTensor, WithImpossibleDimensionsIsRefused) {
    auto const error_of_shape = [](std::vector<std::uint64_t> const& dimensions, std::uint32_t type = 0) {
        GgufBuilder builder;
        builder.add_tensor("t", dimensions, type, std::string(64, 'x'));
        return error_of<GgufFile>(builder.build());
    };
    EXPECT_EQ(error_of_shape({4, 4}), "");
    EXPECT_THAT(error_of_shape({}), HasSubstr("0 dimensions"));
    EXPECT_THAT(error_of_shape({1, 1, 1, 1, 1}), HasSubstr("5 dimensions"));
    EXPECT_THAT(error_of_shape({4, 0}), HasSubstr("dimension of 0"));
    EXPECT_THAT(error_of_shape({std::numeric_limits<std::uint64_t>::max()}), HasSubstr("dimension of"));
    EXPECT_THAT(error_of_shape({1ULL << 32U, 1ULL << 32U}), HasSubstr("impossible size"));
    EXPECT_THAT(error_of_shape({1ULL << 62U}), HasSubstr("impossible size"));
    EXPECT_THAT(error_of_shape({16}, 2), HasSubstr("no multiple of Q4_0's 32"));
    EXPECT_THAT(error_of_shape({1000}), HasSubstr("needs 4000 bytes"));
}

TEST(GgufTensor, ThatIsMisplacedOverlapsOrStandsTwiceIsRefused) {
    auto const error_of_offsets = [](std::uint64_t first, std::uint64_t second, char const* name = "b") {
        GgufBuilder builder;
        builder.add_tensor("a", {8}, 0, std::string(32, 'x'), first);
        builder.add_tensor(name, {8}, 0, std::string(32, 'x'), second);
        return error_of<GgufFile>(builder.build());
    };
    EXPECT_EQ(error_of_offsets(0, 32), "");
    EXPECT_EQ(error_of_offsets(32, 0), "");
    EXPECT_THAT(error_of_offsets(0, 0), HasSubstr("overlaps"));
    EXPECT_THAT(error_of_offsets(0, 33), HasSubstr("not aligned"));
    EXPECT_THAT(error_of_offsets(0, 64), HasSubstr("needs 32 bytes at offset 64"));
    EXPECT_THAT(error_of_offsets(0, std::numeric_limits<std::uint64_t>::max() - 31), HasSubstr("needs 32 bytes"));
    EXPECT_THAT(error_of_offsets(0, 32, "a"), HasSubstr("'a' stands twice"));
}

TEST(Gguf, CutOffAnywhereIsRefused) {
    auto const whole = read_text(golden("gguf/llama-tiny.Q4_0.gguf"));
    for (std::size_t size = 0; size < whole.size(); size += 61)
        EXPECT_NE(error_of<GgufFile>(whole.substr(0, size)), "") << size;
    EXPECT_EQ(error_of<GgufFile>(whole), "");
}

}  // namespace
}  // namespace samner::weights
