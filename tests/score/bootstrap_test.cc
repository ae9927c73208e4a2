#include "score/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace samner::score {
namespace {

/// Sentences with two entities each, of which a share is found.
std::vector<Counts> sentences(std::size_t size, double share, std::uint64_t seed) {
    RandomStream const random{seed, "counts"};
    std::vector<Counts> counts;
    for (std::size_t i = 0; i < size; ++i) {
        std::int64_t const right = (random.uniform(2 * i) < share) + (random.uniform(2 * i + 1) < share);
        counts.push_back({right, 2 - right, 2 - right});
    }
    return counts;
}

TEST(Bootstrap, CoversAsWideAsTheBinomialSpread) {
    // With as many wrong as missed entities F1 is the share of 2n independent draws: its deviation is known.
    TargetCounts const target{sentences(2000, 0.7, 1)};
    auto const interval = f1_interval(target, {.resamples = 4000});
    auto const f1 = mean_f1(target);
    auto const deviation = std::sqrt(f1 * (1 - f1) / 4000);
    // The quantiles of 4000 resamples err by about 3 % of a deviation; four times that.
    EXPECT_NEAR(interval.low, f1 - 1.96 * deviation, 0.15 * deviation);
    EXPECT_NEAR(interval.high, f1 + 1.96 * deviation, 0.15 * deviation);
}

TEST(Bootstrap, AveragesOverTargetsWhateverTheirSizes) {
    TargetCounts const targets{{{1, 0, 0}}, {{0, 1, 1}, {0, 1, 1}, {0, 1, 1}}};
    EXPECT_DOUBLE_EQ(mean_f1(targets), 0.5);
    auto const interval = f1_interval(targets, {});
    EXPECT_DOUBLE_EQ(interval.low, 0.5);  // within each target all sentences are alike
    EXPECT_DOUBLE_EQ(interval.high, 0.5);
    EXPECT_EQ(mean_f1(TargetCounts{}), 0.0);
    EXPECT_EQ(f1_interval(TargetCounts{}, {}).high, 0.0);
    EXPECT_EQ(f1_interval(TargetCounts{{}}, {}).high, 0.0);
}

TEST(Bootstrap, IsTheSameOnAnyNumberOfThreadsAndChangesWithTheSeed) {
    TargetCounts const target{sentences(300, 0.5, 2)};
    auto const threads = num_threads();
    set_num_threads(1);
    auto const one = f1_interval(target, {});
    set_num_threads(3);
    auto const three = f1_interval(target, {});
    set_num_threads(threads);
    EXPECT_EQ(one.low, three.low);
    EXPECT_EQ(one.high, three.high);
    EXPECT_NE(f1_interval(target, {.seed = 1}).low, one.low);
}

TEST(Bootstrap, IsNarrowerForLessConfidence) {
    TargetCounts const target{sentences(300, 0.5, 2)};
    auto const wide = f1_interval(target, {.confidence = 0.99});
    auto const narrow = f1_interval(target, {.confidence = 0.5});
    EXPECT_LT(wide.low, narrow.low);
    EXPECT_LT(narrow.high, wide.high);
}

TEST(PairedBootstrap, SeesADifferenceThatIsThereAndNoneThatIsNot) {
    TargetCounts const good{sentences(1000, 0.75, 3)};
    TargetCounts const bad{sentences(1000, 0.65, 4)};
    auto const clear = compare_f1(good, bad, {});
    EXPECT_NEAR(clear.difference, mean_f1(good) - mean_f1(bad), 1e-15);
    EXPECT_GT(clear.interval.low, 0);
    EXPECT_DOUBLE_EQ(clear.p_value, 1.0 / 1001);  // no resample is as far
    auto const turned = compare_f1(bad, good, {});
    EXPECT_NEAR(turned.interval.high, -clear.interval.low, 1e-15);
    auto const same = compare_f1(good, good, {});
    EXPECT_EQ(same.difference, 0);
    EXPECT_EQ(same.interval.low, 0);
    EXPECT_EQ(same.p_value, 1);
}

TEST(PairedBootstrap, DrawsTheSameSentencesForBothSystems) {
    // b misses one entity of every sentence that a finds: paired, the difference hardly varies; unpaired, it would.
    TargetCounts a{sentences(500, 0.5, 5)};
    TargetCounts b = a;
    for (auto& counts : b[0]) ++counts.false_negative;
    auto const paired = compare_f1(a, b, {});
    auto const alone = f1_interval(a, {});
    EXPECT_LT(paired.interval.high - paired.interval.low, 0.5 * (alone.high - alone.low));
    EXPECT_LT(paired.p_value, 0.01);
}

TEST(PairedBootstrap, RejectsATrueNullHypothesisAboutAsOftenAsItSays) {
    int rejected = 0;
    constexpr int trials = 400;
    for (std::uint64_t trial = 0; trial < trials; ++trial) {
        TargetCounts const a{sentences(100, 0.6, 1000 + 2 * trial)};
        TargetCounts const b{sentences(100, 0.6, 1001 + 2 * trial)};
        rejected += compare_f1(a, b, {.resamples = 200}).p_value <= 0.05;
    }
    // 20 expected, deviation 4.4
    EXPECT_GT(rejected, 4);
    EXPECT_LT(rejected, 40);
}

TEST(Bootstrap, RefusesWhatMakesNoSense) {
    TargetCounts const one{{{1, 0, 0}}};
    EXPECT_THROW(f1_interval(one, {.resamples = 0}), InputError);
    EXPECT_THROW(f1_interval(one, {.confidence = 1}), InputError);
    EXPECT_THROW(f1_interval(one, {.confidence = std::nan("")}), InputError);
    EXPECT_THROW(compare_f1(one, TargetCounts{{{1, 0, 0}, {1, 0, 0}}}, {}), InputError);
    EXPECT_THROW(compare_f1(one, TargetCounts{}, {}), InputError);
}

}  // namespace
}  // namespace samner::score
