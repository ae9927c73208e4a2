#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "corpus/dataset.h"

namespace samner::corpus {

/// A data set's training sentences, as the sampling needs them.
struct Pool {
    Dataset const* dataset;
    std::vector<Sentence> sentences;
};

struct Sample {
    std::size_t pool;
    std::size_t sentence;
    friend bool operator==(Sample const&, Sample const&) = default;
};

/// Draws the training set of a domain (SaM, section 3.1 and Appendix A): of the sentences without entities only a share
/// is kept; each data set gives floor(size * its types / all types) samples, drawn without repetition, or, where it has
/// fewer sentences, all of them as often as it takes. Depends on seed, data set and sentence numbers alone.
/// @param keep_empty  share of the sentences without entities, in [0, 1] (the paper keeps 0.1)
/// @throws InputError when a data set has no sentence to draw from
std::vector<Sample> training_set(std::vector<Pool> const& pools, std::int64_t size, double keep_empty,
                                 std::uint64_t seed);

}  // namespace samner::corpus
