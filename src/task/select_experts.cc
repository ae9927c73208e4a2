#include "task/select_experts.h"

#include <fmt/format.h>

#include "core/error.h"
#include "select/select.h"

namespace samner::task {
namespace {

/// What the voters name together, sentence by sentence: the labels that each of them is held against.
std::vector<score::Mentions> pseudo_labels(std::vector<std::vector<score::Mentions>> const& votes,
                                           std::vector<std::string> const& types) {
    std::vector<score::Mentions> labels;
    for (std::size_t i = 0; !votes.empty() && i < votes.front().size(); ++i) {
        std::vector<score::Mentions> voters;
        for (auto const& expert : votes) voters.push_back(expert.at(i));
        labels.push_back(score::majority_vote(voters, types));
    }
    return labels;
}

}  // namespace

work::Selection select_experts(std::vector<std::string> const& names, std::vector<double> const& similarity,
                               std::vector<std::vector<score::Mentions>> const& votes,
                               std::vector<std::string> const& types, work::Metric metric, std::size_t m) {
    bool const by_sampling = metric != work::Metric::similarity;
    if (metric != work::Metric::sampling && similarity.empty()) {
        throw InputError{fmt::format("{} needs the experts' domain embeddings", name_of_value(metric)),
                         "give them, or use sampling"};
    }
    work::Selection selection;
    std::vector<double> sampling;
    if (by_sampling) {
        auto const labels = pseudo_labels(votes, types);
        auto& told = selection.pseudo_labels.emplace();
        told.sentences = std::ssize(labels);
        for (auto const& mentions : labels) told.mentions += std::ssize(mentions);
        for (auto const& expert : votes) sampling.push_back(score::count(labels, expert).f1());
    }
    auto const metrics = metric == work::Metric::fused      ? select::fused(similarity, sampling)
                         : metric == work::Metric::sampling ? sampling
                                                            : similarity;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!similarity.empty()) selection.similarity[names[i]] = similarity[i];
        if (by_sampling) selection.sampling_f1[names[i]] = sampling[i];
        selection.metrics[names[i]] = metrics.at(i);
    }
    auto const& tie_breaker = similarity.empty() ? metrics : similarity;
    for (auto const i : select::choose(names, metrics, tie_breaker, m)) selection.chosen.push_back(names[i]);
    return selection;
}

}  // namespace samner::task
