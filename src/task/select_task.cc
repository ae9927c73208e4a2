#include "core/file.h"
#include "select/select.h"
#include "task/select_experts.h"
#include "task/tasks.h"
#include "work/predictions.h"

namespace samner::task {

Done do_task(work::Select const& task, std::string const& key, Context& context) {
    std::vector<std::string> names;
    std::vector<float> centroids;
    std::vector<std::vector<score::Mentions>> votes;
    for (auto const& expert : task.experts) {
        names.push_back(expert.name);
        auto const centroid = context.centroid(expert.centroid);
        centroids.insert(centroids.end(), centroid.begin(), centroid.end());
        if (expert.predictions) votes.push_back(work::read_mentions(context.artifacts().path(expert.predictions->key)));
    }
    auto const similarity = select::domain_similarity(context.centroid(task.target_centroid), centroids);
    auto const types = context.texts().type_names(task.target);
    auto selection = select_experts(names, similarity, votes, types, task.metric, static_cast<std::size_t>(task.m));
    auto const hash = context.artifacts().commit(key, [&](std::filesystem::path const& out) {
        write_atomically(out, work::seal(work::Result{selection}) + "\n");
    });
    return {hash, std::move(selection)};
}

}  // namespace samner::task
