#include "task/select_experts.h"

#include <fmt/format.h>

#include "core/error.h"
#include "select/select.h"

namespace samner::task {

Json select_experts(std::vector<std::string> const& names, std::vector<double> const& similarity,
                    std::vector<std::vector<score::Mentions>> const& votes, std::vector<std::string> const& types,
                    std::string const& metric, std::size_t m) {
    bool const by_similarity = metric == "similarity" || metric == "fused";
    bool const by_sampling = metric == "sampling" || metric == "fused";
    if (!by_similarity && !by_sampling)
        throw InputError{fmt::format("the strategy is '{}'", metric), "use similarity, sampling or fused"};
    if (by_similarity && similarity.empty())
        throw InputError{fmt::format("{} needs the experts' domain embeddings", metric), "give them, or use sampling"};
    Json result{{"similarity", Json::object()},
                {"sampling_f1", Json::object()},
                {"metrics", Json::object()},
                {"chosen", Json::array()}};
    std::vector<double> sampling;
    if (by_sampling) {
        std::vector<score::Mentions> pseudo_labels;
        std::int64_t mentions = 0;
        for (std::size_t i = 0; !votes.empty() && i < votes.front().size(); ++i) {
            std::vector<score::Mentions> voters;
            for (auto const& expert : votes) voters.push_back(expert.at(i));
            pseudo_labels.push_back(score::majority_vote(voters, types));
            mentions += std::ssize(pseudo_labels.back());
        }
        result["pseudo_labels"] = {{"sentences", pseudo_labels.size()}, {"mentions", mentions}};
        for (auto const& expert : votes) sampling.push_back(score::count(pseudo_labels, expert).f1());
    }
    auto const metrics = metric == "fused" ? select::fused(similarity, sampling) : by_sampling ? sampling : similarity;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (!similarity.empty()) result["similarity"][names[i]] = similarity[i];
        if (by_sampling) result["sampling_f1"][names[i]] = sampling[i];
        result["metrics"][names[i]] = metrics.at(i);
    }
    auto const& tie_breaker = similarity.empty() ? metrics : similarity;
    for (auto const i : select::choose(names, metrics, tie_breaker, m)) result["chosen"].push_back(names[i]);
    return result;
}

}  // namespace samner::task
