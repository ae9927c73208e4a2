#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "corpus/training_set.h"
#include "work/texts.h"

namespace samner::work {

/// What a training takes of one expert's corpora: all samples drawn from them, or those of one cluster.
struct Part {
    std::string expert;               ///< its name in the run file
    std::vector<DatasetSource> data;  ///< what is drawn from
    std::int64_t samples = 0;         ///< 0: as many as there are, within `between`
    std::vector<std::int64_t> between = {};
    std::optional<OfCluster> cluster = {};  ///< nothing: all samples

    friend bool operator==(Part const&, Part const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("expert", self.expert, no_influence);
        visit("data", self.data);
        visit("samples", self.samples);
        visit("between", self.between, self.samples == 0);
        visit("cluster", self.cluster, self.cluster.has_value());
    }
};

/// What an expert, a mixed expert or the unified model is trained on.
struct Recipe {
    static constexpr std::string_view kind = "recipe";
    std::vector<Part> parts;
    double keep_empty = 0.1;  ///< share of the sentences without entities that is kept (SaM, section 3.1)
    std::uint64_t seed = 0;

    friend bool operator==(Recipe const&, Recipe const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("parts", self.parts);
        visit("keep_empty", self.keep_empty);
        visit("seed", self.seed);
    }

    std::string name() const;  ///< `biomedical+stem`, `stem[2]` for its second cluster
};

/// The samples of one part of a recipe; the pools' sentences stay with the reader.
struct TrainingSet {
    std::vector<corpus::Pool> pools;
    std::vector<corpus::Sample> samples;
};

/// Draws the training set of each part, in their order.
/// @param labels  of clusters; needed where a part is one
/// @throws InputError as corpus::training_set; when labels are not those of the samples
std::vector<TrainingSet> training_sets(Recipe const& recipe, TextReader& reader, Labels const& labels = {});

/// The input texts of all samples, in their order.
std::vector<std::string> training_texts(Recipe const& recipe, TextReader& reader, Labels const& labels = {});

}  // namespace samner::work
