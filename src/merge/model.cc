#include "merge/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "merge/order.h"

namespace samner::merge {
namespace {

/// The number of positive less that of negative values.
std::int64_t sum_of_signs(std::span<float const> values) {
    std::int64_t sum = 0;
    for (auto const value : values) sum += (value > 0.0F ? 1 : 0) - (value < 0.0F ? 1 : 0);
    return sum;
}

std::size_t update_size(ExpertModule const& one) {
    return static_cast<std::size_t>(one.in * one.out);
}

Factors factors_of(ExpertModule const& one, FactorValues const& values) {
    return {values.a, values.b, one.rank, one.scaling, one.weight, one.identity, one.density};
}

/// A module with its values.
struct Loaded {
    std::vector<FactorValues> values;
    std::vector<Factors> experts;

    Loaded(std::span<Module const> modules, std::size_t module, ReadFactors const& read) {
        auto const& all = modules[module].experts;
        for (std::size_t i = 0; i < all.size(); ++i) {
            values.push_back(all[i].rank == 0 ? FactorValues{} : read(module, i));
            experts.push_back(factors_of(all[i], values.back()));
        }
    }
};

/// The tensors of one expert that a merge in this space trims, one after the other.
void walk_expert(Space space, std::span<Module const> modules, std::size_t expert, ReadFactors const& read,
                 std::function<void(std::span<float const>)> const& visit) {
    std::vector<float> update;
    for (std::size_t module = 0; module < modules.size(); ++module) {
        auto const& one = modules[module].experts[expert];
        if (one.rank == 0) continue;
        auto const values = read(module, expert);
        if (space == Space::factor) {
            visit(values.a);
            visit(values.b);
        } else {
            update.resize(update_size(one));
            expand(factors_of(one, values), update);
            visit(update);
        }
    }
}

void check_densities(MergeOptions options, Module const& module) {
    for (auto const& one : module.experts) {
        if (!one.density) continue;
        if (options.trim_over == TrimOver::model)
            throw InputError{
                fmt::format("a density of its own for module {} and trimming over the whole model", module.name),
                "trim each tensor, or give one density"};
        options.density = *one.density;
        validate(options);
    }
}

InnerProducts updates_of(std::span<Factors const> experts) {
    auto const order = order_by(experts.size(), [&](std::size_t i) { return experts[i].identity; });
    std::vector<Factors> sorted;
    sorted.reserve(order.size());
    for (auto const i : order) sorted.push_back(experts[i]);
    auto const products = inner_products(std::span<Factors const>{sorted});
    InnerProducts given{order.size()};
    for (std::size_t i = 0; i < order.size(); ++i)
        for (std::size_t j = i; j < order.size(); ++j) given.set(order[i], order[j], products.at(i, j));
    return given;
}

}  // namespace

std::uint64_t Module::bytes() const {
    std::uint64_t sum = 0;
    for (auto const& one : experts) sum += static_cast<std::uint64_t>(one.rank * (one.in + one.out)) * sizeof(float);
    return sum;
}

std::vector<std::vector<std::size_t>> assign_shards(std::span<Share const> items, int ranks) {
    if (ranks < 1) throw InputError{fmt::format("a merge on {} ranks", ranks), "use at least one"};
    auto const order = order_by(items.size(), [&](std::size_t i) {
        return std::pair{-static_cast<std::int64_t>(items[i].bytes), items[i].name};
    });
    std::vector<std::vector<std::size_t>> shards(static_cast<std::size_t>(ranks));
    std::vector<std::uint64_t> loads(shards.size());
    for (auto const i : order) {
        auto const least = static_cast<std::size_t>(std::min_element(loads.begin(), loads.end()) - loads.begin());
        shards[least].push_back(i);
        loads[least] += items[i].bytes;
    }
    for (auto& shard : shards) std::sort(shard.begin(), shard.end());
    return shards;
}

ModelMerge::ModelMerge(MergeOptions options, Space space, std::vector<Module> modules, ReadFactors read)
    : options_{options}, modules_{std::move(modules)}, read_{std::move(read)} {
    validate(options_);
    if (modules_.empty()) throw InputError{"no module to merge"};
    auto const& first = modules_.front();
    for (auto const& module : modules_) {
        bool const same =
            std::equal(module.experts.begin(), module.experts.end(), first.experts.begin(), first.experts.end(),
                       [](auto const& left, auto const& right) { return left.identity == right.identity; });
        if (!same) throw InputError{fmt::format("modules {} and {} have different experts", first.name, module.name)};
        check_densities(options_, module);
    }
    bool const is_identity = first.experts.size() == 1 && !options_.operate_on_single;
    if (is_identity) return;
    auto const trimmed = is_svd(options_.method) ? Space::delta : space;
    if (options_.trim_over == TrimOver::model && options_.density < 1.0) find_cuts(trimmed);
    if (options_.majority_decides) find_majority(trimmed);
}

/// The code of TIES asks for the (n - k)-th smallest magnitude of an expert's n and keeps all that reach it.
void ModelMerge::find_cuts(Space space) {
    for (std::size_t i = 0; i < modules_.front().experts.size(); ++i) {
        std::size_t size = 0;
        for (auto const& module : modules_) {
            auto const& one = module.experts[i];
            size += space == Space::factor ? static_cast<std::size_t>(one.rank * (one.in + one.out)) : update_size(one);
        }
        auto const threshold = find_threshold([&](auto const& visit) { walk_expert(space, modules_, i, read_, visit); },
                                              kept_elements(options_.density, size) + 1);
        trim_.cuts[std::string{modules_.front().experts[i].identity}] = {.threshold = threshold};
    }
}

/// The sign of most elements of the trimmed sum over the whole model.
void ModelMerge::find_majority(Space space) {
    auto options = options_;
    options.method = Method::magnitude_prune;
    options.normalize = Normalize::none;
    options.lambda = 1.0;
    options.majority_decides = false;
    std::int64_t signs = 0;
    MergedFactors merged;
    std::vector<float> sum;
    for (std::size_t i = 0; i < modules_.size(); ++i) {
        Loaded module{modules_, i, read_};
        for (auto& one : module.experts) {
            one.weight = 1.0;
            if (space == Space::factor) one.scaling = 1.0;  // election is on the plain values
        }
        if (space == Space::factor) {
            merge_factors(options, modules_[i].name, module.experts, merged, {.trim = &trim_});
            signs += sum_of_signs(merged.a) + sum_of_signs(merged.b);
        } else {
            std::size_t size = 0;
            for (auto const& one : modules_[i].experts) size = std::max(size, update_size(one));
            sum.resize(size);
            merge_delta(options, modules_[i].name, module.experts, sum, {.trim = &trim_});
            signs += sum_of_signs(sum);
        }
    }
    trim_.negative_majority = signs <= 0;
}

std::vector<std::vector<std::size_t>> ModelMerge::shards(int ranks) const {
    std::vector<Share> items;
    for (auto const& module : modules_) items.push_back({module.name, module.bytes()});
    return assign_shards(items, ranks);
}

void ModelMerge::factors(std::size_t module, MergedFactors& out, ModuleReport* report) const {
    auto const& name = modules_.at(module).name;
    Loaded const loaded{modules_, module, read_};
    if (!report) return merge_factors(options_, name, loaded.experts, out, {.trim = &trim_});
    *report = {name, {}, updates_of(loaded.experts), 0.0};
    merge_factors(options_, name, loaded.experts, out, {.trim = &trim_, .counts = &report->counts});
    Factors const merged{.a = out.a, .b = out.b, .rank = out.rank, .scaling = out.scaling};
    report->merged_norm = inner_products(std::span{&merged, 1}).norm(0);
}

void ModelMerge::delta(std::size_t module, std::span<float> out, ModuleReport* report) const {
    auto const& name = modules_.at(module).name;
    Loaded const loaded{modules_, module, read_};
    if (!report) return merge_delta(options_, name, loaded.experts, out, {.trim = &trim_});
    *report = {name, {}, updates_of(loaded.experts), 0.0};
    merge_delta(options_, name, loaded.experts, out, {.trim = &trim_, .counts = &report->counts});
    std::span<float const> const merged{out};
    report->merged_norm = inner_products(std::span{&merged, 1}).norm(0);
}

void ModelMerge::delta(std::size_t module, TakePart const& take, UpdateMemory& memory) const {
    Loaded const loaded{modules_, module, read_};
    merge_delta(options_, modules_[module].name, loaded.experts, take, {.trim = &trim_, .memory = &memory});
}

}  // namespace samner::merge
