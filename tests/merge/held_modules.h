#pragma once

#include <string>
#include <utility>
#include <vector>

#include "merge/model.h"

namespace samner::merge {

/// A module whose values are in memory.
struct HeldModule {
    std::string name;
    std::vector<Factors> experts;
};

inline std::vector<Module> shapes_of(std::vector<HeldModule> const& held) {
    std::vector<Module> modules;
    for (auto const& one : held) {
        auto& module = modules.emplace_back(Module{one.name, {}});
        for (auto const& expert : one.experts) {
            auto const width = [&](auto const& values) {
                return expert.rank == 0 ? 0 : std::ssize(values) / expert.rank;
            };
            module.experts.push_back(
                {expert.rank, width(expert.a), width(expert.b), expert.scaling, expert.weight, expert.identity});
        }
    }
    return modules;
}

inline ModelMerge model_merge(MergeOptions const& options, Space space, std::vector<HeldModule> held) {
    auto modules = shapes_of(held);
    return {options, space, std::move(modules), [held = std::move(held)](std::size_t module, std::size_t expert) {
                auto const& one = held[module].experts[expert];
                return FactorValues{one.a, one.b, {}};
            }};
}

}  // namespace samner::merge
