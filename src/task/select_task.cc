#include "core/file.h"
#include "select/select.h"
#include "task/select_experts.h"
#include "task/tasks.h"
#include "work/predictions.h"

namespace samner::task {

Done do_task(work::Select const& task, std::string const& key, Context& context) {
    Evidence evidence;
    std::vector<float> centroids;
    std::vector<float> of_types;
    auto const append = [&](std::vector<float>& means, work::Input const& input) {
        auto const mean = context.centroid(input);
        means.insert(means.end(), mean.begin(), mean.end());
    };
    for (auto const& expert : task.experts) {
        evidence.names.push_back(expert.name);
        append(centroids, expert.centroid);
        if (expert.type_centroid) append(of_types, *expert.type_centroid);
        if (!expert.predictions) continue;
        auto& answers = evidence.answers.emplace_back();
        for (auto const& input : expert.answers())
            answers.push_back(work::read_mentions(context.artifacts().path(input.key)));
    }
    evidence.similarity = select::domain_similarity(context.centroid(task.target_centroid), centroids);
    if (task.target_type_centroid)
        evidence.type_similarity = select::domain_similarity(context.centroid(*task.target_type_centroid), of_types);
    auto selection = select_experts(evidence, context.texts().type_names(task.target), task.metric,
                                    static_cast<std::size_t>(task.m), task.rule);
    auto const hash = context.artifacts().commit(key, [&](std::filesystem::path const& out) {
        write_atomically(out, work::seal(work::Result{selection}) + "\n");
    });
    return {hash, std::move(selection)};
}

}  // namespace samner::task
