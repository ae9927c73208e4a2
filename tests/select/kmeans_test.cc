#include "select/kmeans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace samner::select {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Points around the corners (0, 0), (10, 0), (0, 10), (10, 10) in turn.
std::vector<float> corners(std::size_t n) {
    RandomStream const noise{3, "noise"};
    std::vector<float> points;
    for (std::size_t i = 0; i < n; ++i) {
        points.push_back(static_cast<float>((i % 2 ? 10 : 0) + noise.normal(2 * i)));
        points.push_back(static_cast<float>((i / 2 % 2 ? 10 : 0) + noise.normal(2 * i + 1)));
    }
    return points;
}

double squared_distance(std::vector<float> const& points, std::size_t i, Clusters const& clusters, std::size_t c) {
    double sum = 0;
    for (std::size_t d = 0; d < 2; ++d) sum += std::pow(points[2 * i + d] - clusters.centers[2 * c + d], 2);
    return sum;
}

TEST(KMeans, FindsClustersThatLieApartAndNumbersThemByTheirFirstPoint) {
    auto const points = corners(200);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto const clusters = kmeans(points, 2, 4, seed);
        for (std::size_t i = 0; i < 200; ++i) ASSERT_EQ(clusters.labels[i], i % 4) << "seed " << seed;
    }
}

TEST(KMeans, EndsWhereEveryPointIsNearestItsCenterAndEveryCenterIsTheMeanOfItsPoints) {
    auto const points = corners(301);
    for (std::int64_t k : {1, 3, 7, 50}) {
        auto const clusters = kmeans(points, 2, k, 1);
        std::vector<double> sums(static_cast<std::size_t>(2 * k));
        std::vector<double> members(static_cast<std::size_t>(k));
        double inertia = 0;
        for (std::size_t i = 0; i < 301; ++i) {
            auto const label = static_cast<std::size_t>(clusters.labels[i]);
            auto const mine = squared_distance(points, i, clusters, label);
            for (std::size_t c = 0; c < members.size(); ++c)
                ASSERT_LE(mine, squared_distance(points, i, clusters, c) + 1e-9);
            inertia += mine;
            ++members[label];
            for (std::size_t d = 0; d < 2; ++d) sums[2 * label + d] += points[2 * i + d];
        }
        for (std::size_t c = 0; c < members.size(); ++c) {
            ASSERT_GT(members[c], 0);
            for (std::size_t d = 0; d < 2; ++d)
                EXPECT_NEAR(clusters.centers[2 * c + d], sums[2 * c + d] / members[c], 1e-9);
        }
        EXPECT_NEAR(clusters.inertia, inertia, 1e-6);
    }
}

TEST(KMeans, OfAsManyClustersAsPointsIsEachPointItself) {
    auto const points = corners(9);
    auto const clusters = kmeans(points, 2, 9, 5);
    EXPECT_EQ(clusters.inertia, 0);
    EXPECT_THAT(clusters.labels, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(KMeans, GivesTheSameBitsOnAnyNumberOfThreadsAndOthersWithAnotherSeed) {
    auto const points = corners(5000);
    auto const before = num_threads();
    auto const one = kmeans(points, 2, 40, 1);
    set_num_threads(3);
    auto const three = kmeans(points, 2, 40, 1);
    set_num_threads(before);
    EXPECT_EQ(one.labels, three.labels);
    EXPECT_EQ(one.centers, three.centers);
    EXPECT_EQ(one.inertia, three.inertia);
    EXPECT_NE(one.labels, kmeans(points, 2, 40, 2).labels);
}

TEST(KMeans, OfMoreClustersThanDistinctPointsIsAnError) {
    std::vector<float> const points{1, 1, 1, 2, 2, 2};
    EXPECT_THAT([&] { kmeans(points, 1, 3, 0); }, ThrowsMessage<InputError>(HasSubstr("of which 2 are distinct")));
    EXPECT_THROW(kmeans(points, 1, 7, 0), InputError);
    EXPECT_THROW(kmeans(points, 1, 0, 0), InputError);
    EXPECT_THROW(kmeans(points, 4, 1, 0), InputError);
}

}  // namespace
}  // namespace samner::select
