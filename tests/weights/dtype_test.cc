#include "weights/dtype.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace samner::weights {
namespace {

std::uint32_t bits_of(float value) {
    return std::bit_cast<std::uint32_t>(value);
}

/// The value of a half by its definition (IEEE 754-2008, table 3.5), in double.
double half_by_definition(std::uint16_t half) {
    auto const sign = (half & 0x8000U) ? -1.0 : 1.0;
    auto const exponent = static_cast<int>((half >> 10) & 31U);
    auto const fraction = static_cast<double>(half & 0x3FFU) / 1024;
    return exponent == 0 ? sign * std::ldexp(fraction, -14) : sign * std::ldexp(1 + fraction, exponent - 15);
}

bool is_nan_half(std::uint16_t half) {
    return (half & 0x7FFFU) > 0x7C00U;
}

TEST(Half, BecomesTheFloatOfItsDefinitionForAllBitPatterns) {
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
        auto const half = static_cast<std::uint16_t>(bits);
        auto const value = half_to_float(half);
        if (is_nan_half(half)) {
            EXPECT_TRUE(std::isnan(value)) << bits;
        } else if ((half & 0x7FFFU) == 0x7C00U) {
            EXPECT_TRUE(std::isinf(value)) << bits;
        } else {
            EXPECT_EQ(bits_of(value), bits_of(static_cast<float>(half_by_definition(half)))) << bits;
        }
    }
}

TEST(Half, OfAFloatThatIsOneIsTheSameForAllBitPatterns) {
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
        auto const half = static_cast<std::uint16_t>(bits);
        auto const back = float_to_half(half_to_float(half));
        EXPECT_TRUE(is_nan_half(half) ? is_nan_half(back) : back == half) << bits;
    }
}

TEST(Half, OfAFloatBetweenTwoIsTheNearerOneAndOnTiesTheEvenOne) {
    constexpr std::uint16_t largest = 0x7BFFU;
    for (std::uint16_t lower = 0; lower < largest; ++lower) {
        auto const upper = static_cast<std::uint16_t>(lower + 1);
        auto const middle = (half_to_float(lower) + half_to_float(upper)) / 2;
        auto const even = lower % 2 == 0 ? lower : upper;
        EXPECT_EQ(float_to_half(middle), even) << lower;
        EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0F)), lower) << lower;
        EXPECT_EQ(float_to_half(std::nextafter(middle, 1e9F)), upper) << lower;
        EXPECT_EQ(float_to_half(-middle), even | 0x8000U) << lower;
    }
    EXPECT_EQ(float_to_half(65519.996F), largest);
    EXPECT_EQ(float_to_half(65520.0F), 0x7C00U);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7C00U);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0U);
}

TEST(Bfloat, OfAFloatBetweenTwoIsTheNearerOneAndOnTiesTheEvenOne) {
    RandomStream const random{1, "bfloat"};
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        auto const lower = static_cast<std::uint16_t>(random.below(0x7F7FU, i));
        auto const upper = static_cast<std::uint16_t>(lower + 1);
        auto const middle = std::bit_cast<float>((std::uint32_t{lower} << 16) | 0x8000U);
        EXPECT_EQ(float_to_bfloat(bfloat_to_float(lower)), lower);
        EXPECT_EQ(float_to_bfloat(middle), lower % 2 == 0 ? lower : upper);
        EXPECT_EQ(float_to_bfloat(std::nextafter(middle, 0.0F)), lower);
        EXPECT_EQ(float_to_bfloat(std::nextafter(middle, std::numeric_limits<float>::infinity())), upper);
    }
    EXPECT_EQ(float_to_bfloat(std::numeric_limits<float>::max()), 0x7F80U);
}

TEST(Bfloat, OfNanIsNanEvenWhenItsPayloadIsCutOff) {
    EXPECT_TRUE(std::isnan(bfloat_to_float(float_to_bfloat(std::bit_cast<float>(0x7F800001U)))));
    EXPECT_TRUE(is_nan_half(float_to_half(std::bit_cast<float>(0x7F800001U))));
}

TEST(Floats, OfBytesAtAnOddAddressAreRead) {
    std::array<double, 2> const values{1.5, -0.1};
    std::vector<std::byte> bytes(1 + sizeof values);
    std::memcpy(bytes.data() + 1, values.data(), sizeof values);
    std::array<float, 2> read{};
    to_float(Dtype::f64, std::span{bytes}.subspan(1), read);
    EXPECT_EQ(read, (std::array{1.5F, -0.1F}));
}

TEST(Floats, OfIntegersOrOfTheWrongNumberOfBytesAreRefused) {
    std::array<std::byte, 8> bytes{};
    std::array<float, 2> values{};
    EXPECT_THROW(to_float(Dtype::i32, bytes, values), InputError);
    EXPECT_THROW(to_float(Dtype::f64, bytes, values), InputError);
    EXPECT_THROW(from_float(Dtype::f64, std::span{values}.first(1), bytes), InputError);
    EXPECT_THROW(from_float(Dtype::f16, values, bytes), InputError);
}

TEST(Floats, GoToHalvesAndBackWithinHalfAUnitOfTheLastPlace) {
    RandomStream const random{2, "halves"};
    std::vector<float> values(200'000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i));
    std::vector<std::byte> bytes(2 * values.size());
    std::vector<float> back(values.size());
    from_float(Dtype::f16, values, bytes);
    to_float(Dtype::f16, bytes, back);
    for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_LE(std::abs(back[i] - values[i]), std::max(0x1p-11F * std::abs(values[i]), 0x1p-25F));
    }
}

TEST(DtypeNames, AreThoseOfSafetensorsBothWays) {
    EXPECT_EQ(dtype_named("BF16"), Dtype::bf16);
    EXPECT_EQ(dtype_named("bf16"), std::nullopt);
    for (auto type = 0; type <= static_cast<int>(Dtype::u64); ++type) {
        EXPECT_EQ(dtype_named(name(static_cast<Dtype>(type))), static_cast<Dtype>(type));
    }
}

TEST(FindNonfinite, GivesTheFirstNaNOrInfinity) {
    std::vector<float> values(10000, std::numeric_limits<float>::max());
    EXPECT_EQ(find_nonfinite(values), std::nullopt);
    values[9007] = std::numeric_limits<float>::quiet_NaN();
    values[9004] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(find_nonfinite(values), 9004U);
}

}  // namespace
}  // namespace samner::weights
