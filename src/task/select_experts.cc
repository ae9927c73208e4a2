#include "task/select_experts.h"

#include <fmt/format.h>

#include "core/error.h"
#include "select/select.h"

namespace samner::task {
namespace {

std::size_t size_by(work::Rule rule, std::vector<double> const& metrics) {
    switch (rule) {
        case work::Rule::gap:
            return select::before_gap(metrics);
        case work::Rule::mean:
            return select::above_mean(metrics);
    }
    throw Error{"a rule without a number"};
}

}  // namespace

work::Selection select_experts(Evidence const& evidence, std::vector<std::string> const& types, work::Metric metric,
                               std::size_t m, std::optional<work::Rule> rule) {
    auto const& [names, similarity, answers, type_similarity] = evidence;
    bool const by_domain = metric != work::Metric::sampling && metric != work::Metric::types;
    if (by_domain && similarity.empty()) {
        throw InputError{fmt::format("{} needs the experts' domain embeddings", name_of_value(metric)),
                         "give them, or use sampling"};
    }
    if (work::by_types(metric) && type_similarity.empty())
        throw InputError{fmt::format("{} needs the embeddings of the experts' types", name_of_value(metric)),
                         "use another metric"};
    work::Selection selection;
    std::vector<double> sampling;
    if (work::by_sampling(metric)) {
        Answers voters;
        for (auto const& of_expert : answers) voters.insert(voters.end(), of_expert.begin(), of_expert.end());
        auto const labels = score::majority_votes(voters, types);
        auto& told = selection.pseudo_labels.emplace();
        told.sentences = std::ssize(labels);
        for (auto const& mentions : labels) told.mentions += std::ssize(mentions);
        for (auto const& of_expert : answers) {
            score::Counts counts;
            for (auto const& answer : of_expert) counts += score::count(labels, answer);
            sampling.push_back(counts.f1());
        }
    }
    auto const metrics = [&] {
        switch (metric) {
            case work::Metric::similarity:
                return similarity;
            case work::Metric::sampling:
                return sampling;
            case work::Metric::fused:
                return select::fused(similarity, sampling);
            case work::Metric::types:
                return type_similarity;
            case work::Metric::similarity_types:
                return select::fused(similarity, type_similarity);
        }
        throw Error{"a metric without values"};
    }();
    if (work::by_types(metric)) selection.type_similarity.emplace();
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!similarity.empty()) selection.similarity[names[i]] = similarity[i];
        if (work::by_sampling(metric)) selection.sampling_f1[names[i]] = sampling.at(i);
        if (work::by_types(metric)) (*selection.type_similarity)[names[i]] = type_similarity.at(i);
        selection.metrics[names[i]] = metrics.at(i);
    }
    auto const& tie_breaker = similarity.empty() ? metrics : similarity;
    auto const chosen = select::choose(names, metrics, tie_breaker, rule ? size_by(*rule, metrics) : m);
    for (auto const i : chosen) selection.chosen.push_back(names[i]);
    return selection;
}

}  // namespace samner::task
