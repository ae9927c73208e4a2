#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "test_files.h"

namespace samner::weights {
namespace {

using testing::HasSubstr;

/// A file of a header and data. The length before the header is its true one unless told otherwise.
std::string file_of(std::string const& header, std::size_t data, std::uint64_t length = 0) {
    if (length == 0) length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + header + std::string(data, 'x');
}

std::string const two_bytes = R"("dtype":"F16","shape":[1],"data_offsets":[0,2])";

TEST(Safetensors, OfTheReferenceLibraryAreWrittenBackByteByByte) {
    TemporaryFolder const folder;
    for (auto const* name :
         {"adapters/llama-tiny/all-linear/adapter_model.safetensors", "models/llama-tiny-bf16/model.safetensors",
          "models/qwen2-tiny/model-00002-of-00003.safetensors", "gguf/blocks.safetensors"}) {
        SafetensorsFile const file{golden(name)};
        write_safetensors(folder / "copy", file.tensors(), file.metadata());
        EXPECT_EQ(read_text(folder / "copy"), read_text(golden(name))) << name;
    }
}

TEST(Safetensors, HaveTheSameBytesWhateverTheOrderOfTheTensors) {
    TemporaryFolder const folder;
    std::vector<float> const wide{1, 2, 3};
    std::vector<std::uint16_t> const narrow{7};
    TensorView const a{"b", Dtype::f32, {3, 1}, std::as_bytes(std::span{wide})};
    TensorView const b{"a", Dtype::bf16, {}, std::as_bytes(std::span{narrow})};
    TensorView const empty{"empty", Dtype::f32, {0, 4}, {}};
    write_safetensors(folder / "one", std::vector{a, b, empty}, {{"k", "v\n\"é"}});
    write_safetensors(folder / "two", std::vector{empty, b, a}, {{"k", "v\n\"é"}});
    EXPECT_EQ(read_text(folder / "one"), read_text(folder / "two"));

    SafetensorsFile const file{folder / "one"};
    EXPECT_EQ(file.metadata(), (Metadata{{"k", "v\n\"é"}}));
    EXPECT_EQ(file.floats("b"), wide);
    EXPECT_EQ(file.at("a").shape, std::vector<std::int64_t>{});
    EXPECT_EQ(file.at("empty").elements(), 0);
    EXPECT_EQ(file.tensors().front().name, "b");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.at("b").bytes.data()) % 8, 0U);
    EXPECT_EQ(file.find("absent"), nullptr);
    EXPECT_THROW(file.at("absent"), InputError);
}

TEST(Safetensors, ThatComeInPiecesMustHaveTheBytesOfTheirShape) {
    TemporaryFolder const folder;
    std::vector<float> const values{1, 2, 3, 4};
    auto const bytes = std::as_bytes(std::span{values});
    TensorView const tensor{"t", Dtype::f32, {4}, {}};
    auto const write = [&](std::size_t size) {
        write_safetensors(folder / "t", std::span{&tensor, 1}, {}, [&](TensorView const&, auto const& append) {
            append(bytes.first(5));
            append(bytes.subspan(5, size - 5));
        });
    };
    EXPECT_THROW(write(15), Error);
    EXPECT_FALSE(std::filesystem::exists(folder / "t"));
    write(16);
    EXPECT_EQ(SafetensorsFile{folder / "t"}.floats("t"), values);
}

TEST(Safetensors, WithANameTwiceOrBytesThatDisagreeWithTheShapeAreNotWritten) {
    TemporaryFolder const folder;
    std::vector<float> const values{1};
    TensorView const tensor{"t", Dtype::f32, {1}, std::as_bytes(std::span{values})};
    EXPECT_THROW(write_safetensors(folder / "t", std::vector{tensor, tensor}), InputError);
    auto longer = tensor;
    longer.shape = {2};
    EXPECT_THROW(write_safetensors(folder / "t", std::vector{longer}), InputError);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, StayValidWhenTheFileObjectMoves) {
    SafetensorsFile file{golden("gguf/blocks.safetensors")};
    auto const values = file.floats("F16.values");
    SafetensorsFile const moved{std::move(file)};
    EXPECT_EQ(moved.floats("F16.values"), values);
}

TEST(SafetensorsHeader, ThatIsTooLongOrLongerThanTheFileIsRefused) {
    EXPECT_THAT(error_of<SafetensorsFile>(""), HasSubstr("0 bytes"));
    EXPECT_THAT(error_of<SafetensorsFile>("1234567"), HasSubstr("7 bytes"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{}", 0, 3)), HasSubstr("header of 3 bytes"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{}", 0, 100'000'001)), HasSubstr("more than 100000000"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{}", 0, std::numeric_limits<std::uint64_t>::max())),
                HasSubstr("more than"));
}

TEST(SafetensorsHeader, ThatIsNoJsonObjectIsRefused) {
    EXPECT_NE(error_of<SafetensorsFile>(file_of("[]", 0)), "");
    EXPECT_NE(error_of<SafetensorsFile>(file_of("{", 0)), "");
    EXPECT_NE(error_of<SafetensorsFile>(file_of(" {}", 0)), "");
    EXPECT_NE(error_of<SafetensorsFile>(file_of("{} x", 0)), "");
    EXPECT_NE(error_of<SafetensorsFile>(file_of("{\"\xFF\":{}}", 0)), "");
    EXPECT_EQ(error_of<SafetensorsFile>(file_of("{}   ", 0)), "");
}

TEST(SafetensorsHeader, WithAKeyTwiceIsRefused) {
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{\"a\":{" + two_bytes + "},\"a\":{" + two_bytes + "}}", 2)),
                HasSubstr("twice"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{\"a\":{\"dtype\":\"F16\"," + two_bytes + "}}", 2)),
                HasSubstr("twice"));
}

TEST(SafetensorsEntry, OfTheWrongFormIsRefused) {
    EXPECT_EQ(error_of<SafetensorsFile>(file_of("{\"a\":{" + two_bytes + "}}", 2)), "");
    for (auto const* entry :
         {R"(1)", R"({"dtype":"F16","shape":[1]})", R"({"dtype":"F16","shape":[1],"data_offsets":[0,2],"more":1})",
          R"({"dtype":"F17","shape":[1],"data_offsets":[0,2]})", R"({"dtype":7,"shape":[1],"data_offsets":[0,2]})",
          R"({"dtype":"F16","shape":1,"data_offsets":[0,2]})", R"({"dtype":"F16","shape":[1.0],"data_offsets":[0,2]})",
          R"({"dtype":"F16","shape":[-1],"data_offsets":[0,2]})", R"({"dtype":"F16","shape":[1],"data_offsets":[0]})",
          R"({"dtype":"F16","shape":[1],"data_offsets":[2,0]})", R"({"dtype":"F16","shape":[1],"data_offsets":[0,3]})",
          R"({"dtype":"F16","shape":[1],"data_offsets":[0,true]})",
          R"({"dtype":"F16","shape":[1],"data_offsets":[0,18446744073709551615]})"}) {
        EXPECT_THAT(error_of<SafetensorsFile>(file_of(std::string{"{\"a\":"} + entry + "}", 2)), HasSubstr("'a'"))
            << entry;
    }
    EXPECT_NE(error_of<SafetensorsFile>(file_of(R"({"__metadata__":{"a":1}})", 0)), "");
    EXPECT_NE(error_of<SafetensorsFile>(file_of(R"({"__metadata__":[]})", 0)), "");
}

TEST(SafetensorsEntry, WhoseShapeOverflowsIsRefused) {
    for (auto const* shape :
         {"[4294967296,4294967296,2]", "[9223372036854775807,2]", "[4611686018427387905,4]", "[2]"}) {
        auto const entry = std::string{R"({"dtype":"F16","shape":)"} + shape + R"(,"data_offsets":[0,2]})";
        EXPECT_THAT(error_of<SafetensorsFile>(file_of("{\"a\":" + entry + "}", 2)), HasSubstr("not its shape"))
            << shape;
    }
}

TEST(SafetensorsData, WithGapsOverlapsOrALeftoverAreRefused) {
    auto const pair = [](char const* first, char const* second) {
        auto const entry = [](char const* name, char const* offsets) {
            return std::string{"\""} + name + R"(":{"dtype":"F16","shape":[1],"data_offsets":)" + offsets + "}";
        };
        return "{" + entry("a", first) + "," + entry("b", second) + "}";
    };
    EXPECT_EQ(error_of<SafetensorsFile>(file_of(pair("[2,4]", "[0,2]"), 4)), "");
    EXPECT_THAT(error_of<SafetensorsFile>(file_of(pair("[0,2]", "[3,5]"), 5)), HasSubstr("gap or overlap"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of(pair("[0,2]", "[1,3]"), 3)), HasSubstr("gap or overlap"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of(pair("[0,2]", "[0,2]"), 2)), HasSubstr("gap or overlap"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of(pair("[1,3]", "[3,5]"), 5)), HasSubstr("gap or overlap"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of(pair("[0,2]", "[2,4]"), 5)), HasSubstr("cover 4 of 5"));
    EXPECT_THAT(error_of<SafetensorsFile>(file_of("{}", 1)), HasSubstr("cover 0 of 1"));
}

TEST(Safetensors, CutOffAnywhereAreRefused) {
    auto const whole = read_text(golden("adapters/llama-tiny/qv-only/adapter_model.safetensors"));
    for (std::size_t size = 0; size < whole.size(); size += size < 1200 ? 17 : 997) {
        EXPECT_NE(error_of<SafetensorsFile>(whole.substr(0, size)), "") << size;
    }
    EXPECT_NE(error_of<SafetensorsFile>(whole.substr(0, whole.size() - 1)), "");
    EXPECT_EQ(error_of<SafetensorsFile>(whole), "");
}

}  // namespace
}  // namespace samner::weights
