#include "merge/select.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <mutex>
#include <numeric>
#include <vector>

#include "core/parallel.h"
#include "merge/loops.h"

namespace samner::merge {
namespace {

constexpr int low_bits = 20;  // a magnitude has 31 bits: 11 in the first pass, 10 and 10 in the candidates
constexpr std::size_t num_buckets = 2048;
constexpr std::int64_t grain = 1 << 16;
constexpr std::uint32_t above_all = 0x80000000U;
using Histogram = std::array<std::size_t, num_buckets>;

std::uint32_t magnitude(float value) {
    return std::bit_cast<std::uint32_t>(value) & loops::magnitude_bits;
}

/// Counts by the top bits. Four histograms take turns, so that equal neighbours do not wait for each other's store.
Histogram count_top_bits(std::span<float const> values) {
    Histogram total{};
    std::mutex mutex;
    parallel_for(0, std::ssize(values), grain, [&](std::int64_t begin, std::int64_t end) {
        std::array<std::array<std::uint32_t, num_buckets>, 4> turns{};
        std::int64_t i = begin;
        for (; i + 4 <= end; i += 4)
            for (std::size_t turn = 0; turn < 4; ++turn)
                ++turns[turn][magnitude(values[static_cast<std::size_t>(i) + turn]) >> low_bits];
        for (; i < end; ++i) ++turns[0][magnitude(values[static_cast<std::size_t>(i)]) >> low_bits];
        std::lock_guard const lock{mutex};
        for (std::size_t bucket = 0; bucket < num_buckets; ++bucket)
            for (auto const& turn : turns) total[bucket] += turn[bucket];
    });
    return total;
}

/// The magnitudes in one bucket of the first pass, in no particular order.
std::vector<std::uint32_t> gather_bucket(std::span<float const> values, std::uint32_t bucket, std::size_t count) {
    auto const first = bucket << low_bits;
    std::vector<std::uint32_t> all;
    all.reserve(count);
    std::mutex mutex;
    parallel_for(0, std::ssize(values), grain, [&](std::int64_t begin, std::int64_t end) {
        std::array<std::uint32_t, 4096> block;
        for (std::int64_t start = begin; start < end; start += std::ssize(block)) {
            auto const stop = std::min(end, start + std::ssize(block));
            auto const found = loops::gather_between(values.data() + start, static_cast<std::size_t>(stop - start),
                                                     first, first | ((1U << low_bits) - 1U), block.data());
            std::lock_guard const lock{mutex};
            all.insert(all.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(found));
        }
    });
    return all;
}

/// From the top down, the bucket in which the k-th element lies; k becomes its number within that bucket.
std::uint32_t descend(Histogram const& counts, std::size_t& k) {
    std::size_t bucket = num_buckets;
    while (bucket-- > 0) {
        if (k <= counts[bucket]) return static_cast<std::uint32_t>(bucket);
        k -= counts[bucket];
    }
    return 0;
}

/// One past the flat index of the n-th element (n >= 1) with this magnitude.
std::size_t end_of_nth(std::span<float const> values, std::uint32_t threshold, std::size_t n) {
    constexpr std::size_t block = 4096;
    for (std::size_t begin = 0; begin < values.size(); begin += block) {
        auto const piece = values.subspan(begin, std::min(block, values.size() - begin));
        auto const here = loops::count_equal(piece.data(), piece.size(), threshold);
        if (here < n) {
            n -= here;
            continue;
        }
        for (std::size_t i = 0; i < piece.size(); ++i)
            if (magnitude(piece[i]) == threshold && --n == 0) return begin + i + 1;
    }
    return values.size();
}

}  // namespace

Cut find_cut(std::span<float const> values, std::size_t k) {
    if (k >= values.size()) return {};
    if (k == 0) return {.threshold = above_all};
    auto counts = count_top_bits(values);
    auto const top = descend(counts, k);
    auto candidates = gather_bucket(values, top, counts[top]);
    std::uint32_t threshold = top;
    for (int const shift : {10, 0}) {
        counts.fill(0);
        for (auto const key : candidates) ++counts[(key >> shift) & 0x3FFU];
        auto const digit = descend(counts, k);
        std::erase_if(candidates, [&](std::uint32_t key) { return ((key >> shift) & 0x3FFU) != digit; });
        threshold = (threshold << 10) | digit;
    }
    bool const keep_all_equal = threshold == 0 || k == candidates.size();  // a zero is the same kept or dropped
    return {threshold, keep_all_equal ? SIZE_MAX : end_of_nth(values, threshold, k)};
}

std::uint32_t find_threshold(TensorWalk const& walk, std::size_t k) {
    Histogram counts{};
    walk([&](std::span<float const> values) {
        auto const here = count_top_bits(values);
        std::transform(here.begin(), here.end(), counts.begin(), counts.begin(), std::plus<>{});
    });
    if (k > std::accumulate(counts.begin(), counts.end(), std::size_t{0})) return 0;
    std::uint32_t threshold = descend(counts, k);
    for (int const shift : {10, 0}) {
        counts.fill(0);
        walk([&](std::span<float const> values) {
            for (auto const value : values) {
                auto const key = magnitude(value) >> shift;
                if (key >> 10 == threshold) ++counts[key & 0x3FFU];
            }
        });
        threshold = (threshold << 10) | descend(counts, k);
    }
    return threshold;
}

void apply_cut(Cut const& cut, std::span<float const> values, std::size_t begin, float* out) {
    auto const before = cut.end_at_threshold <= begin ? 0 : std::min(values.size(), cut.end_at_threshold - begin);
    loops::keep_at_least(values.data(), out, before, cut.threshold);
    loops::keep_at_least(values.data() + before, out + before, values.size() - before, cut.threshold + 1);
}

std::size_t kept_elements(double density, std::size_t size) {
    return static_cast<std::size_t>(density * static_cast<double>(size));
}

}  // namespace samner::merge
