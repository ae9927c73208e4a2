#include "task/merger.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "comm/comm.h"
#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "task/agreement.h"

namespace samner::task {
namespace {

/// The largest rank that an adapter's settings name, as peft looks for it: also one that no module has.
std::int64_t largest_rank(weights::LoraSettings const& settings) {
    std::int64_t largest = settings.r;
    for (auto const& [pattern, rank] : settings.rank_pattern) largest = std::max<std::int64_t>(largest, rank);
    return largest;
}

/// What a base is called wherever it lies: one adapter may name its folder by another path than the next one, or by the
/// name of a hub.
std::string last_part(std::string const& base) {
    return without_slash(base).filename().string();
}

}  // namespace

std::string Merger::base_name() const {
    std::string name;
    for (auto const& expert : experts_) {
        auto const& other = expert.settings().base_model_name_or_path;
        if (std::pair{other.size(), other} > std::pair{name.size(), name}) name = other;
    }
    return name;
}

Merger::Merger(AdapterMerge const& request, merge::Space space, comm::Comm const* ranks) : request_{request} {
    on_all(ranks, [&] {
        merge::validate(request.options);
        if (request.adapters.empty()) throw InputError{"no adapters to merge", "name at least one"};
        auto const check_count = [&](std::size_t count, char const* what) {
            if (count != 0 && count != request.adapters.size()) {
                throw InputError{fmt::format("{} {} for {} adapters", count, what, request.adapters.size()),
                                 "give one an adapter, in their order"};
            }
        };
        check_count(request.weights.size(), "weights");
        check_count(request.rules.size(), "lists of weights");
        check_count(request.densities.size(), "lists of densities");
        if (!request.weights.empty() && !request.rules.empty())
            throw InputError{"weights by adapter and by module contradict each other", "give one of them"};
        open_experts();
    });
    hash_experts(ranks);
    on_all(ranks, [&] {
        auto options = request.options;
        for (auto const& expert : experts_)
            options.largest_rank = std::max(options.largest_rank, largest_rank(expert.settings()));
        merge_.emplace(options, space, modules(),
                       [this](std::size_t module, std::size_t expert) { return read(module, expert); });
    });
}

void Merger::open_experts() {
    for (auto const& folder : request_.adapters) {
        auto const& base = experts_.emplace_back(folder).settings().base_model_name_or_path;
        auto const& first = experts_.front().settings().base_model_name_or_path;
        if (last_part(base) != last_part(first)) {
            throw InputError{fmt::format("adapters of different bases: '{}' ({}) and '{}' ({})", first,
                                         request_.adapters.front().string(), base, folder.string()),
                             "merge adapters of one base model"};
        }
    }
    std::set<std::string> names;
    for (auto const& expert : experts_)
        for (auto const& module : expert.modules()) names.insert(module.name);
    for (auto const& name : names) {
        auto& all = tensors_.emplace_back();
        for (auto const& expert : experts_) all.push_back(expert.find(name));
    }
}

void Merger::hash_experts(comm::Comm const* ranks) {
    auto const stride = ranks ? static_cast<std::size_t>(ranks->size()) : 1;
    auto const first = ranks ? static_cast<std::size_t>(ranks->rank()) : 0;
    auto const results = gather_all<std::vector<std::string>>(ranks, [&] {
        std::vector<std::size_t> own;
        for (auto i = first; i < experts_.size(); i += stride) own.push_back(i);
        std::vector<std::string> hashes(own.size());
        parallel_for(0, std::ssize(own), 1, [&](std::int64_t begin, std::int64_t end) {
            for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                hashes[i] = weights::adapter_hash(request_.adapters[own[i]]);
        });
        return hashes;
    });
    for (std::size_t i = 0; i < experts_.size(); ++i) hashes_.push_back(results[i % stride].at(i / stride));
}

/// The union of all experts' modules, with each expert's shape and weight.
std::vector<merge::Module> Merger::modules() const {
    std::vector<std::string> names;
    for (auto const& all : tensors_)
        names.push_back((*std::ranges::find_if(all, [](auto const* one) { return one != nullptr; }))->name);
    std::vector<merge::Module> modules;
    for (auto const& name : names) modules.push_back({name, {}});
    for (std::size_t i = 0; i < experts_.size(); ++i) {
        std::vector<merge::ModuleRule> const same{{.value = request_.weights.empty() ? 1.0 : request_.weights[i]}};
        auto const weights = merge::module_values(request_.rules.empty() ? same : request_.rules[i], names, "weight");
        std::vector<double> densities;
        if (!request_.densities.empty()) densities = merge::module_values(request_.densities[i], names, "density");
        for (std::size_t m = 0; m < modules.size(); ++m) {
            merge::ExpertModule one{.weight = weights[m], .identity = hashes_[i]};
            if (!densities.empty()) one.density = densities[m];
            if (auto const* found = tensors_[m][i]) {
                one.rank = found->rank;
                one.in = found->in;
                one.out = found->out;
                one.scaling = found->scaling;
            }
            modules[m].experts.push_back(one);
        }
    }
    return modules;
}

merge::FactorValues Merger::read(std::size_t module, std::size_t expert) const {
    auto const nonfinite = request_.allow_nonfinite ? weights::NonFinite::keep : weights::NonFinite::refuse;
    auto const& tensors = *tensors_[module][expert];
    merge::FactorValues values;
    values.a = experts_[expert].values(*tensors.a, nonfinite, values.memory[0]);
    values.b = experts_[expert].values(*tensors.b, nonfinite, values.memory[1]);
    return values;
}

void Merger::check(std::size_t module) const {
    for (std::size_t i = 0; i < experts_.size(); ++i)
        if (tensors_[module][i] != nullptr) read(module, i);
    release(module);
}

void Merger::release(std::size_t module) const {
    for (std::size_t i = 0; i < experts_.size(); ++i) {
        auto const* const tensors = tensors_[module][i];
        if (tensors == nullptr) continue;
        experts_[i].release(*tensors->a);
        experts_[i].release(*tensors->b);
    }
}

std::uint64_t Merger::largest_module() const {
    std::uint64_t largest = 0;
    for (auto const& module : merge_->modules()) largest = std::max(largest, module.bytes());
    return largest;
}

std::map<std::string, std::string> Merger::provenance() const {
    std::map<std::string, std::string> result;
    auto const given = key_of(request_.options);
    auto const usual = key_of(merge::MergeOptions{});
    for (auto const& [name, value] : given.items()) {
        bool const always = name == "method" || name == "seed" || (name == "density" && request_.densities.empty());
        if (always || (name != "density" && value != usual.at(name)))
            result["samner." + name] = value.is_number_float() ? fmt::format("{}", value.get<double>())
                                       : value.is_string()     ? value.get<std::string>()
                                                               : value.dump();
    }
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < experts_.size(); ++i) {
        auto const weight = request_.rules.empty()
                                ? fmt::format("{}", request_.weights.empty() ? 1.0 : request_.weights[i])
                                : merge::to_string(request_.rules[i]);
        auto& input = inputs.emplace_back(fmt::format("{} weight {}", hashes_[i], weight));
        if (!request_.densities.empty()) input += fmt::format(" density {}", merge::to_string(request_.densities[i]));
    }
    std::ranges::sort(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) result[fmt::format("samner.input.{}", i)] = inputs[i];
    return result;
}

}  // namespace samner::task
