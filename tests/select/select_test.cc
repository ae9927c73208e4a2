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

}  // namespace
}  // namespace samner::select
