#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"

namespace samner::plan {

/// The seeds of one repeat, one for each kind of chance.
struct Seeds {
    std::uint64_t train = 0;    ///< which samples are drawn, and the training
    std::uint64_t sample = 0;   ///< which sentences of a target the sampling evaluation sees
    std::uint64_t merge = 0;    ///< random drops
    std::uint64_t cluster = 0;  ///< k-means

    friend auto operator<=>(Seeds const&, Seeds const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("train", self.train);
        visit("sample", self.sample);
        visit("merge", self.merge);
        visit("cluster", self.cluster);
    }
    static Seeds all(std::uint64_t seed) { return {seed, seed, seed, seed}; }
    bool uniform() const { return *this == all(train); }
};

/// A repeat of everything, under the number by which results call it.
struct Repeat {
    std::int64_t label = 0;
    Seeds seeds;
};

}  // namespace samner::plan
