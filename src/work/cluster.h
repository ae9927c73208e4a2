#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "work/arithmetic.h"
#include "work/recipe.h"
#include "work/texts.h"

namespace samner::work {

struct Clustered {
    static constexpr std::string_view kind = "cluster";
    std::int64_t texts = 0;
    std::vector<std::int64_t> sizes = {};
    double inertia = 0;  ///< sum of the squared distances to the centres

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("texts", self.texts);
        visit("sizes", self.sizes);
        visit("inertia", self.inertia);
    }
};

/// Splits an expert's training samples, or a target's texts, by their embeddings (k-means): JSON {"labels": […]}.
struct Cluster {
    using Result = Clustered;
    static constexpr std::string_view kind = "cluster";
    static constexpr int revision = 2;  // 2: the encoder's hash covers all that its embeddings depend on

    std::string encoder;               ///< its hash
    Recipe recipe;                     ///< of the samples
    std::optional<Texts> target = {};  ///< what is split in place of samples
    std::int64_t clusters = 1;
    std::uint64_t kmeans_seed = 0;
    Arithmetic arithmetic;
    std::int64_t texts = 0;  ///< that are expected

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("encoder", self.encoder);
        Recipe::fields(self.recipe, visit);
        visit("target_texts", self.target, self.target.has_value());
        visit("clusters", self.clusters);
        visit("kmeans_seed", self.kmeans_seed);
        visit("arithmetic", self.arithmetic, no_influence);
        visit("texts", self.texts, no_influence);
    }
    std::string label() const;
    int width() const { return 1; }
    std::int64_t size() const { return texts; }
};

/// The labels of a cluster task's artifact, one a text, and back: {"labels": [...]}.
std::string to_labels_file(std::vector<std::int64_t> const& labels);
/// @throws InputError for another file
std::vector<std::int64_t> read_labels(std::filesystem::path const& path);

}  // namespace samner::work
