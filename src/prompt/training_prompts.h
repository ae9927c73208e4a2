#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/key.h"
#include "core/random.h"
#include "corpus/training_set.h"
#include "prompt/prompt.h"

namespace samner::prompt {

/// In what share of the training data the optional parts of an instruction stand, each drawn by itself. The defaults
/// are the paper's (SaM, section 3.1) where it names them.
struct Rates {
    double source = 0.7;
    double definitions = 0.7;
    double demonstrations = 0.7;
    std::int64_t min_pairs = 1;  ///< demonstrations of an instruction that has them, at least
    std::int64_t max_pairs = 5;  ///< and at most (64 or less); their number is uniform
    double drop = 0.3;           ///< types are left out; never where a data set has one type only
    /// Not stated: how many are dropped. Their number is uniform from 1 to this share of the types, at least one.
    double drop_at_most = 0.5;
    double mask = 0.05;  ///< types are called Type1, Type2 …; only where all that are asked for have a definition there
    /// Not stated: whether `mask` is a share of all data, or of the data with definitions.
    bool mask_of_defined = false;
    /// Not stated: the share of each answer format. In proportion to these weights.
    std::vector<std::pair<Format, double>> formats{{Format::json, 1}, {Format::enumeration, 1}, {Format::sentences, 1}};

    /// `none`, `paper`, or a map of source, definitions, demonstrations, pairs: [1, 5], drop, drop_at_most, mask,
    /// mask_of (all or defined) and formats ({json: 1, enumeration: 1}) over the defaults.
    /// @return nothing for `none`
    /// @throws InputError naming the key
    static std::optional<Rates> from_json(Json const& value, Places const& places);
    Json to_json() const;
    /// What a user is told of each member of that map.
    static std::span<Key const> help();
};

/// The prompts of a training set. Number i is a function of the seed, its data set and its place among that data set's
/// samples, whoever asks and in whatever order; nothing is kept but the samples.
class TrainingPrompts {
public:
    /// @param pools    must outlive this
    /// @param samples  as corpus::training_set gives them
    /// @param fixed    layout and format of all prompts where there are no rates
    TrainingPrompts(std::span<corpus::Pool const> pools, std::vector<corpus::Sample> samples, Options const& fixed,
                    std::optional<Rates> rates, std::uint64_t seed);

    std::size_t size() const { return samples_.size(); }
    Parts parts(std::size_t i) const;
    Prompt at(std::size_t i) const;
    corpus::Sentence const& sentence(std::size_t i) const;
    corpus::Dataset const& dataset(std::size_t i) const;
    std::size_t place(std::size_t i) const;  ///< among its data set's samples, from 0

private:
    struct Source {
        std::size_t begin;     ///< its first sample
        std::size_t distinct;  ///< samples before they repeat
        Parts fixed;
        RandomStream choices, examples, dropped;
    };
    std::vector<std::string> some_types(Source const& source, std::size_t place) const;
    std::vector<corpus::Sentence const*> some_examples(Source const& source, std::size_t i) const;

    std::span<corpus::Pool const> pools_;
    std::vector<corpus::Sample> samples_;
    std::optional<Rates> rates_;
    std::vector<std::optional<Source>> sources_;  ///< by pool
};

}  // namespace samner::prompt
