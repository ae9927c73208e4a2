#include "merge/report.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace samner::merge {
namespace {

Json share(std::uint64_t part, std::uint64_t all) {
    if (all == 0) return nullptr;
    return static_cast<double>(part) / static_cast<double>(all);
}

Json finite_or_null(double value) {
    if (!std::isfinite(value)) return nullptr;
    return value;
}

Json numbers(ModuleReport const& report) {
    Json json;
    json["norm"] = Json::array();
    json["cosine"] = Json::array();
    for (std::size_t i = 0; i < report.updates.size(); ++i) {
        json["norm"].push_back(finite_or_null(report.updates.norm(i)));
        Json row = Json::array();
        for (std::size_t j = 0; j < report.updates.size(); ++j)
            row.push_back(finite_or_null(report.updates.cosine(i, j)));
        json["cosine"].push_back(row);
    }
    json["merged_norm"] = finite_or_null(report.merged_norm);
    auto const& counts = report.counts;
    json["elements"] = counts.elements;
    json["sparsity"] = share(counts.zeros, counts.elements);
    json["sign_conflict_rate"] = share(counts.conflicts, counts.elements);
    json["kept"] = nullptr;
    if (counts.elements > 0) {
        json["kept"] = Json::array();
        for (auto const kept : counts.kept) json["kept"].push_back(share(kept, counts.elements));
    }
    return json;
}

}  // namespace

ModuleReport total_of(std::size_t experts, std::span<ModuleReport const> modules) {
    ModuleReport total{"", {}, InnerProducts{experts}, 0.0};
    double square = 0.0;
    for (auto const& module : modules) {
        if (module.updates.size() != experts)
            throw InputError{fmt::format("a report of {} experts for {} of module {}", module.updates.size(), experts,
                                         module.module)};
        total.counts += module.counts;
        total.updates += module.updates;
        square += module.merged_norm * module.merged_norm;
    }
    total.merged_norm = std::sqrt(square);
    return total;
}

Json to_json(std::span<std::string const> experts, std::span<ModuleReport const> modules) {
    auto const total = total_of(experts.size(), modules);
    Json json{{"experts", std::vector<std::string>(experts.begin(), experts.end())}, {"modules", Json::array()}};
    for (auto const& module : modules) {
        auto entry = numbers(module);
        entry["module"] = module.module;
        json["modules"].push_back(std::move(entry));
    }
    json["total"] = numbers(total);
    return json;
}

}  // namespace samner::merge
