#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "work/texts.h"

namespace samner::work {

struct Selection {
    static constexpr std::string_view kind = "select";
    struct PseudoLabels {
        std::int64_t sentences = 0;
        std::int64_t mentions = 0;

        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("sentences", self.sentences);
            visit("mentions", self.mentions);
        }
    };
    std::vector<std::string> chosen = {};            ///< names, best first
    std::map<std::string, double> metrics = {};      ///< what the choice went by, of every candidate
    std::map<std::string, double> similarity = {};   ///< cosine to the target; empty: not known
    std::map<std::string, double> sampling_f1 = {};  ///< against the pseudo-labels; empty: not evaluated
    std::optional<PseudoLabels> pseudo_labels = {};
    std::optional<std::map<std::string, double>> type_similarity =
        {};  ///< cosine of types' embeddings; nothing: not asked

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("chosen", self.chosen);
        visit("metrics", self.metrics);
        visit("similarity", self.similarity);
        visit("sampling_f1", self.sampling_f1);
        visit("pseudo_labels", self.pseudo_labels);
        visit("type_similarity", self.type_similarity);
    }
    /// Place among the chosen, from 1; 0: not chosen.
    std::int64_t rank_of(std::string const& name) const;
};

/// What a choice of experts goes by.
enum class Metric { similarity, sampling, fused, types, similarity_types };
constexpr auto enum_names(Metric const*) {
    using enum Metric;
    return std::to_array<std::pair<std::string_view, Metric>>({{"similarity", similarity},
                                                               {"sampling", sampling},
                                                               {"fused", fused},
                                                               {"types", types},
                                                               {"similarity_types", similarity_types}});
}
constexpr bool by_sampling(Metric metric) {
    return metric == Metric::sampling || metric == Metric::fused;
}
constexpr bool by_types(Metric metric) {
    return metric == Metric::types || metric == Metric::similarity_types;
}

/// What says how many experts are chosen, where no number does: the metrics of all candidates.
enum class Rule {
    gap,  ///< those before the largest gap between neighbours (select::before_gap)
    mean  ///< those above the mean (select::above_mean)
};
constexpr auto enum_names(Rule const*) {
    return std::to_array<std::pair<std::string_view, Rule>>({{"gap", Rule::gap}, {"mean", Rule::mean}});
}

/// Chooses experts for a target (SaM, section 3.2): m of them, or as many as a rule says. Its result is all of it:
/// nothing is stored beside the journal.
struct Select {
    using Result = Selection;
    static constexpr std::string_view kind = "select";
    static constexpr int revision = 1;

    struct Candidate {
        std::string name;
        Input centroid;
        std::optional<Input> predictions;  ///< of the sampled texts; nothing when the metric does not ask for them
        std::optional<Input> type_centroid = {};   ///< mean embedding of its types; likewise
        std::vector<Input> more_predictions = {};  ///< of further answers to the sampled texts

        /// Those of all its answers.
        std::vector<Input> answers() const;

        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("name", self.name);
            visit("centroid", self.centroid);
            visit("predictions", self.predictions);
            visit("type_centroid", self.type_centroid, self.type_centroid.has_value());
            visit("more_predictions", self.more_predictions, !self.more_predictions.empty());
        }
    };
    Metric metric = Metric::similarity;
    std::int64_t m = 3;
    std::vector<Candidate> experts;
    Input target_centroid;
    Texts target;                                    ///< whose types decide ties of the vote
    std::optional<Rule> rule = {};                   ///< in place of m
    std::optional<Input> target_type_centroid = {};  ///< mean embedding of the target's types

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("metric", self.metric);
        visit("m", self.m, !self.rule);
        visit("experts", self.experts);
        visit("target_centroid", self.target_centroid);
        visit("target", self.target);
        visit("rule", self.rule, self.rule.has_value());
        visit("target_type_centroid", self.target_type_centroid, self.target_type_centroid.has_value());
    }
    std::string label() const;
    int width() const { return 1; }
    std::int64_t size() const { return std::ssize(experts); }
};

}  // namespace samner::work
