#include "infer/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace samner::infer {
namespace {

std::vector<float> const logits{1.0F, 3.0F, -2.0F, 2.0F, 3.0F, 0.5F};

std::int32_t drawn(Sampling const& sampling, double uniform, std::vector<float> values = logits) {
    return sample(values, sampling, uniform);
}

/// How the numbers from 0 to 1 are shared out among tokens.
std::vector<double> shares(Sampling const& sampling, std::vector<float> const& values) {
    constexpr int steps = 20000;
    std::vector<double> share(values.size());
    for (int i = 0; i < steps; ++i)
        share[static_cast<std::size_t>(drawn(sampling, (i + 0.5) / steps, values))] += 1.0 / steps;
    return share;
}

TEST(Sampling, AtTemperatureZeroTakesTheLowestOfTheMostLikelyTokens) {
    for (double const uniform : {0.0, 0.5, 0.999}) EXPECT_EQ(drawn({}, uniform), 1);
    EXPECT_EQ(drawn({.temperature = 1e-300}, 0.9), 1);
}

TEST(Sampling, SharesNumbersOutAsTheSoftmaxOfTheTemperatureDoes) {
    for (double const temperature : {0.3, 1.0, 2.5}) {
        std::vector<double> expected;
        for (float const value : logits) expected.push_back(std::exp(static_cast<double>(value) / temperature));
        auto const total = std::accumulate(expected.begin(), expected.end(), 0.0);
        auto const share = shares({.temperature = temperature}, logits);
        for (std::size_t i = 0; i < logits.size(); ++i)
            EXPECT_NEAR(share[i], expected[i] / total, 1.5e-4) << temperature << " " << i;
    }
}

TEST(Sampling, ByTopPKeepsTheFewestTokensThatReachTheSum) {
    // Probabilities by rank: 0.386 (1), 0.386 (4), 0.142 (3), 0.052 (0), 0.032 (5), 0.003 (2).
    auto const kept = [&](double top_p) {
        auto const share = shares({.temperature = 1, .top_p = top_p}, logits);
        return std::ranges::count_if(share, [](double s) { return s > 0; });
    };
    EXPECT_EQ(kept(0.3), 1);
    EXPECT_EQ(kept(0.5), 2);
    EXPECT_EQ(kept(0.8), 3);
    EXPECT_EQ(kept(0.98), 5);
    EXPECT_EQ(kept(1.0), 6);
    EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.3}, 0.999), 1) << "of equal ones the lowest comes first";
    auto const share = shares({.temperature = 1, .top_p = 0.5}, logits);
    EXPECT_NEAR(share[1], 0.5, 1e-4);
    EXPECT_NEAR(share[4], 0.5, 1e-4);
}

TEST(Sampling, ByTopPFromALargeVocabularyIsThatOfASortedOne) {
    RandomStream const random{1, "logits"};
    std::vector<float> values(1000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i));
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>{}, [&](std::size_t i) { return values[i]; });
    double total = 0;
    for (float const value : values) total += std::exp(static_cast<double>(value));
    double sum = 0;
    std::size_t count = 0;
    while (sum < 0.9 * total) sum += std::exp(static_cast<double>(values[order[count++]]));
    ASSERT_GT(count, 200U);
    double reached = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto const weight = std::exp(static_cast<double>(values[order[i]]));
        EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.9}, (reached + weight / 2) / sum, values),
                  static_cast<std::int32_t>(order[i]));
        reached += weight;
    }
}

TEST(Sampling, NeverDrawsATokenOfMinusInfinity) {
    std::vector<float> values(40, -std::numeric_limits<float>::infinity());
    values[7] = 1.0F;
    values[9] = 0.0F;
    for (double const uniform : {0.0, 0.2, 0.8, 0.9999999999999999}) {
        auto const token = drawn({.temperature = 1}, uniform, values);
        EXPECT_TRUE(token == 7 || token == 9) << token;
    }
}

TEST(Sampling, RefusesSettingsOutOfRange) {
    auto const nan = std::numeric_limits<double>::quiet_NaN();
    for (double const temperature : {-0.1, nan, std::numeric_limits<double>::infinity()})
        EXPECT_THROW(check({.temperature = temperature}), InputError);
    for (double const top_p : {0.0, -1.0, 1.1, nan}) EXPECT_THROW(check({.top_p = top_p}), InputError);
    EXPECT_NO_THROW(check({.temperature = 0.7, .top_p = 0.9, .seed = 3}));
}

}  // namespace
}  // namespace samner::infer
