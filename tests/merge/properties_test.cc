#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "merge/adapter.h"
#include "merge/select.h"

namespace samner::merge {
namespace {

std::vector<Method> all_methods() {
    std::vector<Method> methods;
    for (auto const& name : method_names()) methods.push_back(parse_method(name));
    return methods;
}
constexpr double unit_roundoff = 0x1.0p-24;

std::vector<float> normal_values(std::size_t size, std::string const& purpose) {
    RandomStream const stream{11, purpose};
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(stream.normal(i));
    return values;
}

/// Adapters of one module, rank 4, update [30, 50].
struct Experts {
    std::vector<std::vector<float>> a;
    std::vector<std::vector<float>> b;
    std::vector<Factors> factors;

    explicit Experts(std::size_t count) {
        static constexpr std::string_view identities[] = {"f3", "0a", "77", "b2"};
        for (std::size_t i = 0; i < count; ++i) {
            a.push_back(normal_values(4 * 50, "a" + std::to_string(i)));
            b.push_back(normal_values(30 * 4, "b" + std::to_string(i)));
        }
        for (std::size_t i = 0; i < count; ++i)
            factors.push_back({a[i], b[i], 4, 2.0, 1.5 - 0.75 * static_cast<double>(i), identities[i]});
    }
};

MergedFactors merged(MergeOptions const& options, std::span<Factors const> experts) {
    MergedFactors out;
    merge_factors(options, "layer.q", experts, out);
    return out;
}

std::vector<float> merged_delta(MergeOptions const& options, std::span<Factors const> experts) {
    std::vector<float> out(30 * 50);
    merge_delta(options, "layer.q", experts, out);
    return out;
}

TEST(Merge, PermutingTheExpertsWithTheirWeightsChangesNoBitInEitherSpace) {
    for (auto const method : all_methods()) {
        bool const has_factors = method != Method::model_stock;  // refused in factor space
        for (auto const follows : {Compatibility::samner, Compatibility::mergekit}) {
            auto const options = follow(follows, {.method = method, .density = 0.4});
            Experts experts{operator_of(method) == Method::slerp ? 2U : 4U};
            if (is_geometric(method))
                for (auto& expert : experts.factors) expert.weight = std::fabs(expert.weight) + 0.25;
            auto const expected = has_factors ? merged(options, experts.factors) : MergedFactors{};
            auto const delta = merged_delta(options, experts.factors);
            std::ranges::sort(experts.factors, {}, &Factors::weight);
            do {
                EXPECT_EQ(merged_delta(options, experts.factors), delta) << to_string(method);
                if (!has_factors) continue;
                auto const permuted = merged(options, experts.factors);
                EXPECT_EQ(permuted.a, expected.a) << to_string(method);
                EXPECT_EQ(permuted.b, expected.b) << to_string(method);
            } while (std::ranges::next_permutation(experts.factors, {}, &Factors::weight).found);
        }
    }
}

TEST(Merge, OneExpertOfWeightOneComesBackAsItIs) {
    for (auto const method : all_methods()) {
        Experts experts{1};
        experts.factors[0].weight = 1.0;
        auto const out = merged({.method = method}, experts.factors);
        EXPECT_EQ(out.a, experts.a[0]) << to_string(method);
        EXPECT_EQ(out.b, experts.b[0]) << to_string(method);
        EXPECT_EQ(out.rank, 4);
        EXPECT_EQ(out.alpha(), 8.0);
    }
}

TEST(Merge, OneExpertIsTrimmedWhereThatIsAskedFor) {
    Experts experts{1};
    auto const out = merged({.method = Method::ties, .density = 0.5, .operate_on_single = true}, experts.factors);
    EXPECT_EQ(std::count(out.a.begin(), out.a.end(), 0.0F), 100);
}

TEST(Merge, AnAbsentModuleCountsAsAZeroUpdate) {
    Experts experts{2};
    experts.factors[1] = {.weight = 1.0, .identity = "99"};
    experts.factors[0].weight = 1.0;
    auto const out = merged({.method = Method::ties, .density = 0.5}, experts.factors);
    EXPECT_EQ(std::count(out.a.begin(), out.a.end(), 0.0F), 100) << "a module of one of two experts is trimmed";
    EXPECT_EQ(out.scaling, 1.0);
}

TEST(Merge, TiesOfFullDensityOnAgreeingSignsIsTheMean) {
    std::vector<std::vector<float>> tensors;
    for (auto const* name : {"x", "y", "z"}) {
        tensors.push_back(normal_values(5000, name));
        for (std::size_t i = 0; i < tensors.back().size(); ++i)
            tensors.back()[i] = std::copysign(tensors.back()[i], i % 3 == 0 ? -1.0F : 1.0F);
    }
    std::vector<Contribution> const contributions{
        {tensors[0], 1.0F, 1.0, "a"}, {tensors[1], 1.0F, 1.0, "b"}, {tensors[2], 1.0F, 1.0, "c"}};
    for (auto const sign : {Sign::total, Sign::frequency}) {
        std::vector<float> out(5000);
        merge_tensor(recipe_of({.method = Method::ties, .sign = sign}), "t", contributions, out);
        for (std::size_t i = 0; i < out.size(); ++i)
            ASSERT_EQ(out[i], (tensors[0][i] + tensors[1][i] + tensors[2][i]) / 3.0F);
    }
}

TEST(Merge, ExactlyKElementsOfEveryTensorAreKeptAlsoWhereMagnitudesAreEqual) {
    Experts experts{3};
    for (auto* factors : {&experts.a, &experts.b})
        for (auto& values : *factors)
            for (auto& value : values)
                value = std::copysign(std::ceil(std::fabs(value) * 2.0F), value);  // 1 to about 8
    for (auto const method : {Method::magnitude_prune, Method::ties, Method::breadcrumbs, Method::breadcrumbs_ties}) {
        for (double const density : {0.001, 0.1, 0.29, 0.5, 0.77, 0.999}) {
            MergeOptions const options{.method = method, .density = density};
            Counts counts;
            MergedFactors out;
            merge_factors(options, "layer.q", experts.factors, out, {.counts = &counts});
            auto const k = static_cast<std::uint64_t>(density * 200) + static_cast<std::uint64_t>(density * 120);
            EXPECT_THAT(counts.kept, testing::Each(k)) << to_string(method) << " " << density;
        }
    }
}

/// Facts of the operator in double, by the definition: an independent loop, element by element.
double ties_oracle(std::vector<std::vector<float>> const& trimmed, std::vector<float> const& weights, std::size_t at,
                   Sign sign, double& terms) {
    double elected = 0.0;
    for (auto const& tensor : trimmed)
        elected += sign == Sign::total ? double{tensor[at]} : double((tensor[at] > 0) - (tensor[at] < 0));
    double sum = 0.0;
    int count = 0;
    terms = 0.0;
    for (std::size_t i = 0; i < trimmed.size(); ++i) {
        double const x = trimmed[i][at];
        if (elected >= 0 ? x > 0 : x < 0) {
            sum += weights[i] * x;
            terms += std::fabs(weights[i] * x);
            ++count;
        }
    }
    return sum / std::max(1, count);
}

TEST(Merge, TiesAgreesWithADoubleOracleWithinTheRoundingOfItsSums) {
    std::vector<std::vector<float>> tensors;
    std::vector<std::vector<float>> trimmed;
    std::vector<float> const weights{0.3F, 1.7F, -0.6F};
    std::vector<Contribution> contributions;
    for (auto const* name : {"p", "q", "r"}) tensors.push_back(normal_values(40000, name));
    for (std::size_t i = 0; i < 3; ++i) {
        static constexpr std::string_view identities[] = {"a", "b", "c"};
        auto const cut = find_cut(tensors[i], kept_elements(0.3, tensors[i].size()));
        trimmed.emplace_back(tensors[i].size());
        apply_cut(cut, tensors[i], 0, trimmed[i].data());
        contributions.push_back({tensors[i], weights[i], 0.3, identities[i]});
    }
    for (auto const sign : {Sign::total, Sign::frequency}) {
        std::vector<float> out(40000);
        merge_tensor(recipe_of({.method = Method::ties, .sign = sign}), "t", contributions, out);
        for (std::size_t i = 0; i < out.size(); ++i) {
            double terms = 0.0;
            double const exact = ties_oracle(trimmed, weights, i, sign, terms);
            // a product, at most two sums and a division: four roundings of at most the sum of the terms
            ASSERT_NEAR(out[i], exact, 4.1 * unit_roundoff * terms) << i;
        }
    }
}

TEST(Merge, ThreadsDoNotChangeABit) {
    std::vector<std::vector<float>> tensors;
    for (auto const* name : {"s", "t", "u"}) tensors.push_back(normal_values(300001, name));
    for (auto const method : {Method::linear, Method::ties, Method::dare_ties}) {
        std::vector<std::vector<float>> results;
        for (int const threads : {1, 2, 4}) {
            set_num_threads(threads);
            std::vector<Contribution> const contributions{
                {tensors[0], 0.9F, 0.5, "a"}, {tensors[1], 1.0F, 0.5, "b"}, {tensors[2], -0.4F, 0.5, "c"}};
            merge_tensor(recipe_of({.method = method}), "t", contributions, results.emplace_back(300001));
        }
        set_num_threads(1);
        EXPECT_EQ(results[1], results[0]) << to_string(method);
        EXPECT_EQ(results[2], results[0]) << to_string(method);
    }
}

TEST(Merge, TheResultMayTakeAnInputsPlace) {
    auto first = normal_values(5000, "first");
    auto const second = normal_values(5000, "second");
    auto const recipe = recipe_of({.method = Method::ties});
    std::vector<Contribution> const contributions{{first, 1.0F, 0.5, "a"}, {second, 1.0F, 0.5, "b"}};
    std::vector<float> expected(5000);
    merge_tensor(recipe, "t", contributions, expected);
    merge_tensor(recipe, "t", contributions, first);
    EXPECT_EQ(first, expected);
}

TEST(Merge, DareKeepsTheDensityAndItsMaskDependsOnSeedExpertAndTensor) {
    std::vector<float> const ones(100000, 1.0F);
    auto draw = [&](std::uint64_t seed, std::string_view identity, std::string_view name, bool rescale) {
        std::vector<float> out(ones.size());
        std::vector<Contribution> const one{{ones, 1.0F, 0.3, identity}};
        auto const recipe = recipe_of(
            {.method = Method::dare_linear, .seed = seed, .rescale = rescale ? Rescale::expected : Rescale::none});
        merge_tensor(recipe, name, one, out);
        return out;
    };
    auto const mask = draw(1, "a", "t", true);
    auto const kept = std::count(mask.begin(), mask.end(), 1.0F / 0.3F);
    EXPECT_NEAR(static_cast<double>(kept), 30000.0, 6.0 * std::sqrt(100000 * 0.3 * 0.7));
    EXPECT_EQ(std::count(mask.begin(), mask.end(), 0.0F), 100000 - kept);
    EXPECT_EQ(draw(1, "a", "t", true), mask);
    EXPECT_NE(draw(2, "a", "t", true), mask);
    EXPECT_NE(draw(1, "b", "t", true), mask);
    EXPECT_NE(draw(1, "a", "u", true), mask);
    auto const plain = draw(1, "a", "t", false);
    EXPECT_EQ(std::count(plain.begin(), plain.end(), 1.0F), kept) << "peft 0.9 to 0.18 does not rescale";
}

TEST(Merge, SvdOfALinearMergeEqualsTheTruncationOfItsDenseSum) {
    Experts experts{3};
    auto const low = merged({.method = Method::svd, .rank = 5}, experts.factors);
    // density 1 keeps everything, but goes by the dense matrix
    auto const dense = merged({.method = Method::magnitude_prune_svd, .density = 1.0, .rank = 5}, experts.factors);
    std::vector<float> left(30 * 50);
    std::vector<float> right(30 * 50);
    expand({low.a, low.b, low.rank, 1.0, 1.0, "x"}, left);
    expand({dense.a, dense.b, dense.rank, 1.0, 1.0, "x"}, right);
    for (std::size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 2e-5);
}

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Values>
Matrix as_matrix(Values const& values, std::int64_t rows, std::int64_t columns) {
    Matrix matrix{rows, columns};
    std::copy(values.begin(), values.end(), matrix.data());
    return matrix;
}

/// Frobenius norm of the singular values from `rank` on: the least error of a matrix of that rank (Eckart and Young).
double least_error(Matrix const& update, std::int64_t rank) {
    Eigen::VectorXd const values = Eigen::JacobiSVD<Eigen::MatrixXd>{update}.singularValues();
    return rank >= values.size() ? 0.0 : values.tail(values.size() - rank).norm();
}

TEST(Merge, EverySvdVariantReachesTheLeastErrorOfItsRank) {
    static constexpr std::string_view identities[] = {"f3", "0a", "77"};
    constexpr std::int64_t ranks[] = {4, 7, 2};
    constexpr double scaling = 0.5;
    for (auto const& [out, in] : {std::pair{30, 50}, std::pair{50, 30}, std::pair{24, 24}, std::pair{3, 40}}) {
        std::vector<std::vector<float>> a;
        std::vector<std::vector<float>> b;
        std::vector<Factors> all;
        double terms = 0.0;  // at least the norm of the sums of magnitudes in the dense update
        for (std::size_t i = 0; i < 3; ++i) {
            a.push_back(normal_values(static_cast<std::size_t>(ranks[i] * in), fmt::format("svd a{}", i)));
            b.push_back(normal_values(static_cast<std::size_t>(out * ranks[i]), fmt::format("svd b{}", i)));
            terms += scaling * as_matrix(b[i], out, ranks[i]).norm() * as_matrix(a[i], ranks[i], in).norm();
        }
        for (std::size_t i = 0; i < 3; ++i) all.push_back({a[i], b[i], ranks[i], scaling, 1.0, identities[i]});
        for (auto const method : all_methods()) {
            if (!is_svd(method)) continue;
            auto const experts = std::span{all}.first(operator_of(method) == Method::slerp ? 2 : 3);
            std::vector<float> dense(static_cast<std::size_t>(out * in));
            merge_delta({.method = operator_of(method), .density = 0.6}, "layer.q", experts, dense);
            auto const update = as_matrix(dense, out, in);
            for (std::int64_t const rank : {1, 2, 5, 13}) {
                auto const low = merged({.method = method, .density = 0.6, .rank = rank}, experts);
                ASSERT_EQ(low.rank, rank);
                Matrix const product = low.scaling * as_matrix(low.b, out, rank) * as_matrix(low.a, rank, in);
                // Rounding both factors, and twice the roundings of the dense update: of at most 7 products and sums,
                // a scaling, a weight and 3 sums.
                double const bound =
                    unit_roundoff * (2.1 * std::sqrt(static_cast<double>(rank)) * update.norm() + 2 * 12 * terms);
                EXPECT_NEAR((update - product).norm(), least_error(update, rank), bound)
                    << to_string(method) << ", " << out << " x " << in << ", rank " << rank;
            }
        }
    }
}

TEST(Merge, AnSvdOfFullRankIsTheSum) {
    Experts experts{3};
    auto const low = merged({.method = Method::svd, .rank = 12}, experts.factors);
    auto const stacked = merged({.method = Method::cat}, experts.factors);
    std::vector<float> left(30 * 50);
    std::vector<float> right(30 * 50);
    std::vector<float> summed(30 * 50);
    expand({low.a, low.b, low.rank, 1.0, 1.0, "x"}, left);
    expand({stacked.a, stacked.b, stacked.rank, 1.0, 1.0, "x"}, right);
    merge_delta({.method = Method::linear}, "layer.q", experts.factors, summed);
    for (std::size_t i = 0; i < left.size(); ++i) {
        ASSERT_NEAR(left[i], right[i], 2e-5);
        ASSERT_NEAR(right[i], summed[i], 2e-5);
    }
}

TEST(Merge, MixedRanksAreRefusedByNameWhereTheyCannotBeMerged) {
    Experts experts{2};
    experts.factors[1].rank = 2;
    experts.factors[1].a = experts.factors[1].a.first(2 * 50);
    experts.factors[1].b = experts.factors[1].b.first(30 * 2);
    try {
        merged({.method = Method::ties}, experts.factors);
        FAIL();
    } catch (InputError const& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("layer.q"));
        EXPECT_THAT(error.what(), testing::HasSubstr("rank"));
    }
    EXPECT_EQ(merged({.method = Method::cat}, experts.factors).rank, 6);
    EXPECT_EQ(merged({.method = Method::ties_svd}, experts.factors).rank, 4);
}

TEST(Merge, ShapesOfDifferentBasesAreRefused) {
    Experts experts{2};
    experts.factors[1].b = experts.factors[1].b.first(20 * 4);
    EXPECT_THROW(merged({.method = Method::linear}, experts.factors), InputError);
    std::vector<float> out(30 * 49);
    Experts const same{2};
    EXPECT_THROW(merge_delta({}, "layer.q", same.factors, out), InputError);
}

}  // namespace
}  // namespace samner::merge
