#include "core/file.h"
#include "select/kmeans.h"
#include "task/tasks.h"

namespace samner::task {
namespace {

std::vector<std::string> texts_of(work::Cluster const& task, Context& context) {
    if (!task.target) return work::training_texts(task.recipe, context.texts(), context.labels());
    std::vector<std::string> lines;
    for (auto const& text : context.texts().read(*task.target, context.labels())) lines.push_back(text.sentence->text);
    return lines;
}

}  // namespace

Done do_task(work::Cluster const& task, std::string const& key, Context& context) {
    auto const texts = texts_of(task, context);
    auto const& encoder = context.encoder();
    auto const found = select::kmeans(encoder.encode(texts), encoder.dimension(), task.clusters, task.kmeans_seed);
    work::Clustered clustered{std::ssize(texts), std::vector<std::int64_t>(static_cast<std::size_t>(task.clusters)),
                              found.inertia};
    for (auto const label : found.labels) ++clustered.sizes[static_cast<std::size_t>(label)];
    auto const hash = context.artifacts().commit(
        key, [&](std::filesystem::path const& out) { write_atomically(out, work::to_labels_file(found.labels)); });
    return {hash, std::move(clustered)};
}

}  // namespace samner::task
