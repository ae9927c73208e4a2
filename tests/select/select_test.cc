#include "select/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace samner::select {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(DomainSimilarity, IsTheCosineWhateverTheLengths) {
    std::vector<float> const target{3, 4};
    std::vector<float> const experts{6, 8, -3, -4, 4, -3, 3, 0, 0, 0};
    EXPECT_THAT(domain_similarity(target, experts), ElementsAre(DoubleNear(1, 1e-15), DoubleNear(-1, 1e-15),
                                                                DoubleNear(0, 1e-15), DoubleNear(0.6, 1e-15), 0.0));
    EXPECT_THROW(domain_similarity(target, std::vector<float>{1, 2, 3}), InputError);
    EXPECT_THROW(domain_similarity({}, {}), InputError);
}

TEST(Fused, ScalesBothMetricsOverThePoolBeforeAveraging) {
    EXPECT_THAT(fused(std::vector{0.2, 0.4, 0.3}, std::vector{10.0, 0.0, 5.0}),
                ElementsAre(0.5, 0.5, DoubleNear(0.5, 1e-15)));
    EXPECT_THAT(fused(std::vector{0.2, 0.2}, std::vector{0.0, 1.0}), ElementsAre(0.0, 0.5));
    EXPECT_THROW(fused(std::vector{0.2}, std::vector{0.0, 1.0}), InputError);
}

TEST(Choose, TakesTheBestAndBreaksTiesBySimilarityThenName) {
    std::vector<std::string> const names{"stem", "news", "legal", "biomedical"};
    std::vector<double> const metric{0.5, 0.7, 0.5, 0.5};
    EXPECT_THAT(choose(names, metric, std::vector{0.1, 0.1, 0.9, 0.1}, 4), ElementsAre(1, 2, 3, 0));
    EXPECT_THAT(choose(names, metric, metric, 1), ElementsAre(1));
    EXPECT_THROW(choose(names, metric, metric, 5), InputError);
    EXPECT_THROW(choose(names, metric, metric, 0), InputError);
}

TEST(BeforeGap, CutsAtTheLargestGapBetweenNeighbours) {
    // Sorted 0.9 0.8 0.5 0.4: gaps 0.1 0.3 0.1.
    EXPECT_EQ(before_gap(std::vector{0.5, 0.9, 0.4, 0.8}), 2U);
    EXPECT_EQ(before_gap(std::vector{1.0, 0.0}), 1U);
    EXPECT_EQ(before_gap(std::vector{0.0, 3.0, 3.0, 2.0}), 3U);
    EXPECT_EQ(before_gap(std::vector{8.0, 4.0, 0.0}), 1U) << "of equal gaps the first";
    EXPECT_EQ(before_gap(std::vector{-0.5}), 1U);
    EXPECT_EQ(before_gap(std::vector{0.25, 0.25, 0.25}), 3U) << "nothing tells them apart";
    EXPECT_THROW(before_gap({}), InputError);
}

TEST(AboveMean, CountsThoseAboveTheMeanOfThePool) {
    EXPECT_EQ(above_mean(std::vector{0.5, 0.875, 0.25, 0.75}), 2U);  // 0.59375
    EXPECT_EQ(above_mean(std::vector{1.0, 2.0, 3.0}), 1U) << "one that is the mean is not above it";
    EXPECT_EQ(above_mean(std::vector{-1.0, -1.0, -4.0}), 2U);
    EXPECT_EQ(above_mean(std::vector{0.5}), 1U);
    EXPECT_EQ(above_mean(std::vector{0.1, 0.1, 0.1}), 3U) << "whatever their mean is rounded to";
    EXPECT_THROW(above_mean({}), InputError);
}

}  // namespace
}  // namespace samner::select
