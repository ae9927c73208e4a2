#include "comm/comm.h"
#include "task/merge_adapters.h"
#include "task/tasks.h"

namespace samner::task {

Done do_task(work::Merge const& task, std::string const& key, Context& context, comm::Comm const* team) {
    AdapterMerge request;
    for (auto const& input : task.adapters) request.adapters.push_back(context.artifacts().path(input.key));
    request.weights = task.weights;
    request.options = task.settings.options();
    auto merged = merge_adapters(request, team);
    auto const adapter = std::make_shared<weights::Adapter const>(std::move(merged.adapter));
    context.keep_merged(key, adapter);
    if (team && team->rank() > 0) return {};
    auto const hash = context.artifacts().commit(
        key, [&](std::filesystem::path const& out) { weights::write_adapter(out, *adapter, merged.provenance); });
    return {hash, work::Merged{std::ssize(task.adapters)}};
}

}  // namespace samner::task
