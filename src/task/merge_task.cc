#include "comm/comm.h"
#include "task/merge_adapters.h"
#include "task/tasks.h"

namespace samner::task {
namespace {

work::MergeStatistics statistics_of(std::size_t experts, std::vector<merge::ModuleReport> const& reports) {
    auto const total = merge::total_of(experts, reports);
    work::MergeStatistics statistics;
    statistics.merged_norm = total.merged_norm;
    for (std::size_t i = 0; i < experts; ++i) {
        statistics.norms.push_back(total.updates.norm(i));
        auto& row = statistics.cosine.emplace_back();
        for (std::size_t j = 0; j < experts; ++j) row.push_back(total.updates.cosine(i, j));
    }
    auto const& counts = total.counts;
    if (counts.elements == 0) return statistics;
    auto const share = [&](std::uint64_t part) {
        return static_cast<double>(part) / static_cast<double>(counts.elements);
    };
    statistics.sign_conflicts = share(counts.conflicts);
    statistics.sparsity = share(counts.zeros);
    for (auto const kept : counts.kept) statistics.kept.push_back(share(kept));
    return statistics;
}

}  // namespace

Done do_task(work::Merge const& task, std::string const& key, Context& context, comm::Comm const* team) {
    auto request = context.merge_of(task.recipe);
    request.report = true;
    auto merged = merge_adapters(request, team);
    auto const adapter = std::make_shared<weights::Adapter const>(std::move(merged.adapter));
    context.keep_merged(key, adapter);
    if (team && team->rank() > 0) return {};
    auto const hash = context.artifacts().commit(
        key, [&](std::filesystem::path const& out) { weights::write_adapter(out, *adapter, merged.provenance); });
    auto const experts = task.recipe.adapters.size();
    return {hash, work::Merged{static_cast<std::int64_t>(experts), statistics_of(experts, merged.reports)}};
}

}  // namespace samner::task
