#include "merge/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "merge/loops.h"
#include "merge/low_rank.h"

namespace samner::merge {
namespace {

struct Shape {
    std::int64_t out = 0;
    std::int64_t in = 0;
    friend bool operator==(Shape const&, Shape const&) = default;
};

Shape shape_of(std::string_view module, Factors const& one) {
    auto const a = std::ssize(one.a);
    auto const b = std::ssize(one.b);
    if (one.rank < 1 || a == 0 || b == 0 || a % one.rank != 0 || b % one.rank != 0)
        throw InputError{
            fmt::format("merging {}: factors of {} and {} elements do not have rank {}", module, a, b, one.rank)};
    return {b / one.rank, a / one.rank};
}

bool is_absent(Factors const& one) {
    return one.rank == 0 && one.a.empty() && one.b.empty();
}

/// The experts that have the module, in canonical order.
std::vector<Factors> present(std::string_view module, std::span<Factors const> experts) {
    std::vector<Factors> found;
    std::copy_if(experts.begin(), experts.end(), std::back_inserter(found),
                 [](auto const& e) { return !is_absent(e); });
    if (found.empty()) throw InputError{fmt::format("merging {}: no expert has this module", module)};
    for (auto const& one : found) {
        if (found.size() > 1 && one.identity.empty())
            throw InputError{fmt::format("merging {}: an expert without an identity", module)};
        if (shape_of(module, one) != shape_of(module, found.front()))
            throw InputError{fmt::format("merging {}: an update of shape [{}, {}] beside one of [{}, {}]", module,
                                         shape_of(module, one).out, shape_of(module, one).in,
                                         shape_of(module, found.front()).out, shape_of(module, found.front()).in),
                             "merge adapters of one base model"};
    }
    std::stable_sort(found.begin(), found.end(), [](auto const& left, auto const& right) {
        return std::pair{left.identity, left.weight} < std::pair{right.identity, right.weight};
    });
    return found;
}

bool is_left_alone(MergeOptions const& options, std::span<Factors const> experts) {
    return experts.size() == 1 && !options.operate_on_single;
}

/// The options for this number of experts: a single one is neither trimmed nor thinned out.
Recipe recipe_for(MergeOptions const& options, std::span<Factors const> experts) {
    bool const sums = options.method == Method::cat || is_left_alone(options, experts);
    return sums ? Recipe{} : recipe_of(options);
}

double density_of(Recipe const& recipe, MergeOptions const& options) {
    return recipe.sparsify == Sparsify::nothing ? 1.0 : options.density;
}

void merge_one_factor(Recipe const& recipe, double density, std::string_view module, std::span<Factors const> found,
                      bool is_a, std::vector<float>& out) {
    std::vector<Contribution> contributions;
    for (auto const& one : found) {
        double const c = one.weight * one.scaling;
        double const root = std::sqrt(std::fabs(c));
        contributions.push_back(
            {is_a ? one.a : one.b, static_cast<float>(is_a && c < 0.0 ? -root : root), density, one.identity});
    }
    out.resize(contributions.front().values.size());
    merge_tensor(recipe, fmt::format("{}.lora_{}", module, is_a ? 'A' : 'B'), contributions, out);
}

std::int64_t sum_of_ranks(std::span<Factors const> found) {
    std::int64_t sum = 0;
    for (auto const& one : found) sum += one.rank;
    return sum;
}

/// The factors stacked along the rank, with `coefficient(expert)` on A: their product is the sum of the products.
template <class Number, class Coefficient>
void stack(std::span<Factors const> found, Shape shape, Coefficient const& coefficient, std::vector<Number>& a,
           std::vector<Number>& b) {
    auto const rank = sum_of_ranks(found);
    a.resize(static_cast<std::size_t>(rank * shape.in));
    b.resize(static_cast<std::size_t>(rank * shape.out));
    auto next_a = a.begin();
    std::int64_t column = 0;
    for (auto const& one : found) {
        auto const c = static_cast<Number>(coefficient(one));
        next_a =
            std::transform(one.a.begin(), one.a.end(), next_a, [c](float x) { return c * static_cast<Number>(x); });
        for (std::int64_t row = 0; row < shape.out; ++row)
            std::copy_n(one.b.begin() + row * one.rank, one.rank, b.begin() + row * rank + column);
        column += one.rank;
    }
}

double weight_times_scaling(Factors const& one) {
    return one.weight * one.scaling;
}

void merge_truncated(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                     std::span<Factors const> found, Shape shape, MergedFactors& out) {
    out.rank = options.rank;
    for (auto const& one : found)
        if (options.rank == 0) out.rank = std::max(out.rank, one.rank);
    LowRank low;
    if (recipe_for(options, experts).sparsify == Sparsify::nothing) {
        std::vector<double> a;
        std::vector<double> b;
        stack(found, shape, weight_times_scaling, a, b);
        low = truncate_product(b, a, shape.out, sum_of_ranks(found), shape.in, out.rank);
    } else {
        std::vector<float> delta(static_cast<std::size_t>(shape.out * shape.in));
        merge_delta(options, module, experts, delta);
        low = truncate(delta, shape.out, shape.in, out.rank);
    }
    out.a = std::move(low.a);
    out.b = std::move(low.b);
}

}  // namespace

void merge_factors(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                   MergedFactors& out) {
    validate(options);
    auto const found = present(module, experts);
    auto const shape = shape_of(module, found.front());
    out.rank = found.front().rank;
    out.scaling = 1.0;
    if (is_left_alone(options, experts) && found.front().weight == 1.0) {
        out.scaling = found.front().scaling;
        out.a.assign(found.front().a.begin(), found.front().a.end());
        out.b.assign(found.front().b.begin(), found.front().b.end());
    } else if (is_svd(options.method)) {
        merge_truncated(options, module, experts, found, shape, out);
    } else if (options.method == Method::cat) {
        out.rank = sum_of_ranks(found);
        stack(found, shape, weight_times_scaling, out.a, out.b);
    } else {
        for (auto const& one : found)
            if (one.rank != out.rank)
                throw InputError{fmt::format("merging {} by {}: experts of rank {} and {}", module,
                                             to_string(options.method), out.rank, one.rank),
                                 "mixed ranks need cat, an svd method or space: delta"};
        auto const recipe = recipe_for(options, experts);
        merge_one_factor(recipe, density_of(recipe, options), module, found, true, out.a);
        merge_one_factor(recipe, density_of(recipe, options), module, found, false, out.b);
    }
}

void merge_delta(MergeOptions const& options, std::string_view module, std::span<Factors const> experts,
                 std::span<float> out) {
    validate(options);
    auto const found = present(module, experts);
    auto const shape = shape_of(module, found.front());
    if (std::ssize(out) != shape.out * shape.in)
        throw InputError{fmt::format("merging {}: an update of shape [{}, {}] for {} weights", module, shape.out,
                                     shape.in, out.size())};
    auto const recipe = recipe_for(options, experts);
    std::vector<std::vector<float>> deltas(found.size());
    std::vector<Contribution> contributions;
    for (std::size_t i = 0; i < found.size(); ++i) {
        deltas[i].resize(out.size());
        expand(found[i], deltas[i]);
        contributions.push_back(
            {deltas[i], static_cast<float>(found[i].weight), density_of(recipe, options), found[i].identity});
    }
    merge_tensor(recipe, fmt::format("{}.delta", module), contributions, out);
}

void expand(Factors const& factors, std::span<float> out) {
    auto const in = factors.rank == 0 ? 0 : std::ssize(factors.a) / factors.rank;
    auto const rows = factors.rank == 0 ? 0 : std::ssize(factors.b) / factors.rank;
    if (std::ssize(out) != rows * in)
        throw InputError{fmt::format("an update of shape [{}, {}] for {} weights", rows, in, out.size())};
    auto const grain = std::max<std::int64_t>(1, (1 << 18) / std::max<std::int64_t>(1, in * factors.rank));
    parallel_for(0, rows, grain, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            auto const product = out.subspan(static_cast<std::size_t>(row * in), static_cast<std::size_t>(in));
            std::fill(product.begin(), product.end(), 0.0F);
            for (std::int64_t k = 0; k < factors.rank; ++k)
                loops::add_scaled(product.data(), factors.a.data() + k * in, product.size(),
                                  factors.b[static_cast<std::size_t>(row * factors.rank + k)]);
            loops::multiply(product.data(), product.size(), static_cast<float>(factors.scaling));
        }
    });
}

}  // namespace samner::merge
