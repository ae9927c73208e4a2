#include "task/merge_adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <regex>
#include <set>

#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/parallel.h"
#include "task/agreement.h"
#include "task/merger.h"

namespace samner::task {
namespace {

struct MergedModule {
    std::size_t index = 0;
    merge::MergedFactors factors;
    merge::ModuleReport report;
};

/// What ranks tell each other of a module that one of them has merged, before it sends the factors.
struct Announcement {
    std::size_t index = 0;
    std::int64_t rank = 0;
    double scaling = 0;
    std::size_t a = 0;  ///< elements
    std::size_t b = 0;
    std::string module;
    std::vector<std::uint64_t> counts;  ///< elements, zeros, conflicts, and those kept of each expert
    std::size_t experts = 0;
    std::vector<double> updates;  ///< inner products, the lower triangle by rows
    double norm = 0;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("index", self.index);
        visit("rank", self.rank);
        visit("scaling", self.scaling);
        visit("a", self.a);
        visit("b", self.b);
        visit("module", self.module);
        visit("counts", self.counts);
        visit("experts", self.experts);
        visit("updates", self.updates);
        visit("norm", self.norm);
    }
};

Announcement announcement_of(MergedModule const& merged) {
    auto const& [index, factors, report] = merged;
    Announcement told{index,
                      factors.rank,
                      factors.scaling,
                      factors.a.size(),
                      factors.b.size(),
                      report.module,
                      {report.counts.elements, report.counts.zeros, report.counts.conflicts},
                      report.updates.size(),
                      {},
                      report.merged_norm};
    std::ranges::copy(report.counts.kept, std::back_inserter(told.counts));
    for (std::size_t i = 0; i < told.experts; ++i)
        for (std::size_t j = 0; j <= i; ++j) told.updates.push_back(report.updates.at(i, j));
    return told;
}

/// Without the values of the factors.
MergedModule announced(Announcement const& told) {
    MergedModule merged;
    merged.index = told.index;
    merged.factors.rank = told.rank;
    merged.factors.scaling = told.scaling;
    merged.factors.a.resize(told.a);
    merged.factors.b.resize(told.b);
    auto& report = merged.report;
    report.module = told.module;
    report.counts = {
        told.counts.at(0), told.counts.at(1), told.counts.at(2), {told.counts.begin() + 3, told.counts.end()}};
    report.merged_norm = told.norm;
    report.updates = merge::InnerProducts{told.experts};
    std::size_t next = 0;
    for (std::size_t i = 0; i < told.experts; ++i)
        for (std::size_t j = 0; j <= i; ++j) report.updates.set(i, j, told.updates.at(next++));
    return merged;
}

/// Merges a rank's modules. Several small ones at once, one by each thread, as long as their factors take no more
/// memory than those of the largest module.
std::vector<MergedModule> merge_shard(Merger const& merger, std::vector<std::size_t> const& shard, bool report) {
    auto const modules = merger.merge().modules();
    auto const limit = merger.largest_module();
    std::vector<MergedModule> results(shard.size());
    for (std::size_t first = 0, last = 0; first < shard.size(); first = last) {
        std::uint64_t bytes = 0;
        while (last < shard.size() && (last == first || bytes + modules[shard[last]].bytes() <= limit))
            bytes += modules[shard[last++]].bytes();
        parallel_for(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last), 1,
                     [&](std::int64_t begin, std::int64_t end) {
                         for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
                             auto& result = results[i];
                             result.index = shard[i];
                             merger.merge().factors(shard[i], result.factors, report ? &result.report : nullptr);
                             merger.release(shard[i]);
                         }
                     });
    }
    return results;
}

/// All modules in order on every rank: each broadcasts those it merged into the place where they stay, from device to
/// device where the ranks merge on one each.
std::vector<MergedModule> gather(std::vector<MergedModule> own, std::vector<std::vector<Announcement>> const& told,
                                 std::size_t modules, comm::Comm const* ranks, comm::DeviceComm const* devices) {
    std::vector<MergedModule> all(modules);
    std::vector<int> owner(modules);
    for (auto& module : own) all[module.index] = std::move(module);
    if (!ranks || ranks->size() == 1) return all;
    for (std::size_t rank = 0; rank < told.size(); ++rank)
        for (auto const& one : told[rank]) {
            owner[one.index] = static_cast<int>(rank);
            if (static_cast<int>(rank) != ranks->rank()) all[one.index] = announced(one);
        }
    for (std::size_t i = 0; i < modules; ++i)
        for (auto* values : {&all[i].factors.a, &all[i].factors.b}) {
            auto const bytes = std::as_writable_bytes(std::span{*values});
            if (devices)
                devices->broadcast_host(bytes, owner[i]);
            else
                ranks->broadcast(bytes, owner[i]);
        }
    return all;
}

MergedAdapter assemble(AdapterMerge const& request, Merger const& merger, std::vector<MergedModule> modules) {
    MergedAdapter merged;
    std::set<std::string> targets;
    std::vector<merge::ModuleReport> reports;
    for (auto& module : modules) {
        auto const& name = merger.merge().modules()[module.index].name;
        auto const& factors = module.factors;
        auto const in = std::ssize(factors.a) / factors.rank;
        auto const out = std::ssize(factors.b) / factors.rank;
        merged.adapter.modules.push_back({name, static_cast<std::int32_t>(factors.rank), factors.scaling, in, out,
                                          std::move(module.factors.a), std::move(module.factors.b)});
        targets.insert(name.substr(name.rfind('.') + 1));
        reports.push_back(std::move(module.report));
    }
    auto& settings = merged.adapter.settings;
    settings.base_model_name_or_path = merger.base_name();
    settings.target_modules.assign(targets.begin(), targets.end());
    // One rank and scaling for the folder; modules that differ get patterns of their own.
    auto const& first = merged.adapter.modules.front();
    settings.r = first.rank;
    settings.lora_alpha = first.scaling * static_cast<double>(first.rank);
    for (auto const& module : merged.adapter.modules) {
        auto const pattern = std::regex_replace(module.name, std::regex{R"(\.)"}, R"(\.)");
        if (module.rank != settings.r) settings.rank_pattern.emplace_back(pattern, module.rank);
        auto const alpha = module.scaling * static_cast<double>(module.rank);
        if (alpha != settings.lora_alpha) settings.alpha_pattern.emplace_back(pattern, alpha);
    }
    merged.provenance = merger.provenance();
    if (request.report) merged.reports = std::move(reports);
    return merged;
}

}  // namespace

MergedAdapter merge_adapters(AdapterMerge const& request, comm::Comm const* ranks) {
    Merger const merger{request, merge::Space::factor, ranks};
    auto const shard =
        merger.merge().shards(ranks ? ranks->size() : 1)[static_cast<std::size_t>(ranks ? ranks->rank() : 0)];
    std::uint64_t bytes = 0;
    for (auto const index : shard) bytes += merger.merge().modules()[index].bytes();
    std::vector<MergedModule> own;
    auto const told = gather_all<std::vector<Announcement>>(ranks, [&] {
        own = merge_shard(merger, shard, request.report);
        std::vector<Announcement> announcements;
        for (auto const& module : own) announcements.push_back(announcement_of(module));
        return announcements;
    });
    std::unique_ptr<comm::DeviceComm> devices;
    auto const& options = request.options;
    if (ranks && ranks->size() > 1 && options.device == merge::Device::cuda)
        devices = comm::connect_devices(*ranks, fmt::format("cuda:{}", options.device_index));
    auto all = gather(std::move(own), told, merger.merge().modules().size(), ranks, devices.get());
    if (devices) devices->finish();
    auto result = assemble(request, merger, std::move(all));
    result.bytes = bytes;
    return result;
}

}  // namespace samner::task
