#include "select/select.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <tuple>

#include "core/error.h"

namespace samner::select {

std::vector<double> domain_similarity(std::span<float const> target, std::span<float const> experts) {
    auto const dim = target.size();
    if (dim == 0 || experts.size() % dim != 0) {
        throw InputError{fmt::format("embeddings of {} numbers for a target of dimension {}", experts.size(), dim),
                         "encode both with the same encoder"};
    }
    auto const dot = [&](float const* a, float const* b) {
        double sum = 0;
        for (std::size_t d = 0; d < dim; ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
        return sum;
    };
    std::vector<double> similarities;
    for (std::size_t begin = 0; begin < experts.size(); begin += dim) {
        auto const* expert = experts.data() + begin;
        auto const norms = std::sqrt(dot(target.data(), target.data()) * dot(expert, expert));
        similarities.push_back(norms > 0 ? std::clamp(dot(target.data(), expert) / norms, -1.0, 1.0) : 0.0);
    }
    return similarities;
}

std::vector<double> fused(std::span<double const> similarity, std::span<double const> sampling) {
    if (similarity.size() != sampling.size()) {
        throw InputError{fmt::format("{} similarities and {} sampling scores", similarity.size(), sampling.size())};
    }
    std::vector<double> result(similarity.size(), 0.0);
    for (auto const metric : {similarity, sampling}) {
        if (metric.empty()) continue;
        auto const [low, high] = std::ranges::minmax(metric);
        for (std::size_t i = 0; i < metric.size(); ++i) {
            if (high > low) result[i] += 0.5 * (metric[i] - low) / (high - low);
        }
    }
    return result;
}

namespace {

bool all_equal(std::span<double const> metric) {
    if (metric.empty()) throw InputError{"no experts to choose from"};
    auto const [low, high] = std::ranges::minmax(metric);
    return low == high;
}

}  // namespace

std::size_t before_gap(std::span<double const> metric) {
    if (all_equal(metric)) return metric.size();
    std::vector<double> sorted{metric.begin(), metric.end()};
    std::ranges::sort(sorted, std::greater{});
    std::size_t best = 1;
    for (std::size_t m = 2; m < sorted.size(); ++m) {
        if (sorted[m - 1] - sorted[m] > sorted[best - 1] - sorted[best]) best = m;
    }
    return best;
}

std::size_t above_mean(std::span<double const> metric) {
    if (all_equal(metric)) return metric.size();
    auto const mean = std::accumulate(metric.begin(), metric.end(), 0.0) / static_cast<double>(metric.size());
    auto const above = std::ranges::count_if(metric, [&](double value) { return value > mean; });
    return std::max(static_cast<std::size_t>(above), std::size_t{1});  // a mean may be rounded up to the largest
}

std::vector<std::size_t> choose(std::span<std::string const> names, std::span<double const> metric,
                                std::span<double const> similarity, std::size_t m) {
    if (metric.size() != names.size() || similarity.size() != names.size()) {
        throw InputError{
            fmt::format("{} experts, {} metrics, {} similarities", names.size(), metric.size(), similarity.size())};
    }
    if (m < 1 || m > names.size()) {
        throw InputError{fmt::format("m is {}, the pool has {} experts", m, names.size()),
                         "choose m between 1 and the size of the pool"};
    }
    std::vector<std::size_t> order(names.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::tuple{-metric[i], -similarity[i], names[i]}; });
    order.resize(m);
    return order;
}

}  // namespace samner::select
