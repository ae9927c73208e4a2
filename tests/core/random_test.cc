#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace samner {
namespace {

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
    using Words = std::array<std::uint32_t, 4>;
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, DependsOnSeedPurposeAndIndexOnly) {
    RandomStream const stream{1, "shuffle"};
    EXPECT_EQ(stream.bits(7), (RandomStream{1, "shuffle"}.bits(7)));
    EXPECT_NE(stream.bits(7), stream.bits(8));
    EXPECT_NE(stream.bits(7), (RandomStream{2, "shuffle"}.bits(7)));
    EXPECT_NE(stream.bits(7), (RandomStream{1, "dropout"}.bits(7)));
}

TEST(RandomStream, HasTheMomentsOfItsDistributions) {
    RandomStream const stream{3, "moments"};
    constexpr int n = 20000;
    double mean = 0, normal_mean = 0, normal_square = 0;
    for (int i = 0; i < n; ++i) {
        mean += stream.uniform(i) / n;
        auto const x = stream.normal(i);
        normal_mean += x / n;
        normal_square += x * x / n;
    }
    EXPECT_NEAR(mean, 0.5, 5 * 0.2887 / std::sqrt(n));  // five standard errors
    EXPECT_NEAR(normal_mean, 0.0, 5 / std::sqrt(n));
    EXPECT_NEAR(normal_square, 1.0, 5 * std::sqrt(2.0 / n));
}

TEST(RandomStream, PermutesWithoutLossAndBelowItsBound) {
    RandomStream const stream{5, "permutation"};
    auto order = stream.permutation(100);
    std::ranges::sort(order);
    for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
    for (int i = 0; i < 1000; ++i) EXPECT_LT(stream.below(3, i), 3U);
}

}  // namespace
}  // namespace samner
