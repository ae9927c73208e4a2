#include "score/bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace samner::score {
namespace {

void check(BootstrapOptions const& options) {
    if (options.resamples < 1)
        throw InputError{fmt::format("{} bootstrap resamples", options.resamples), "take at least 1"};
    if (!(options.confidence > 0 && options.confidence < 1))
        throw InputError{fmt::format("the confidence is {}", options.confidence), "take a number between 0 and 1"};
}

/// mean_f1 of every resample, of one or two systems on the same draws. @return shape [systems][resamples]
std::vector<std::vector<double>> resampled(std::span<std::span<std::vector<Counts> const> const> systems,
                                           BootstrapOptions const& options) {
    auto const targets = systems[0].size();
    std::vector<RandomStream> streams;
    for (std::size_t t = 0; t < targets; ++t)
        streams.emplace_back(options.seed, fmt::format("bootstrap of target {}", t));
    std::vector values(systems.size(), std::vector<double>(static_cast<std::size_t>(options.resamples)));
    constexpr std::int64_t grain = 16;
    parallel_for(0, options.resamples, grain, [&](std::int64_t begin, std::int64_t end) {
        std::vector<Counts> sums(systems.size());
        for (auto r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
            for (std::size_t t = 0; t < targets; ++t) {
                std::ranges::fill(sums, Counts{});
                auto const sentences = systems[0][t].size();
                for (std::size_t i = 0; i < sentences; ++i) {
                    auto const drawn = streams[t].below(sentences, r * sentences + i);
                    for (std::size_t s = 0; s < systems.size(); ++s) sums[s] += systems[s][t][drawn];
                }
                for (std::size_t s = 0; s < systems.size(); ++s)
                    values[s][r] += sums[s].f1() / static_cast<double>(targets);
            }
        }
    });
    return values;
}

/// Linear interpolation between the order statistics, as numpy's default. @param sorted  not empty
double quantile(std::vector<double> const& sorted, double share) {
    auto const at = share * static_cast<double>(sorted.size() - 1);
    auto const below = static_cast<std::size_t>(at);
    auto const above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval percentiles(std::vector<double> values, double confidence) {
    std::ranges::sort(values);
    auto const tail = (1 - confidence) / 2;
    return {quantile(values, tail), quantile(values, 1 - tail)};
}

}  // namespace

double mean_f1(std::span<std::vector<Counts> const> targets) {
    double sum = 0;
    for (auto const& target : targets) {
        Counts counts;
        for (auto const& sentence : target) counts += sentence;
        sum += counts.f1() / static_cast<double>(targets.size());
    }
    return sum;
}

Interval f1_interval(std::span<std::vector<Counts> const> targets, BootstrapOptions const& options) {
    check(options);
    std::span<std::vector<Counts> const> const systems[]{targets};
    return percentiles(resampled(systems, options)[0], options.confidence);
}

Comparison compare_f1(std::span<std::vector<Counts> const> a, std::span<std::vector<Counts> const> b,
                      BootstrapOptions const& options) {
    check(options);
    if (!std::ranges::equal(a, b, {}, &std::vector<Counts>::size, &std::vector<Counts>::size))
        throw InputError{"the systems have not the same targets and sentences", "compare predictions of the same gold"};
    std::span<std::vector<Counts> const> const systems[]{a, b};
    auto const values = resampled(systems, options);
    Comparison result;
    result.difference = mean_f1(a) - mean_f1(b);
    std::vector<double> differences;
    std::int64_t as_far = 1;
    for (std::size_t r = 0; r < values[0].size(); ++r) {
        differences.push_back(values[0][r] - values[1][r]);
        as_far += std::abs(differences.back() - result.difference) >= std::abs(result.difference);
    }
    result.interval = percentiles(std::move(differences), options.confidence);
    result.p_value = static_cast<double>(as_far) / static_cast<double>(options.resamples + 1);
    return result;
}

}  // namespace samner::score
