#include "merge/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "merge/device.h"
#include "merge/inner.h"
#include "merge/loops.h"
#include "merge/low_rank.h"
#include "merge/order.h"

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

/// The experts in canonical order. Those that lack the module stand among `all` only.
struct Experts {
    std::vector<Factors> all;
    std::vector<std::size_t> origin;  ///< where each of `all` stood
    std::vector<std::size_t> found;   ///< indices into `all`
    Shape shape;

    Factors const& at(std::size_t i) const { return all[found[i]]; }
    std::size_t size() const { return found.size(); }
};

Experts canonical(std::string_view module, std::span<Factors const> given) {
    Experts experts;
    experts.origin = order_by(given.size(), [&](std::size_t i) {
        return std::tuple{given[i].identity, given[i].weight, given[i].density};
    });
    for (auto const i : experts.origin) {
        auto const& one = given[i];
        experts.all.push_back(one);
        if (given.size() > 1 && one.identity.empty())
            throw InputError{fmt::format("merging {}: an expert without an identity", module)};
        if (!std::isfinite(one.weight) || !std::isfinite(one.scaling))
            throw InputError{fmt::format("merging {}: weight {} and scaling {}", module, one.weight, one.scaling),
                             "use finite numbers"};
        if (is_absent(one)) continue;
        auto const shape = shape_of(module, one);
        if (experts.found.empty()) experts.shape = shape;
        if (shape != experts.shape)
            throw InputError{fmt::format("merging {}: an update of shape [{}, {}] beside one of [{}, {}]", module,
                                         experts.shape.out, experts.shape.in, shape.out, shape.in),
                             "merge adapters of one base model"};
        experts.found.push_back(experts.all.size() - 1);
    }
    if (experts.found.empty()) throw InputError{fmt::format("merging {}: no expert has this module", module)};
    return experts;
}

bool is_left_alone(MergeOptions const& options, Experts const& experts) {
    return experts.all.size() == 1 && !options.operate_on_single;
}

bool is_geometric_merge(MergeOptions const& options, Experts const& experts) {
    return is_geometric(options.method) && experts.all.size() > 1;
}

/// The recipe for this number of experts: a single one is neither trimmed nor thinned out.
Recipe recipe_for(MergeOptions const& options, Experts const& experts, ModuleContext const& context) {
    bool const sums = options.method == Method::cat || is_geometric(options.method) || is_left_alone(options, experts);
    if (sums) return {};
    bool const asks_model = options.trim_over == TrimOver::model || options.majority_decides;
    if (asks_model && !context.trim) throw std::logic_error{"trimming over the model without having looked at it"};
    auto recipe = recipe_of(options);
    recipe.zero_is_negative = options.majority_decides && context.trim->negative_majority;
    return recipe;
}

/// The users' weights, for the experts of `all`; where a plain sum is divided by the weights, already divided.
std::vector<double> effective_weights(Recipe const& recipe, Experts const& experts) {
    constexpr double least = 1e-8;  // mergekit's: a smaller sum divides by 1
    std::vector<double> weights;
    double sum = 0.0;
    for (auto const& one : experts.all) sum += weights.emplace_back(one.weight);
    if (recipe.elect == Elect::nobody && recipe.divide == Divide::by_weight && std::fabs(sum) >= least)
        for (auto& weight : weights) weight /= sum;
    return weights;
}

/// A plain sum was divided beforehand: an absent expert's weight counts too.
Recipe without_division(Recipe recipe) {
    if (recipe.elect == Elect::nobody) recipe.divide = Divide::by_one;
    return recipe;
}

/// Fills in what depends on the recipe alone.
Contribution contribution(Recipe const& recipe, MergeOptions const& options, ModuleContext const& context,
                          Factors const& expert, std::span<float const> values) {
    Contribution one{.values = values, .identity = expert.identity};
    if (recipe.sparsify != Sparsify::nothing) one.density = expert.density.value_or(options.density);
    if (recipe.sparsify == Sparsify::largest && options.trim_over == TrimOver::model && options.density < 1.0) {
        auto const cut = context.trim->cuts.find(expert.identity);
        if (cut == context.trim->cuts.end()) throw std::logic_error{"an expert that is not among the model's"};
        one.cut = cut->second;
    }
    return one;
}

/// Adds what happened to an experts' tensor to the context's counts, in the order in which the experts were given.
void add_counts(Experts const& experts, Counts counts, Counts& sum) {
    std::vector<std::uint64_t> kept(experts.all.size());
    for (std::size_t i = 0; i < experts.size(); ++i) kept[experts.origin[experts.found[i]]] = counts.kept[i];
    counts.kept = std::move(kept);
    sum += counts;
}

void merge_and_count(MergeOptions const& options, Recipe const& recipe, std::string const& name, Experts const& experts,
                     std::span<Contribution const> contributions, ModuleContext const& context, std::span<float> out,
                     TakePart const& take = {}) {
    if (options.device == Device::cuda) {
        if (context.counts) throw InputError{"a report on a merge on a CUDA device", "ask for it on the CPU"};
        merge_tensor_on_device(recipe, name, contributions, out, options.device_index);
        if (take) take(0, out);
        return;
    }
    Counts counts;
    merge_tensor(recipe, name, contributions, out, context.counts ? &counts : nullptr, take);
    if (context.counts) add_counts(experts, std::move(counts), *context.counts);
}

double signed_root(double value) {
    return std::copysign(std::sqrt(std::fabs(value)), value);
}

/// The coefficients of a geometric method for tensors that are to be taken times `scale(expert)`.
template <class Scale>
std::vector<double> coefficients_of(MergeOptions const& options, Experts const& experts, bool is_a,
                                    Scale const& scale) {
    std::vector<std::span<float const>> tensors;
    for (auto const& one : experts.all) tensors.push_back(is_a ? one.a : one.b);
    auto products = inner_products(tensors);
    for (std::size_t i = 0; i < experts.all.size(); ++i)
        for (std::size_t j = i; j < experts.all.size(); ++j)
            products.set(i, j, products.at(i, j) * scale(experts.all[i]) * scale(experts.all[j]));
    auto coefficients = geometric_coefficients(options.method, products, effective_weights({}, experts));
    for (std::size_t i = 0; i < experts.all.size(); ++i) coefficients[i] *= scale(experts.all[i]);
    return coefficients;
}

void merge_one_factor(Recipe const& recipe, MergeOptions const& options, std::string_view module,
                      Experts const& experts, bool is_a, ModuleContext const& context, std::vector<float>& out) {
    auto const root = [is_a](double value) { return is_a ? signed_root(value) : std::sqrt(std::fabs(value)); };
    auto const weights = effective_weights(recipe, experts);
    std::vector<double> coefficients;
    if (is_geometric_merge(options, experts)) {
        coefficients =
            coefficients_of(options, experts, is_a, [&](Factors const& expert) { return root(expert.scaling); });
    } else {
        for (std::size_t i = 0; i < weights.size(); ++i)
            coefficients.push_back(root(weights[i] * experts.all[i].scaling));
    }
    std::vector<Contribution> contributions;
    for (auto const i : experts.found) {
        auto const& expert = experts.all[i];
        auto& one =
            contributions.emplace_back(contribution(recipe, options, context, expert, is_a ? expert.a : expert.b));
        one.coefficient = static_cast<float>(coefficients[i]);
        // The share of a weight alone: dividing by the coefficient would take the scaling out of the update.
        one.share = static_cast<float>(root(weights[i]));
        one.row = static_cast<std::size_t>(is_a ? experts.shape.in : expert.rank);
    }
    out.resize(contributions.front().values.size());
    merge_and_count(options, without_division(recipe), fmt::format("{}.lora_{}", module, is_a ? 'A' : 'B'), experts,
                    contributions, context, out);
}

std::int64_t sum_of_ranks(Experts const& experts) {
    std::int64_t sum = 0;
    for (auto const& one : experts.all) sum += one.rank;
    return sum;
}

/// The factors stacked along the rank, with the coefficients (one of `all` each) on A: their product is the sum of the
/// products.
template <class Number>
void stack(Experts const& experts, std::span<double const> coefficients, std::vector<Number>& a,
           std::vector<Number>& b) {
    auto const rank = sum_of_ranks(experts);
    a.resize(static_cast<std::size_t>(rank * experts.shape.in));
    b.resize(static_cast<std::size_t>(rank * experts.shape.out));
    auto next_a = a.begin();
    std::int64_t column = 0;
    for (auto const i : experts.found) {
        auto const& one = experts.all[i];
        auto const c = static_cast<Number>(coefficients[i]);
        next_a =
            std::transform(one.a.begin(), one.a.end(), next_a, [c](float x) { return c * static_cast<Number>(x); });
        for (std::int64_t row = 0; row < experts.shape.out; ++row)
            std::copy_n(one.b.begin() + row * one.rank, one.rank, b.begin() + row * rank + column);
        column += one.rank;
    }
}

/// The coefficients c_i of D_i where the merge of the updates is sum c_i D_i.
std::vector<double> update_coefficients(MergeOptions const& options, Recipe const& recipe, Experts const& experts) {
    auto weights = effective_weights(recipe, experts);
    if (!is_geometric_merge(options, experts)) return weights;
    return geometric_coefficients(options.method, inner_products(std::span<Factors const>{experts.all}), weights);
}

std::vector<double> times_scaling(std::vector<double> coefficients, Experts const& experts) {
    for (std::size_t i = 0; i < coefficients.size(); ++i) coefficients[i] *= experts.all[i].scaling;
    return coefficients;
}

/// s B A, some rows at a time.
class Product {
public:
    explicit Product(Factors const& factors) : factors_{factors} {
        if (factors.rank == 0) return;
        auto const rank = static_cast<std::size_t>(factors.rank);
        columns_ = factors.a.size() / rank;
        panels_.resize((columns_ + loops::panel - 1) / loops::panel * loops::panel * rank);
        for (std::size_t begin = 0; begin < columns_; begin += loops::panel)
            for (std::size_t k = 0; k < rank; ++k)
                std::copy_n(factors.a.data() + k * columns_ + begin, std::min(loops::panel, columns_ - begin),
                            panels_.data() + begin * rank + k * loops::panel);
    }

    /// Rows from `first` on, as many as `out` holds.
    void rows(std::size_t first, std::span<float> out) const {
        auto const rank = static_cast<std::size_t>(factors_.rank);
        loops::multiply_rows(factors_.b.data() + first * rank, panels_.data(), out.size() / columns_, rank, columns_,
                             static_cast<float>(factors_.scaling), out.data());
    }

private:
    Factors factors_;
    std::size_t columns_ = 0;
    std::vector<float> panels_;  ///< of A, see loops::multiply_rows
};

/// Calls body(first row, elements) for parts of about 16,000 elements of a matrix, on several threads.
template <class Body>
void for_row_blocks(Shape const& shape, Body const& body) {
    constexpr std::int64_t least = 1 << 14;
    constexpr std::int64_t tile = 6;  // rows that loops::multiply_rows takes together
    auto const rows = (least / shape.in + tile) / tile * tile;
    parallel_for(0, (shape.out + rows - 1) / rows, 1, [&](std::int64_t first, std::int64_t last) {
        for (auto row = first * rows; row < std::min(last * rows, shape.out); row += rows)
            body(static_cast<std::size_t>(row), static_cast<std::size_t>(std::min(rows, shape.out - row) * shape.in));
    });
}

/// Merges some rows of all updates at a time, which is all that a merge needs to know where it drops nothing.
void merge_by_rows(Recipe const& recipe, std::string const& name, Experts const& experts,
                   std::span<Contribution const> contributions, Counts* counts, TakePart const& take) {
    std::vector<Product> products;
    for (std::size_t i = 0; i < experts.size(); ++i) products.emplace_back(experts.at(i));
    std::mutex mutex;
    auto const columns = static_cast<std::size_t>(experts.shape.in);
    for_row_blocks(experts.shape, [&](std::size_t row, std::size_t elements) {
        thread_local std::vector<float> updates;  // kept: fresh memory costs as much as what is done in it
        updates.resize(std::max(updates.size(), elements * products.size()));
        std::vector<Contribution> parts{contributions.begin(), contributions.end()};
        for (std::size_t i = 0; i < products.size(); ++i) {
            auto const part = std::span{updates}.subspan(i * elements, elements);
            products[i].rows(row, part);
            parts[i].values = part;
        }
        auto const out = std::span{updates}.first(elements);
        Counts here;
        merge_tensor(recipe, name, parts, out, counts ? &here : nullptr);
        take(row * columns, out);
        std::lock_guard const lock{mutex};
        if (counts) add_counts(experts, std::move(here), *counts);
    });
}

void merge_updates(MergeOptions const& options, std::string_view module, Experts const& experts,
                   ModuleContext const& context, TakePart const& take) {
    auto const given = recipe_for(options, experts, context);
    auto const recipe = without_division(given);
    auto const coefficients = update_coefficients(options, given, experts);
    auto const name = fmt::format("{}.delta", module);
    std::vector<Contribution> contributions;
    for (std::size_t i = 0; i < experts.size(); ++i) {
        auto& one = contributions.emplace_back(contribution(recipe, options, context, experts.at(i), {}));
        one.coefficient = static_cast<float>(coefficients[experts.found[i]]);
        one.row = static_cast<std::size_t>(experts.shape.in);
    }
    bool const drops = std::ranges::any_of(contributions, [](auto const& one) { return one.density < 1.0; });
    if (!drops && options.device == Device::cpu)
        return merge_by_rows(recipe, name, experts, contributions, context.counts, take);
    UpdateMemory own;
    auto& memory = context.memory ? *context.memory : own;
    if (memory.size() < experts.size()) memory.resize(experts.size());
    auto const size = static_cast<std::size_t>(experts.shape.out * experts.shape.in);
    for (std::size_t i = 0; i < experts.size(); ++i) {
        if (memory[i].size() < size) memory[i].resize(size);
        auto const update = std::span{memory[i]}.first(size);
        expand(experts.at(i), update);
        contributions[i].values = update;
    }
    merge_and_count(options, recipe, name, experts, contributions, context, std::span{memory.front()}.first(size),
                    take);
}

TakePart copy_to(std::span<float> out) {
    return [out](std::size_t begin, std::span<float const> values) {
        std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(begin));
    };
}

void merge_truncated(MergeOptions const& options, std::string_view module, Experts const& experts,
                     ModuleContext const& context, MergedFactors& out) {
    out.rank = options.rank;
    if (options.rank == 0) {
        if (options.same_rank) out.rank = options.largest_rank;
        for (auto const& one : experts.all) out.rank = std::max(out.rank, one.rank);
    }
    auto const recipe = recipe_for(options, experts, context);
    auto const shape = experts.shape;
    if (options.rank > std::max(shape.out, shape.in))
        throw InputError{
            fmt::format("merging {}, a layer from {} to {}: the rank is {}", module, shape.in, shape.out, options.rank),
            fmt::format("use a rank of {} or less", std::max(shape.out, shape.in))};
    LowRank low;
    if (recipe.sparsify == Sparsify::nothing && recipe.elect == Elect::nobody) {
        std::vector<double> a;
        std::vector<double> b;
        stack(experts, times_scaling(update_coefficients(options, recipe, experts), experts), a, b);
        low = truncate_product(b, a, shape.out, sum_of_ranks(experts), shape.in, out.rank);
    } else {
        std::vector<float> delta(static_cast<std::size_t>(shape.out * shape.in));
        merge_updates(options, module, experts, context, copy_to(delta));
        low = truncate(delta, shape.out, shape.in, out.rank);
    }
    out.a = std::move(low.a);
    out.b = std::move(low.b);
}

void merge_each_factor(MergeOptions const& options, std::string_view module, Experts const& experts,
                       ModuleContext const& context, MergedFactors& out) {
    for (std::size_t i = 0; i < experts.size(); ++i)
        if (experts.at(i).rank != out.rank)
            throw InputError{fmt::format("merging {} by {}: experts of rank {} and {}", module,
                                         to_string(options.method), out.rank, experts.at(i).rank),
                             "mixed ranks need cat, an svd method or space: delta"};
    if (options.method == Method::model_stock && is_geometric_merge(options, experts))
        throw InputError{fmt::format("merging {} by model_stock, factor by factor", module),
                         "use model_stock_svd or space: delta: A starts at random values, not at the base model"};
    auto const recipe = recipe_for(options, experts, context);
    merge_one_factor(recipe, options, module, experts, true, context, out.a);
    merge_one_factor(recipe, options, module, experts, false, context, out.b);
}

}  // namespace

void merge_factors(MergeOptions const& options, std::string_view module, std::span<Factors const> given,
                   MergedFactors& out, ModuleContext const& context) {
    validate(options);
    if (context.counts) *context.counts = {.kept = std::vector<std::uint64_t>(given.size())};
    auto const experts = canonical(module, given);
    auto const& first = experts.at(0);
    out.rank = first.rank;
    out.scaling = options.lambda;
    if (is_left_alone(options, experts) && first.weight == 1.0) {
        out.scaling *= first.scaling;
        out.a.assign(first.a.begin(), first.a.end());
        out.b.assign(first.b.begin(), first.b.end());
    } else if (is_svd(options.method)) {
        merge_truncated(options, module, experts, context, out);
    } else if (options.method == Method::cat) {
        out.rank = sum_of_ranks(experts);
        stack(experts, times_scaling(effective_weights({}, experts), experts), out.a, out.b);
    } else {
        merge_each_factor(options, module, experts, context, out);
    }
}

void merge_delta(MergeOptions const& options, std::string_view module, std::span<Factors const> given,
                 TakePart const& take, ModuleContext const& context) {
    validate(options);
    if (context.counts) *context.counts = {.kept = std::vector<std::uint64_t>(given.size())};
    auto const experts = canonical(module, given);
    if (options.lambda == 1.0) return merge_updates(options, module, experts, context, take);
    auto const lambda = static_cast<float>(options.lambda);
    merge_updates(options, module, experts, context, [&](std::size_t begin, std::span<float> values) {
        loops::multiply(values.data(), values.size(), lambda);
        take(begin, values);
    });
}

void merge_delta(MergeOptions const& options, std::string_view module, std::span<Factors const> given,
                 std::span<float> out, ModuleContext const& context) {
    auto const shape = canonical(module, given).shape;
    if (std::ssize(out) != shape.out * shape.in)
        throw InputError{fmt::format("merging {}: an update of shape [{}, {}] for {} weights", module, shape.out,
                                     shape.in, out.size())};
    merge_delta(options, module, given, copy_to(out), context);
}

void expand(Factors const& factors, std::span<float> out) {
    auto const in = factors.rank == 0 ? 0 : std::ssize(factors.a) / factors.rank;
    auto const rows = factors.rank == 0 ? 0 : std::ssize(factors.b) / factors.rank;
    if (std::ssize(out) != rows * in)
        throw InputError{fmt::format("an update of shape [{}, {}] for {} weights", rows, in, out.size())};
    if (out.empty()) return;
    Product const product{factors};
    for_row_blocks({rows, in}, [&](std::size_t row, std::size_t elements) {
        product.rows(row, out.subspan(row * static_cast<std::size_t>(in), elements));
    });
}

}  // namespace samner::merge
