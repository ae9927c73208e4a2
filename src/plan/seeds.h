#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/key.h"

namespace samner::plan {

/// The seeds of one repeat, one for each kind of chance.
struct Seeds {
    std::uint64_t train = 0;  ///< which samples are drawn, and the training
    std::uint64_t sample =
        0;  ///< which sentences of a target the sampling evaluation sees, and which experts are drawn by lot
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
    /// What a user is told of each field, in their order.
    static std::span<Key const> help() {
        static constexpr auto keys = std::to_array<Key>({
            {"train", "Which samples are drawn for a training, how their prompts read, and the training."},
            {"sample", "Which sentences of a target the sampling evaluation sees, and which experts `random` draws."},
            {"merge", "Random drops of the dare and della methods."},
            {"cluster", "k-means of `mix`."},
        });
        return keys;
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
