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

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("chosen", self.chosen);
        visit("metrics", self.metrics);
        visit("similarity", self.similarity);
        visit("sampling_f1", self.sampling_f1);
        visit("pseudo_labels", self.pseudo_labels);
    }
    /// Place among the chosen, from 1; 0: not chosen.
    std::int64_t rank_of(std::string const& name) const;
};

/// What a choice of experts goes by.
enum class Metric { similarity, sampling, fused };
constexpr auto enum_names(Metric const*) {
    return std::to_array<std::pair<std::string_view, Metric>>(
        {{"similarity", Metric::similarity}, {"sampling", Metric::sampling}, {"fused", Metric::fused}});
}

/// Chooses m experts for a target (SaM, section 3.2). Its result is all of it: nothing is stored beside the journal.
struct Select {
    using Result = Selection;
    static constexpr std::string_view kind = "select";
    static constexpr int revision = 1;

    struct Candidate {
        std::string name;
        Input centroid;
        std::optional<Input> predictions;  ///< of the sampled texts; nothing when the metric does not ask for them

        template <class Self, class Visit>
        static void fields(Self& self, Visit&& visit) {
            visit("name", self.name);
            visit("centroid", self.centroid);
            visit("predictions", self.predictions);
        }
    };
    Metric metric = Metric::similarity;
    std::int64_t m = 3;
    std::vector<Candidate> experts;
    Input target_centroid;
    Texts target;  ///< whose types decide ties of the vote

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("metric", self.metric);
        visit("m", self.m);
        visit("experts", self.experts);
        visit("target_centroid", self.target_centroid);
        visit("target", self.target);
    }
    std::string label() const;
    int width() const { return 1; }
    std::int64_t size() const { return std::ssize(experts); }
};

}  // namespace samner::work
