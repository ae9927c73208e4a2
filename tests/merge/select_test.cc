#include "merge/select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"

namespace samner::merge {
namespace {

std::vector<float> normal_values(std::size_t size, std::string_view purpose, double step = 0.0) {
    RandomStream const stream{7, purpose};
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) {
        double const x = stream.normal(i);
        values[i] = static_cast<float>(step > 0.0 ? std::round(x / step) * step : x);
    }
    return values;
}

/// By a stable sort: the k largest magnitudes, lowest index first among equals.
std::vector<float> keep_by_sorting(std::vector<float> const& values, std::size_t k) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](auto i, auto j) { return std::fabs(values[i]) > std::fabs(values[j]); });
    std::vector<float> kept(values.size());
    for (std::size_t i = 0; i < std::min(k, order.size()); ++i) kept[order[i]] = values[order[i]];
    return kept;
}

std::vector<float> keep_by_cut(std::vector<float> const& values, std::size_t k, std::size_t piece) {
    auto const cut = find_cut(values, k);
    std::vector<float> kept(values.size());
    for (std::size_t begin = 0; begin < values.size(); begin += piece)
        apply_cut(cut, std::span{values}.subspan(begin, std::min(piece, values.size() - begin)), begin,
                  kept.data() + begin);
    return kept;
}

TEST(MergeSelect, KeepsTheLargestMagnitudes) {
    for (std::size_t const size : {1U, 2U, 160U, 5000U}) {
        auto const values = normal_values(size, "distinct");
        for (std::size_t k = 0; k <= size; k += std::max<std::size_t>(1, size / 9))
            EXPECT_EQ(keep_by_cut(values, k, 64), keep_by_sorting(values, k)) << k << " of " << size;
    }
}

TEST(MergeSelect, TiesAtTheThresholdGoToTheLowestIndex) {
    auto const values = normal_values(5000, "tied", 0.25);
    for (std::size_t k = 0; k <= values.size(); k += 53)
        EXPECT_EQ(keep_by_cut(values, k, 100), keep_by_sorting(values, k)) << k;
}

TEST(MergeSelect, ExactlyKAreKeptOfEqualElements) {
    std::vector<float> const values(1000, -0.5F);
    auto const kept = keep_by_cut(values, 333, 77);
    EXPECT_EQ(std::count(kept.begin(), kept.end(), -0.5F), 333);
    EXPECT_TRUE(std::all_of(kept.begin(), kept.begin() + 333, [](float x) { return x == -0.5F; }));
}

TEST(MergeSelect, TheDensityIsTakenInDouble) {
    EXPECT_EQ(kept_elements(0.7, 160), 112U);
    EXPECT_EQ(kept_elements(0.5, 7), 3U);
    EXPECT_EQ(kept_elements(1.0, 7), 7U);
}

TEST(MergeSelect, TheCutDoesNotDependOnThreads) {
    auto const values = normal_values(300000, "threads", 0x1.0p-8);
    std::vector<Cut> cuts;
    for (int const threads : {1, 2, 4}) {
        set_num_threads(threads);
        cuts.push_back(find_cut(values, 123456));
    }
    set_num_threads(1);
    for (auto const& cut : cuts) {
        EXPECT_EQ(cut.threshold, cuts.front().threshold);
        EXPECT_EQ(cut.end_at_threshold, cuts.front().end_at_threshold);
    }
}

}  // namespace
}  // namespace samner::merge
