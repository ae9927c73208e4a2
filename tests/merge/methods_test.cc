#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/fields.h"
#include "core/random.h"
#include "merge/golden.h"
#include "merge/held_modules.h"
#include "merge/model.h"

namespace samner::merge {
namespace {

std::filesystem::path const adapter_folder = std::filesystem::path{SAMNER_TEST_DATA} / "golden/merging";
std::filesystem::path const oracle_folder = std::filesystem::path{SAMNER_TEST_DATA} / "merging";

std::vector<float> normal_values(std::size_t size, std::string const& purpose) {
    RandomStream const stream{5, purpose};
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(stream.normal(i));
    return values;
}

MergeOptions parse_options(Json const& json) {
    MergeOptions options;
    options.method = parse_method(json.at("method").get<std::string>());
    options.density = json.value("density", 1.0);
    options.gamma = json.value("gamma", options.gamma);
    options.epsilon = json.value("epsilon", options.epsilon);
    options.seed = json.value("seed", options.seed);
    options.sign = value_named<Sign>(json.value("sign", "total"), "sign", "test");
    options.rescale = value_named<Rescale>(json.value("rescale", "expected"), "rescale", "test");
    options.normalize = value_named<Normalize>(json.value("normalize", "method"), "normalize", "test");
    options.trim_over = value_named<TrimOver>(json.value("trim_over", "tensor"), "trim_over", "test");
    options.elect_weighted = json.value("elect_weighted", false);
    options.keep_at_least_one = json.value("keep_at_least_one", false);
    options.majority_decides = json.value("majority_decides", false);
    return options;
}

struct Adapter {
    GoldenTensors tensors;
    double alpha;
    std::int64_t rank;
};

/// The largest difference, relative to the expected value where that is above 1. Where weights of opposite signs nearly
/// cancel in a denominator, the result and its error grow alike: by (sqrt(1.5) + 1) / (sqrt(1.5) - 1), ten roundings.
double worst_difference(std::span<float const> actual, std::vector<float> const& expected) {
    EXPECT_EQ(actual.size(), expected.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
        double const scale = std::max(1.0, std::fabs(double{expected[i]}));
        worst = std::max(worst, std::fabs(double{actual[i]} - double{expected[i]}) / scale);
    }
    return worst;
}

TEST(MergeMethods, AgreeWithAFloat64OracleInBothSpaces) {
    constexpr double tolerance = 1e-6;  // float32 against float64, as in golden/merging/README.md
    auto const cases = read_json(oracle_folder / "methods.cases.json");
    auto const expected = read_golden(oracle_folder / "methods.expected.safetensors");
    auto const modules = read_json(adapter_folder / "modules.json");
    ASSERT_EQ(cases.size(), 39U);
    for (auto const& entry : cases) {
        auto const names = entry.at("adapters").get<std::vector<std::string>>();
        auto const weights = entry.at("weights").get<std::vector<double>>();
        auto const space = value_named<Space>(entry.at("space").get<std::string>(), "space", "test");
        std::vector<Adapter> adapters;
        for (auto const& name : names) {
            auto const config = read_json(adapter_folder / "adapters" / name / "adapter_config.json");
            adapters.push_back({read_golden(adapter_folder / "adapters" / name / "adapter_model.safetensors"),
                                config.at("lora_alpha").get<double>(), config.at("r").get<std::int64_t>()});
        }
        std::vector<HeldModule> inputs;
        for (auto const& [module, shape] : modules.items()) {
            auto& input = inputs.emplace_back(module, std::vector<Factors>{});
            for (std::size_t i = 0; i < names.size(); ++i) {
                auto const& tensors = adapters[i].tensors;
                input.experts.push_back({tensors.at("base_model.model." + module + ".lora_A.weight").values,
                                         tensors.at("base_model.model." + module + ".lora_B.weight").values,
                                         adapters[i].rank, adapters[i].alpha / static_cast<double>(adapters[i].rank),
                                         weights[i], names[i]});
            }
        }
        auto const options = parse_options(entry.at("options"));
        auto const merge = model_merge(options, space, inputs);
        for (std::size_t m = 0; m < inputs.size(); ++m) {
            auto const prefix = entry.at("name").get<std::string>() + "/" + inputs[m].name + "/";
            SCOPED_TRACE(prefix + " " + entry.dump());
            if (space == Space::factor) {
                MergedFactors out;
                merge.factors(m, out);
                EXPECT_LE(worst_difference(out.a, expected.at(prefix + "A").values), tolerance);
                EXPECT_LE(worst_difference(out.b, expected.at(prefix + "B").values), tolerance);
                continue;
            }
            auto const& delta = expected.at(prefix + "delta").values;
            std::vector<float> out(delta.size());
            merge.delta(m, out);
            EXPECT_LE(worst_difference(out, delta), tolerance);
        }
    }
}

/// Two experts of rank 2 with orthogonal updates of norms 3 and 4, and one parallel to the first.
struct Small {
    std::vector<float> a{1, 0, 0, 0};  // rank 1, in 4
    std::vector<float> b3{3, 0};
    std::vector<float> b4{0, 4};
    std::vector<float> b6{6, 0};
    Factors three{a, b3, 1, 1.0, 1.0, "x"};
    Factors four{a, b4, 1, 1.0, 1.0, "y"};
    Factors six{a, b6, 1, 1.0, 1.0, "z"};
};

std::vector<float> delta_of(Method method, std::vector<Factors> const& experts) {
    std::vector<float> out(8);
    merge_delta({.method = method}, "m", experts, out);
    return out;
}

TEST(MergeMethods, GeometricOnesGiveWhatIsComputedByHand) {
    Small s;
    // Orthogonal: sin(45) / sin(90) of both.
    EXPECT_NEAR(delta_of(Method::slerp, {s.three, s.four})[0], 3 / std::numbers::sqrt2, 1e-6);
    EXPECT_NEAR(delta_of(Method::slerp, {s.three, s.four})[4], 4 / std::numbers::sqrt2, 1e-6);
    // cos = 0: all the way back to the base. Parallel: the mean.
    EXPECT_EQ(delta_of(Method::model_stock, {s.three, s.four}), std::vector<float>(8));
    EXPECT_NEAR(delta_of(Method::model_stock, {s.three, s.six})[0], 4.5, 1e-6);
    // Half way round the quarter circle, at the mean norm; parallel: the mean.
    EXPECT_NEAR(delta_of(Method::karcher, {s.three, s.four})[0], 3.5 / std::numbers::sqrt2, 1e-6);
    EXPECT_NEAR(delta_of(Method::karcher, {s.three, s.four})[4], 3.5 / std::numbers::sqrt2, 1e-6);
    EXPECT_NEAR(delta_of(Method::karcher, {s.three, s.six})[0], 4.5, 1e-6);
}

TEST(MergeMethods, RefuseARankThatIsLargerThanTheLayer) {
    Small s;
    for (auto const method : {Method::svd, Method::ties_svd}) {
        MergedFactors out;
        EXPECT_THROW(merge_factors({.method = method, .rank = 1'000'000}, "m", std::vector{s.three, s.four}, out),
                     InputError)
            << to_string(method);
    }
}

TEST(MergeMethods, GeometricOnesTruncateToTheSameUpdateWhereTheRankIsEnough) {
    Small s;
    for (auto const method : {Method::slerp_svd, Method::model_stock_svd, Method::karcher_svd}) {
        MergedFactors out;
        merge_factors({.method = method, .rank = 2}, "m", std::vector{s.three, s.four}, out);
        std::vector<float> product(8);
        expand({.a = out.a, .b = out.b, .rank = out.rank}, product);
        auto const exact = delta_of(operator_of(method), {s.three, s.four});
        EXPECT_LE(worst_difference(product, exact), 1e-6) << to_string(method);
    }
}

TEST(MergeMethods, AnAbsentExpertIsAZeroUpdateInGeometricOnes) {
    Small s;
    Factors const absent{.identity = "0"};
    EXPECT_NEAR(delta_of(Method::karcher, {s.three, absent})[0], 1.5, 1e-6);
    EXPECT_NEAR(delta_of(Method::slerp, {s.three, absent})[0], 1.5, 1e-6);
    EXPECT_EQ(delta_of(Method::model_stock, {s.three, absent})[0], 0.0F);
}

TEST(MergeMethods, AnAbsentExpertsWeightCountsInAWeightedMean) {
    Small s;
    Factors const absent{.weight = 3.0, .identity = "0"};
    std::vector<float> out(8);
    merge_delta({.method = Method::linear, .normalize = Normalize::weights}, "m", std::vector{s.three, absent}, out);
    EXPECT_EQ(out[0], 0.75F);
}

TEST(MergeMethods, WhatCannotBeMergedGeometricallyIsRefused) {
    Small s;
    EXPECT_THROW(delta_of(Method::slerp, {s.three, s.four, s.six}), InputError);
    s.four.weight = -1.0;
    EXPECT_THROW(delta_of(Method::karcher, {s.three, s.four}), InputError);
    EXPECT_NO_THROW(delta_of(Method::model_stock, {s.three, s.four}));
    MergedFactors out;
    EXPECT_THROW(merge_factors({.method = Method::model_stock}, "m", std::vector{s.three, s.six}, out), InputError);
}

TEST(MergeMethods, InnerProductsOfFactorsAreThoseOfTheProducts) {
    auto const a0 = normal_values(3 * 20, "a0");
    auto const b0 = normal_values(15 * 3, "b0");
    auto const a1 = normal_values(5 * 20, "a1");
    auto const b1 = normal_values(15 * 5, "b1");
    std::vector<Factors> const experts{{a0, b0, 3, 2.0, 9.0, "p"}, {a1, b1, 5, -0.5, 1.0, "q"}, {.identity = "r"}};
    std::vector<float> d0(300);
    std::vector<float> d1(300);
    expand(experts[0], d0);
    expand(experts[1], d1);
    auto const products = inner_products(std::span{experts});
    auto const dense = inner_products(std::vector<std::span<float const>>{d0, d1, {}});
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j)
            EXPECT_NEAR(products.at(i, j), dense.at(i, j), 1e-5 * (1.0 + std::fabs(dense.at(0, 0))));
    EXPECT_TRUE(std::isnan(products.cosine(0, 2)));
}

TEST(MergeMethods, BreadcrumbsKeepExactlyKOfTheBandBelowTheOutliers) {
    auto values = normal_values(1000, "band");
    std::vector<Contribution> const one{{values, 1.0F, 0.3, "a"}};
    std::vector<float> out(1000);
    merge_tensor(recipe_of({.method = Method::breadcrumbs, .gamma = 0.1}), "t", one, out);
    EXPECT_EQ(std::count(out.begin(), out.end(), 0.0F), 700);
    std::vector<float> sorted(values);
    std::ranges::sort(sorted, std::greater<>{}, [](float v) { return std::fabs(v); });
    for (std::size_t i = 0; i < 1000; ++i) {
        auto const kept = std::find(out.begin(), out.end(), sorted[i]) != out.end();
        EXPECT_EQ(kept, i >= 100 && i < 400) << i;
    }
}

TEST(MergeMethods, DellaKeepsLargeElementsMoreOftenAndTheirExpectation) {
    constexpr std::size_t size = 100000;
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = 1.0F + static_cast<float>(i) / size;
    std::vector<float> out(size);
    Counts counts;
    auto const recipe = recipe_of({.method = Method::della_linear, .seed = 3, .epsilon = 0.4});
    merge_tensor(recipe, "t", std::vector<Contribution>{{values, 1.0F, 0.5, "a"}}, out, &counts);
    auto const middle = out.begin() + size / 2;
    double const lower = static_cast<double>(std::count_if(out.begin(), middle, [](float v) { return v != 0; }));
    double const upper = static_cast<double>(std::count_if(middle, out.end(), [](float v) { return v != 0; }));
    double const deviation = std::sqrt(size / 2 * 0.25);
    EXPECT_NEAR(lower, 0.3 * size / 2, 6 * deviation);
    EXPECT_NEAR(upper, 0.7 * size / 2, 6 * deviation);
    EXPECT_EQ(static_cast<double>(counts.kept[0]), lower + upper);
    double sum = 0.0;
    for (auto const value : out) sum += value;
    EXPECT_NEAR(sum / size, 1.5, 6 * 2.0 * 3.0 / std::sqrt(size));  // an element's deviation: 2 sqrt(1 / 0.1 - 1)
}

TEST(MergeMethods, DellaRanksLongAndShortRowsByMagnitudeWithTheFirstOfEqualsHighest) {
    for (std::size_t const row : {3U, 50U, 1000U, 2501U}) {
        auto values = normal_values(4 * row, "rows");
        for (std::size_t i = 0; i < values.size(); i += 3) values[i] = i % 2 == 0 ? 0.5F : -0.5F;
        std::vector<float> out(values.size());
        Contribution const one{.values = values, .density = 0.5, .identity = "a", .row = row};
        merge_tensor(recipe_of({.method = Method::della_linear, .epsilon = 0.4}), "t", std::span{&one, 1}, out);
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (out[i] == 0.0F) continue;
            std::size_t below = 0;
            for (std::size_t j = i / row * row; j < (i / row + 1) * row; ++j)
                below += std::fabs(values[j]) < std::fabs(values[i]) ||
                         (std::fabs(values[j]) == std::fabs(values[i]) && j > i);
            double const kept = 0.1 + 0.8 * static_cast<double>(below) / static_cast<double>(row - 1);
            ASSERT_NEAR(values[i] / out[i], kept, 1e-6) << row << " " << i;
        }
        Contribution const uneven{.values = values, .density = 0.5, .identity = "a", .row = values.size() - 1};
        EXPECT_THROW(merge_tensor({}, "t", std::span{&uneven, 1}, out), InputError);
    }
}

TEST(MergeMethods, RestoringTheSumOfMagnitudesDoesSo) {
    auto const values = normal_values(5000, "l1");
    std::vector<float> out(5000);
    MergeOptions const options{.method = Method::dare_linear, .rescale = Rescale::l1};
    merge_tensor(recipe_of(options), "t", std::vector<Contribution>{{values, 1.0F, 0.4, "a"}}, out);
    double before = 0.0;
    double after = 0.0;
    for (std::size_t i = 0; i < out.size(); ++i) {
        before += std::fabs(values[i]);
        after += std::fabs(out[i]);
    }
    EXPECT_NEAR(after, before, 1e-6 * before);
}

TEST(MergeMethods, TheModelsMajorityDecidesAnElectionThatCancelsOut) {
    std::vector<float> const a{1, 2};
    std::vector<float> const b{-1, -3};
    std::vector<float> const minus{-2, -2};
    for (auto const& [others, sign] : {std::pair{a, 1.0F}, std::pair{b, -1.0F}}) {
        std::vector<float> const plus{5, 1};
        std::vector<float> const opposite{-5, 1};
        // A of the second module cancels in its first element; everything else decides.
        HeldModule const first{"m0", {{others, others, 1, 1.0, 1.0, "x"}, {others, others, 1, 1.0, 1.0, "y"}}};
        HeldModule const second{"m1", {{plus, plus, 1, 1.0, 1.0, "x"}, {opposite, plus, 1, 1.0, 1.0, "y"}}};
        std::vector<HeldModule> modules{first, second};
        if (sign < 0) modules.push_back({"m2", {{minus, minus, 1, 1.0, 1.0, "x"}, {minus, minus, 1, 1.0, 1.0, "y"}}});
        auto const options = follow(Compatibility::ties_original, {.method = Method::ties, .density = 1.0});
        MergedFactors out;
        model_merge(options, Space::factor, modules).factors(1, out);
        EXPECT_EQ(out.a[0], 5.0F * sign);
    }
}

TEST(MergeMethods, TrimmingOverTheModelMayEmptyATensor) {
    std::vector<float> const large(6, 3.0F);
    std::vector<float> const small(6, 0.01F);
    std::vector<HeldModule> const modules{{"m0", {{large, large, 1, 1.0, 1.0, "x"}, {.identity = "y"}}},
                                          {"m1", {{small, small, 1, 1.0, 1.0, "x"}, {.identity = "y"}}}};
    MergedFactors out;
    auto const merge =
        model_merge({.method = Method::ties, .density = 0.25, .trim_over = TrimOver::model}, Space::factor, modules);
    merge.factors(0, out);
    EXPECT_EQ(out.a, large) << "all that reach the threshold stay";
    merge.factors(1, out);
    EXPECT_EQ(out.a, std::vector<float>(6));
}

TEST(MergeMethods, LambdaGoesIntoTheScaling) {
    Small s;
    MergedFactors out;
    merge_factors({.method = Method::ties, .density = 1.0, .lambda = 0.5}, "m", std::vector{s.three, s.four}, out);
    EXPECT_EQ(out.scaling, 0.5);
    std::vector<float> delta(8);
    merge_delta({.method = Method::linear, .lambda = 0.5}, "m", std::vector{s.three, s.six}, delta);
    EXPECT_EQ(delta[0], 4.5F);
}

TEST(MergeMethods, OptionsThatContradictEachOtherAreRefused) {
    EXPECT_THROW(validate({.method = Method::della, .density = 0.9, .epsilon = 0.15}), InputError);
    EXPECT_NO_THROW(validate({.method = Method::della, .density = 1.0, .epsilon = 0.15}));
    EXPECT_THROW(validate({.method = Method::breadcrumbs, .gamma = 1.0}), InputError);
    EXPECT_THROW(validate({.method = Method::linear, .trim_over = TrimOver::model}), InputError);
    EXPECT_THROW(validate({.sign = Sign::frequency, .majority_decides = true}), InputError);
    EXPECT_THROW(validate({.method = Method::karcher, .normalize = Normalize::weights}), InputError);
    EXPECT_THROW(validate({.lambda = std::numeric_limits<double>::infinity()}), InputError);
}

TEST(MergeMethods, CompatibilityModesSetThePeersSwitches) {
    MergeOptions const dare{.method = Method::dare_linear};
    EXPECT_EQ(follow(Compatibility::peft_0_18, dare).rescale, Rescale::none);
    EXPECT_EQ(follow(Compatibility::peft, dare).rescale, Rescale::expected);
    EXPECT_TRUE(follow(Compatibility::peft, dare).operate_on_single);
    EXPECT_EQ(follow(Compatibility::mergekit, dare).normalize, Normalize::none);
    EXPECT_EQ(follow(Compatibility::mergekit, {.method = Method::ties_svd}).normalize, Normalize::weights);
    EXPECT_EQ(follow(Compatibility::ties_original, {}).trim_over, TrimOver::model);
    EXPECT_EQ(value_named<Compatibility>("peft-0.18", "compatibility", "test"), Compatibility::peft_0_18);
}

}  // namespace
}  // namespace samner::merge
