#include "corpus/training_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/random.h"

namespace samner::corpus {

std::vector<Sample> training_set(std::vector<Pool> const& pools, std::int64_t size, double keep_empty,
                                 std::uint64_t seed) {
    if (size < 0 || !(keep_empty >= 0 && keep_empty <= 1)) {
        throw InputError{
            fmt::format("a training set of {} samples that keeps {} of the empty sentences", size, keep_empty),
            "ask for 0 samples or more, and a share from 0 to 1"};
    }
    std::int64_t all_types = 0;
    for (auto const& pool : pools) all_types += std::ssize(pool.dataset->type_names());
    std::vector<Sample> samples;
    for (std::size_t p = 0; p < pools.size(); ++p) {
        auto const* const dataset = pools[p].dataset;
        auto const& sentences = pools[p].sentences;
        RandomStream const empty{seed, "empty/" + dataset->id};
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < sentences.size(); ++i) {
            bool const has_entities = std::ranges::any_of(
                sentences[i].entities, [&](Entity const& entity) { return dataset->type(entity.type) != nullptr; });
            if (has_entities || empty.uniform(i) < keep_empty) candidates.push_back(i);
        }
        auto const wanted = size * std::ssize(dataset->type_names()) / all_types;
        if (wanted > 0 && candidates.empty()) {
            throw InputError{fmt::format("data set {} has no training sentence to draw from ({} in all)", dataset->id,
                                         sentences.size()),
                             "raise keep_empty, or leave it out"};
        }
        RandomStream const draw{seed, "sample/" + dataset->id};
        auto const order = draw.permutation(candidates.size());
        for (std::int64_t i = 0; i < wanted; ++i)
            samples.push_back({p, candidates[order[static_cast<std::size_t>(i) % order.size()]]});
    }
    return samples;
}

}  // namespace samner::corpus
