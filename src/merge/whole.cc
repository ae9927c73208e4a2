#include "merge/whole.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/yaml.h"
#include "merge/loops.h"

namespace samner::merge {
namespace {

constexpr auto whole_methods = std::to_array<std::pair<std::string_view, WholeMethod>>(
    {{"linear", WholeMethod::linear}, {"task_arithmetic", WholeMethod::task_arithmetic}, {"ties", WholeMethod::ties}});

Recipe whole_recipe(WholeOptions const& options) {
    Recipe recipe{.divide = options.normalize ? Divide::by_weight : Divide::by_one};
    if (options.method == WholeMethod::ties) {
        recipe.sparsify = Sparsify::largest;
        recipe.elect = Elect::total;
        recipe.elect_weighted = true;
        recipe.keep_at_least_one = true;
    }
    return recipe;
}

}  // namespace

WholeMethod parse_whole_method(std::string_view name) {
    std::vector<std::string> known;
    for (auto const& [text, method] : whole_methods) {
        if (text == name) return method;
        known.emplace_back(text);
    }
    auto const near = did_you_mean(name, known);
    throw InputError{fmt::format("unknown merge method '{}' for whole models", name),
                     near ? fmt::format("did you mean {}?", *near) : fmt::format("use {}", fmt::join(known, ", "))};
}

void merge_whole(WholeOptions const& options, std::string_view name, std::span<float const> base,
                 std::span<Contribution const> models, std::span<float> out) {
    auto const recipe = whole_recipe(options);
    if (options.method == WholeMethod::linear) return merge_tensor(recipe, name, models, out);
    if (base.size() != out.size())
        throw InputError{
            fmt::format("merging {}: the base has {} elements and the result {}", name, base.size(), out.size())};
    std::vector<std::vector<float>> differences;
    std::vector<Contribution> contributions(models.begin(), models.end());
    for (auto& one : contributions) {
        if (one.values.size() != base.size())
            throw InputError{fmt::format("merging {}: one tensor has {} elements and the base {}", name,
                                         one.values.size(), base.size())};
        loops::subtract(differences.emplace_back(base.size()).data(), one.values.data(), base.data(), base.size());
        one.values = differences.back();
    }
    std::vector<float> merged(out.size());
    merge_tensor(recipe, name, contributions, merged);
    std::copy(base.begin(), base.end(), out.begin());
    loops::add_scaled(out.data(), merged.data(), merged.size(), static_cast<float>(options.lambda));
}

void slerp(std::span<float const> from, std::span<float const> to, double t, std::span<float> out) {
    constexpr double nearly_parallel = 0.9995;
    if (from.size() != to.size() || from.size() != out.size())
        throw InputError{fmt::format("slerp of tensors of {} and {} elements", from.size(), to.size())};
    if (!(t >= 0.0 && t <= 1.0)) throw InputError{fmt::format("slerp at t = {}", t), "use a number in [0, 1]"};
    double dot = 0.0;
    double from_square = 0.0;
    double to_square = 0.0;
    for (std::size_t i = 0; i < from.size(); ++i) {
        dot += double{from[i]} * to[i];
        from_square += double{from[i]} * from[i];
        to_square += double{to[i]} * to[i];
    }
    double const norms = std::sqrt(from_square * to_square);
    double const cosine = norms > 0.0 ? std::clamp(dot / norms, -1.0, 1.0) : 1.0;
    double from_share = 1.0 - t;
    double to_share = t;
    if (std::fabs(cosine) <= nearly_parallel) {
        double const angle = std::acos(cosine);
        from_share = std::sin((1.0 - t) * angle) / std::sin(angle);
        to_share = std::sin(t * angle) / std::sin(angle);
    }
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(from_share * from[i] + to_share * to[i]);
}

}  // namespace samner::merge
