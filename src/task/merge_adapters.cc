#include "task/merge_adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <numeric>
#include <optional>
#include <regex>
#include <set>

#include "comm/comm.h"
#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "merge/model.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

namespace fs = std::filesystem;

struct Expert {
    weights::Adapter adapter;
    std::string hash;

    weights::LoraModule const* find(std::string const& module) const {
        auto const found = std::ranges::lower_bound(adapter.modules, module, {}, &weights::LoraModule::name);
        return found != adapter.modules.end() && found->name == module ? &*found : nullptr;
    }
};

struct MergedModule {
    std::size_t index = 0;
    merge::MergedFactors factors;
    merge::ModuleReport report;
};

/// The experts in memory and the merge of their modules.
class Merger {
public:
    explicit Merger(AdapterMerge const& request, merge::Space space = merge::Space::factor) : request_{request} {
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
        if (!request.weights.empty() && !request.rules.empty())
            throw InputError{"weights by adapter and by module contradict each other", "give one of them"};
        read_experts();
        merge_.emplace(request.options, space, modules());
    }

    std::vector<MergedModule> merge_shard(int rank, int ranks, std::uint64_t& bytes) const {
        auto const shard = merge_->shards(ranks)[static_cast<std::size_t>(rank)];
        std::vector<MergedModule> results(shard.size());
        for (auto const index : shard) bytes += merge_->modules()[index].bytes();
        parallel_for(0, std::ssize(shard), 1, [&](std::int64_t begin, std::int64_t end) {
            for (auto i = begin; i < end; ++i) {
                auto& result = results[static_cast<std::size_t>(i)];
                result.index = shard[static_cast<std::size_t>(i)];
                merge_->factors(result.index, result.factors, request_.report ? &result.report : nullptr);
            }
        });
        return results;
    }

    MergedAdapter assemble(std::vector<MergedModule> modules) const {
        std::ranges::sort(modules, {}, &MergedModule::index);
        MergedAdapter merged;
        std::set<std::string> targets;
        std::vector<merge::ModuleReport> reports;
        for (auto& module : modules) {
            auto const& name = merge_->modules()[module.index].name;
            auto const& shape = shapes_.at(name);
            merged.adapter.modules.push_back({name, static_cast<std::int32_t>(module.factors.rank),
                                              module.factors.scaling, shape.first, shape.second,
                                              std::move(module.factors.a), std::move(module.factors.b)});
            targets.insert(name.substr(name.rfind('.') + 1));
            reports.push_back(std::move(module.report));
        }
        auto& settings = merged.adapter.settings;
        settings.base_model_name_or_path = experts_.front().adapter.settings.base_model_name_or_path;
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
        merged.provenance = provenance();
        if (request_.report) {
            std::vector<std::string> paths;
            for (auto const& folder : request_.adapters) paths.push_back(folder.string());
            merged.report = merge::to_json(paths, reports);
        }
        return merged;
    }

    merge::ModelMerge const& merge() const { return *merge_; }
    std::vector<Expert> const& experts() const { return experts_; }

    std::map<std::string, std::string> provenance() const {
        auto const& options = request_.options;
        std::map<std::string, std::string> result{{"samner.method", std::string{merge::to_string(options.method)}},
                                                  {"samner.density", fmt::format("{}", options.density)},
                                                  {"samner.seed", fmt::format("{}", options.seed)}};
        merge::MergeOptions const usual;
        auto const unusual = [&](char const* name, auto value, auto usual_value, std::string const& text) {
            if (value != usual_value) result[fmt::format("samner.{}", name)] = text;
        };
        auto const text = [](auto value) { return std::string{merge::to_string(value)}; };
        unusual("sign", options.sign, usual.sign, text(options.sign));
        unusual("lambda", options.lambda, usual.lambda, fmt::format("{}", options.lambda));
        unusual("gamma", options.gamma, usual.gamma, fmt::format("{}", options.gamma));
        unusual("epsilon", options.epsilon, usual.epsilon, fmt::format("{}", options.epsilon));
        unusual("trim_over", options.trim_over, usual.trim_over, text(options.trim_over));
        unusual("rescale", options.rescale, usual.rescale, text(options.rescale));
        unusual("normalize", options.normalize, usual.normalize, text(options.normalize));
        for (auto const& [name, flag] : {std::pair{"operate_on_single", options.operate_on_single},
                                         std::pair{"elect_weighted", options.elect_weighted},
                                         std::pair{"keep_at_least_one", options.keep_at_least_one},
                                         std::pair{"majority_decides", options.majority_decides}})
            unusual(name, flag, false, "true");
        std::vector<std::string> inputs;
        for (std::size_t i = 0; i < experts_.size(); ++i) {
            auto weight = fmt::format("{}", request_.weights.empty() ? 1.0 : request_.weights[i]);
            if (!request_.rules.empty()) {
                weight.clear();
                for (auto const& rule : request_.rules[i]) {
                    weight += weight.empty() ? "" : ", ";
                    weight += fmt::format("{} in {}", rule.weight, rule.pattern);
                    if (rule.layers) weight += fmt::format(" of layers {}-{}", rule.layers->first, rule.layers->last);
                }
            }
            inputs.push_back(fmt::format("{} weight {}", experts_[i].hash, weight));
        }
        std::ranges::sort(inputs);
        for (std::size_t i = 0; i < inputs.size(); ++i) result[fmt::format("samner.input.{}", i)] = inputs[i];
        return result;
    }

private:
    void read_experts() {
        auto const nonfinite = request_.allow_nonfinite ? weights::NonFinite::keep : weights::NonFinite::refuse;
        for (auto const& folder : request_.adapters) {
            experts_.push_back({weights::read_adapter(folder, nonfinite), weights::adapter_hash(folder)});
            auto const& base = experts_.back().adapter.settings.base_model_name_or_path;
            auto const& first = experts_.front().adapter.settings.base_model_name_or_path;
            if (base != first) {
                throw InputError{fmt::format("adapters of different bases: '{}' ({}) and '{}' ({})", first,
                                             request_.adapters.front().string(), base, folder.string()),
                                 "merge adapters of one base model"};
            }
        }
    }

    /// The union of all experts' modules, with each expert's factors and weight.
    std::vector<merge::Module> modules() {
        for (auto const& expert : experts_)
            for (auto const& module : expert.adapter.modules) shapes_[module.name] = {module.in, module.out};
        std::vector<std::string> names;
        for (auto const& [name, shape] : shapes_) names.push_back(name);
        std::vector<merge::Module> modules;
        for (auto const& name : names) modules.push_back({name, {}});
        for (std::size_t i = 0; i < experts_.size(); ++i) {
            auto const& expert = experts_[i];
            std::vector<merge::WeightRule> const same{{.weight = request_.weights.empty() ? 1.0 : request_.weights[i]}};
            auto const weights = merge::module_weights(request_.rules.empty() ? same : request_.rules[i], names);
            for (std::size_t m = 0; m < modules.size(); ++m) {
                auto& factors = modules[m].experts.emplace_back();
                if (auto const* module = expert.find(names[m]))
                    factors = {.a = module->a, .b = module->b, .rank = module->rank, .scaling = module->scaling};
                factors.weight = weights[m];
                factors.identity = expert.hash;
            }
        }
        return modules;
    }

    AdapterMerge request_;
    std::vector<Expert> experts_;
    std::map<std::string, std::pair<std::int64_t, std::int64_t>> shapes_;  ///< in, out
    std::optional<merge::ModelMerge> merge_;
};

/// What a rank sends: the length of a CBOR document, the document, then factors.
std::string with_length(Json const& document) {
    auto const head = Json::to_cbor(document);
    auto const size = static_cast<std::uint64_t>(head.size());
    std::string bytes(sizeof size, '\0');
    std::memcpy(bytes.data(), &size, sizeof size);
    return bytes.append(head.begin(), head.end());
}

Json pack(merge::ModuleReport const& report) {
    std::vector<double> updates;
    for (std::size_t i = 0; i < report.updates.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j) updates.push_back(report.updates.at(i, j));
    return {{"name", report.module},
            {"counts", {report.counts.elements, report.counts.zeros, report.counts.conflicts}},
            {"kept", report.counts.kept},
            {"experts", report.updates.size()},
            {"updates", updates},
            {"norm", report.merged_norm}};
}

std::string pack(std::vector<MergedModule> const& modules) {
    auto list = Json::array();
    for (auto const& module : modules) {
        list.push_back({{"index", module.index},
                        {"rank", module.factors.rank},
                        {"scaling", module.factors.scaling},
                        {"a", module.factors.a.size()},
                        {"b", module.factors.b.size()},
                        {"report", pack(module.report)}});
    }
    auto bytes = with_length({{"modules", list}});
    for (auto const& module : modules) {
        for (auto const* values : {&module.factors.a, &module.factors.b})
            bytes.append(reinterpret_cast<char const*>(values->data()), values->size() * sizeof(float));
    }
    return bytes;
}

std::string pack(std::exception const& error) {
    auto const* known = dynamic_cast<Error const*>(&error);
    return with_length({{"error", error.what()},
                        {"remedy", known ? known->remedy() : std::string{}},
                        {"code", static_cast<int>(exit_code(error))}});
}

merge::ModuleReport unpack_report(Json const& item) {
    merge::ModuleReport report;
    report.module = item["name"].get<std::string>();
    auto const counts = item["counts"].get<std::vector<std::uint64_t>>();
    report.counts = {counts[0], counts[1], counts[2], item["kept"].get<std::vector<std::uint64_t>>()};
    report.merged_norm = item["norm"].get<double>();
    report.updates = merge::InnerProducts{item["experts"].get<std::size_t>()};
    auto next = item["updates"].begin();
    for (std::size_t i = 0; i < report.updates.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j) report.updates.set(i, j, (next++)->get<double>());
    return report;
}

std::vector<MergedModule> unpack(std::string const& bytes) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof size);
    auto const* position = bytes.data() + sizeof size;
    auto const head = Json::from_cbor(position, position + size);
    if (head.contains("error")) {
        throw Error{head["error"].get<std::string>(), head["remedy"].get<std::string>(),
                    static_cast<ExitCode>(head["code"].get<int>())};
    }
    position += size;
    std::vector<MergedModule> modules;
    for (auto const& item : head["modules"]) {
        MergedModule module;
        module.index = item["index"].get<std::size_t>();
        module.factors.rank = item["rank"].get<std::int64_t>();
        module.factors.scaling = item["scaling"].get<double>();
        for (auto const& [name, values] : {std::pair{"a", &module.factors.a}, std::pair{"b", &module.factors.b}}) {
            values->resize(item[name].get<std::size_t>());
            std::memcpy(values->data(), position, values->size() * sizeof(float));
            position += values->size() * sizeof(float);
        }
        module.report = unpack_report(item["report"]);
        modules.push_back(std::move(module));
    }
    return modules;
}

}  // namespace

MergedAdapter merge_adapters(AdapterMerge const& request, comm::Comm const* ranks) {
    std::uint64_t bytes = 0;
    if (!ranks || ranks->size() == 1) {
        Merger const merger{request};
        auto merged = merger.assemble(merger.merge_shard(0, 1, bytes));
        merged.bytes = bytes;
        return merged;
    }
    std::optional<Merger> merger;
    std::string mine;
    try {
        merger.emplace(request);
        mine = pack(merger->merge_shard(ranks->rank(), ranks->size(), bytes));
    } catch (std::exception const& error) {
        mine = pack(error);
    }
    std::vector<MergedModule> modules;
    for (auto const& shard : ranks->all_gather(mine)) std::ranges::move(unpack(shard), std::back_inserter(modules));
    auto merged = merger->assemble(std::move(modules));
    merged.bytes = bytes;
    return merged;
}

namespace {

/// A base model's tensors with the merged updates added to those that have one.
class Folding {
public:
    Folding(Merger const& merger, fs::path const& base) : merger_{merger}, base_{base} {
        auto const checkpoint = weights::Checkpoint::open(base);
        if (!fs::is_directory(base)) {
            throw InputError{fmt::format("'{}' is no folder of safetensors", base.string()),
                             "fold into a Hugging Face folder; quantised weights cannot take a small update"};
        }
        for (auto const& expert : merger.experts()) weights::check_fits(expert.adapter, checkpoint.config());
        std::set<std::string> there;
        for (auto const& entry : fs::directory_iterator{base}) {
            if (entry.path().extension() != ".safetensors") continue;
            auto const& file = files_.emplace_back(entry.path());
            for (auto const& tensor : file.tensors()) there.insert(tensor.name);
        }
        auto const modules = merger.merge().modules();
        for (std::size_t i = 0; i < modules.size(); ++i) {
            auto const tensor = modules[i].name + ".weight";
            if (!there.contains(tensor))
                throw InputError{fmt::format("the base has no tensor '{}' ({})", tensor, base.string())};
            modules_[tensor] = i;
        }
    }

    void write(fs::path const& out) const {
        for (auto const& entry : fs::directory_iterator{base_}) {
            if (entry.is_regular_file() && entry.path().extension() != ".safetensors")
                fs::copy_file(entry.path(), out / entry.path().filename());
        }
        for (auto const& file : files_) {
            auto metadata = file.metadata();
            metadata.merge(merger_.provenance());
            weights::write_safetensors(out / file.path().filename(), file.tensors(), metadata,
                                       [&](weights::TensorView const& tensor, auto const& append) {
                                           auto const module = modules_.find(tensor.name);
                                           append(module == modules_.end()
                                                      ? tensor.bytes
                                                      : std::span<std::byte const>{folded(tensor, module->second)});
                                       });
        }
    }

private:
    std::span<std::byte const> folded(weights::TensorView const& tensor, std::size_t module) const {
        auto const size = static_cast<std::size_t>(tensor.elements());
        sum_.resize(size);
        delta_.resize(size);
        bytes_.resize(tensor.bytes.size());
        weights::to_float(tensor.dtype, tensor.bytes, sum_);
        merger_.merge().delta(module, delta_);
        for (std::size_t i = 0; i < size; ++i) sum_[i] += delta_[i];
        weights::narrow(tensor.name, tensor.dtype, sum_, bytes_);
        return bytes_;
    }

    Merger const& merger_;
    fs::path base_;
    std::list<weights::SafetensorsFile> files_;
    std::map<std::string, std::size_t, std::less<>> modules_;  ///< by tensor
    mutable std::vector<float> sum_, delta_;                   ///< memory used again
    mutable std::vector<std::byte> bytes_;
};

}  // namespace

void fold_adapters(AdapterMerge const& request, std::filesystem::path const& base, std::filesystem::path const& out) {
    Merger const merger{request, merge::Space::delta};
    Folding const folding{merger, base};
    write_folder_atomically(out, [&](fs::path const& partial) { folding.write(partial); });
}

}  // namespace samner::task
