#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "corpus/dataset.h"

namespace samner::corpus {

/// A data set's training sentences, as the sampling needs them. Both must outlive the pool.
struct Pool {
    Dataset const* dataset;
    std::span<Sentence const> sentences;
};

struct Sample {
    std::size_t pool;
    std::size_t sentence;
    friend bool operator==(Sample const&, Sample const&) = default;
};

/// How many samples a domain gives (SaM, section 3.1 and Appendix A).
struct SetSize {
    std::int64_t samples = 0;        ///< 0: as many as there are sentences to draw from, within the bounds
    std::int64_t at_least = 10'000;  ///< bounds of that number, reached by repeating
    std::int64_t at_most = 50'000;   ///< and by sampling
};

/// What each data set gives of `size` samples: floor(size * its types / all types), which is Table 11's column of
/// sampled instances.
/// @param types  number of entity types of each data set
/// @throws InputError when there are data sets and none has a type
std::vector<std::int64_t> shares(std::int64_t size, std::span<std::int64_t const> types);

/// Draws the training set of a domain (SaM, section 3.1 and Appendix A): of the sentences without entities only a share
/// is kept; each data set gives its share of the samples, drawn without repetition, or, where it has fewer sentences,
/// all of them as often as it takes. Depends on seed, data set and sentence numbers alone.
/// @param keep_empty  share of the sentences without entities, in [0, 1] (the paper keeps 0.1)
/// @return samples, data set by data set; a data set's are in one random order, over and over
/// @throws InputError when a data set has no sentence to draw from, or for sizes out of range
std::vector<Sample> training_set(std::span<Pool const> pools, SetSize const& size, double keep_empty,
                                 std::uint64_t seed);

}  // namespace samner::corpus
