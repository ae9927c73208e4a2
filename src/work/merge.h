#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "merge/settings.h"
#include "work/texts.h"

namespace samner::work {

/// What a merge found out about the updates of its experts, the model taken as one vector.
struct MergeStatistics {
    std::vector<double> norms;                ///< of each expert's update, without weights, in their order
    std::vector<std::vector<double>> cosine;  ///< between updates, in [-1, 1]; NaN where one of the two is zero
    double merged_norm = 0;                   ///< of the merged update
    // Of tensors merged element by element; nothing where there were none.
    std::optional<double> sign_conflicts;  ///< share of the elements where two experts have opposite signs
    std::optional<double> sparsity;        ///< share of zeros in the result
    std::vector<double> kept;              ///< share of each expert's elements that were not dropped

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("norms", self.norms);
        visit("cosine", self.cosine);
        visit("merged_norm", self.merged_norm);
        visit("sign_conflicts", self.sign_conflicts);
        visit("sparsity", self.sparsity);
        visit("kept", self.kept);
    }
};

struct Merged {
    static constexpr std::string_view kind = "merge";
    std::int64_t experts = 0;
    std::optional<MergeStatistics> statistics = {};  ///< nothing in results from before they were kept

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("experts", self.experts);
        visit("statistics", self.statistics);
    }
};

/// What is merged, and how.
struct MergeRecipe {
    std::vector<Input> adapters;  ///< sorted, with their weights
    std::vector<double> weights;
    merge::MethodSettings settings;
    std::vector<std::string> names;  ///< of the adapters, for people

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("adapters", self.adapters);
        visit("weights", self.weights);
        visit("settings", self.settings, no_influence);  // those that the method uses: see key()
        visit("names", self.names, no_influence);
    }
    Json key() const;
    std::string label() const;
};

/// Merges adapters (SaM, section 3.3) in factor space: a PEFT folder.
struct Merge {
    using Result = Merged;
    static constexpr std::string_view kind = "merge";

    MergeRecipe recipe;
    int layers = 1;  ///< of the base model: what ranks can share

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        MergeRecipe::fields(self.recipe, visit);
        visit("layers", self.layers, no_influence);
    }
    /// 2: svd methods that follow peft give every module the largest rank of all. Others are as they were.
    int revision() const;
    Json key() const { return recipe.key(); }
    std::string label() const { return recipe.label(); }
    int width() const { return layers; }
    std::int64_t size() const { return std::ssize(recipe.adapters); }
};

}  // namespace samner::work
