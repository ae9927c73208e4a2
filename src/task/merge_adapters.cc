#include "task/merge_adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>

#include "core/error.h"
#include "core/parallel.h"
#include "merge/adapter.h"
#include "weights/adapter.h"

namespace samner::task {
namespace {

struct Expert {
    weights::Adapter adapter;
    std::string hash;
    double weight;

    weights::LoraModule const* find(std::string const& module) const {
        auto const found = std::ranges::lower_bound(adapter.modules, module, {}, &weights::LoraModule::name);
        return found != adapter.modules.end() && found->name == module ? &*found : nullptr;
    }
};

}  // namespace

void merge_adapters(AdapterMerge const& request, std::filesystem::path const& out) {
    merge::validate(request.options);
    if (request.adapters.empty()) throw InputError{"no adapters to merge", "name at least one"};
    if (!request.weights.empty() && request.weights.size() != request.adapters.size()) {
        throw InputError{fmt::format("{} weights for {} adapters", request.weights.size(), request.adapters.size()),
                         "give one weight an adapter"};
    }
    auto const nonfinite = request.allow_nonfinite ? weights::NonFinite::keep : weights::NonFinite::refuse;
    std::vector<Expert> experts;
    for (std::size_t i = 0; i < request.adapters.size(); ++i) {
        auto const& folder = request.adapters[i];
        experts.push_back(Expert{weights::read_adapter(folder, nonfinite), weights::adapter_hash(folder),
                                 request.weights.empty() ? 1.0 : request.weights[i]});
        auto const& expert = experts.back();
        auto const& base = expert.adapter.settings.base_model_name_or_path;
        auto const& first = experts.front().adapter.settings.base_model_name_or_path;
        if (base != first) {
            throw InputError{fmt::format("adapters of different bases: '{}' ({}) and '{}' ({})", first,
                                         request.adapters.front().string(), base, folder.string()),
                             "merge adapters of one base model"};
        }
    }

    std::map<std::string, weights::LoraModule> merged;  // by name: the union of all experts' modules
    for (auto const& expert : experts) {
        for (auto const& module : expert.adapter.modules) {
            auto& target = merged[module.name];
            target.name = module.name;
            target.in = module.in;
            target.out = module.out;
        }
    }
    std::vector<weights::LoraModule*> targets;
    for (auto& [name, module] : merged) targets.push_back(&module);
    parallel_for(0, std::ssize(targets), 1, [&](std::int64_t begin, std::int64_t end) {
        merge::MergedFactors result;
        for (auto i = begin; i < end; ++i) {
            auto& target = *targets[static_cast<std::size_t>(i)];
            std::vector<merge::Factors> factors;
            for (auto const& expert : experts) {
                auto const* module = expert.find(target.name);
                factors.push_back(module ? merge::Factors{module->a, module->b, module->rank, module->scaling,
                                                          expert.weight, expert.hash}
                                         : merge::Factors{.weight = expert.weight, .identity = expert.hash});
            }
            merge::merge_factors(request.options, target.name, factors, result);
            target.a = std::move(result.a);
            target.b = std::move(result.b);
            target.rank = static_cast<std::int32_t>(result.rank);
            target.scaling = result.scaling;
        }
    });

    weights::Adapter adapter;
    adapter.settings.base_model_name_or_path = experts.front().adapter.settings.base_model_name_or_path;
    std::map<std::string, std::string> targets_seen;
    for (auto& [name, module] : merged) {
        targets_seen.emplace(name.substr(name.rfind('.') + 1), "");
        adapter.modules.push_back(std::move(module));
    }
    for (auto const& [target, unused] : targets_seen) adapter.settings.target_modules.push_back(target);
    // One rank and scaling for the folder; modules that differ get patterns of their own.
    auto const& first = adapter.modules.front();
    adapter.settings.r = first.rank;
    adapter.settings.lora_alpha = first.scaling * static_cast<double>(first.rank);
    for (auto const& module : adapter.modules) {
        auto const pattern = std::regex_replace(module.name, std::regex{R"(\.)"}, R"(\.)");
        if (module.rank != adapter.settings.r) adapter.settings.rank_pattern.emplace_back(pattern, module.rank);
        auto const alpha = module.scaling * static_cast<double>(module.rank);
        if (alpha != adapter.settings.lora_alpha) adapter.settings.alpha_pattern.emplace_back(pattern, alpha);
    }
    std::map<std::string, std::string> provenance{
        {"samner.method", std::string{merge::to_string(request.options.method)}},
        {"samner.density", fmt::format("{}", request.options.density)},
        {"samner.seed", fmt::format("{}", request.options.seed)}};
    std::ranges::sort(experts, {}, &Expert::hash);
    for (std::size_t i = 0; i < experts.size(); ++i) {
        provenance[fmt::format("samner.input.{}", i)] = fmt::format("{} weight {}", experts[i].hash, experts[i].weight);
    }
    weights::write_adapter(out, adapter, provenance);
}

}  // namespace samner::task
