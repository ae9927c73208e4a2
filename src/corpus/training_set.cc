#include "corpus/training_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace samner::corpus {
namespace {

/// The sentences that are drawn from: those with entities, and a share of the others.
std::vector<std::size_t> candidates(Pool const& pool, double keep_empty, std::uint64_t seed) {
    RandomStream const empty{seed, "empty/" + pool.dataset->id};
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < pool.sentences.size(); ++i) {
        bool const has_entities = std::ranges::any_of(pool.sentences[i].entities, [&](Entity const& entity) {
            return pool.dataset->type(entity.type) != nullptr;
        });
        if (has_entities || empty.uniform(i) < keep_empty) kept.push_back(i);
    }
    return kept;
}

}  // namespace

std::vector<std::int64_t> shares(std::int64_t size, std::span<std::int64_t const> types) {
    auto const all = std::accumulate(types.begin(), types.end(), std::int64_t{0});
    if (types.empty()) return {};
    if (all <= 0) {
        throw InputError{"data sets that have no entity types cannot share a training set",
                         "describe at least one type of one of them"};
    }
    std::vector<std::int64_t> result;
    for (auto const of_one : types) result.push_back(size * of_one / all);
    return result;
}

std::vector<Sample> training_set(std::span<Pool const> pools, SetSize const& size, double keep_empty,
                                 std::uint64_t seed) {
    if (size.samples < 0 || size.at_least < 0 || size.at_least > size.at_most ||
        !(keep_empty >= 0 && keep_empty <= 1)) {
        throw InputError{fmt::format("a training set of {} samples, or {} to {}, that keeps {} of the empty sentences",
                                     size.samples, size.at_least, size.at_most, keep_empty),
                         "ask for 0 samples or more, a rising range, and a share from 0 to 1"};
    }
    std::vector<std::vector<std::size_t>> kept;
    std::vector<std::int64_t> types;
    std::int64_t all = 0;
    for (auto const& pool : pools) {
        kept.push_back(candidates(pool, keep_empty, seed));
        types.push_back(std::ssize(pool.dataset->type_names()));
        all += std::ssize(kept.back());
    }
    auto const wanted = shares(size.samples > 0 ? size.samples : std::clamp(all, size.at_least, size.at_most), types);
    std::vector<Sample> samples;
    for (std::size_t p = 0; p < pools.size(); ++p) {
        auto const& id = pools[p].dataset->id;
        if (wanted[p] > 0 && kept[p].empty()) {
            throw InputError{fmt::format("data set {} has no training sentence to draw from ({} in all)", id,
                                         pools[p].sentences.size()),
                             "raise keep_empty, or leave it out"};
        }
        auto const order = RandomStream{seed, "sample/" + id}.permutation(kept[p].size());
        for (std::int64_t i = 0; i < wanted[p]; ++i)
            samples.push_back({p, kept[p][order[static_cast<std::size_t>(i) % order.size()]]});
    }
    return samples;
}

}  // namespace samner::corpus
