#include "task/mergekit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "core/yaml.h"

namespace samner::task {
namespace {

using merge::Method;
using merge::ModuleRule;
using merge::Normalize;

constexpr auto methods =
    std::to_array<Method>({Method::linear, Method::task_arithmetic, Method::ties, Method::dare_ties,
                           Method::dare_linear, Method::breadcrumbs, Method::breadcrumbs_ties, Method::della,
                           Method::della_linear, Method::slerp, Method::model_stock, Method::karcher});

/// What mergekit knows and this merge does not, and what to do instead.
constexpr auto refused = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"modules", "name whole adapters under models"},
     {"tokenizer_source", "leave it out: an adapter has no tokenizer"},
     {"tokenizer", "leave it out: an adapter has no tokenizer"},
     {"chat_template", "leave it out: an adapter has no template"},
     {"out_dtype", "give dtype alone"},
     {"int8_mask", "leave it out: it only says how mergekit stores its masks"},
     {"filter_wise", "leave it out: the angle is that of whole tensors"},
     {"max_iter", "leave it out: karcher goes on until it stands still"},
     {"tol", "leave it out: karcher goes on until it stands still"},
     {"select_topk", "use another method"},
     {"swapping", "use another method"}});

void refuse_known(YamlMap const& map) {
    for (auto const& [key, remedy] : refused)
        if (map.has(std::string{key}))
            throw InputError{fmt::format("mergekit's '{}' is not supported here ({})", key, map.place()),
                             std::string{remedy}};
}

void refuse_gradient(YAML::Node const& node, std::string_view key, std::string const& place) {
    if (node.IsSequence())
        throw InputError{
            fmt::format("mergekit's gradient of '{}' over the layers is not supported here ({})", key, place),
            "give one number: gradients are there for weight and density"};
}

/// A number that holds for the whole merge: the file's, or what all models say.
class Shared {
public:
    explicit Shared(std::string key) : key_{std::move(key)} {}

    void read(YamlMap& parameters, bool of_all) {
        if (!parameters.has(key_)) return;
        auto const node = parameters.node(key_);
        refuse_gradient(node, key_, parameters.place(node));
        if (node.IsMap())
            throw InputError{fmt::format("'{}' is no number ({})", key_, parameters.place(node)), "give a number"};
        auto const value = parameters.require<double>(key_);
        if (of_all) {
            all_ = value;
            return;
        }
        if (!model_) model_ = value;
        if (*model_ != value)
            throw InputError{
                fmt::format("'{}' differs by model: {} and {} ({})", key_, *model_, value, parameters.place(node)),
                "give all models the same"};
        ++models_;
    }

    double value(std::size_t models, double fallback) const {
        auto const others = all_.value_or(fallback);
        if (!model_) return others;
        if (models_ != models && *model_ != others)
            throw InputError{fmt::format("'{}' differs by model: {} and {}", key_, *model_, others),
                             "give all models the same"};
        return *model_;
    }

private:
    std::string key_;
    std::optional<double> all_;
    std::optional<double> model_;
    std::size_t models_ = 0;
};

/// The number of layers of the base model, which is read when somebody asks.
class BaseLayers {
public:
    explicit BaseLayers(std::filesystem::path base) : base_{std::move(base)} {}

    /// @param what  needs the number, for messages
    std::int32_t count(std::string_view what, std::string const& place) {
        if (base_.empty())
            throw InputError{fmt::format("{} needs the number of layers of the base model ({})", what, place),
                             "name the base model's folder as base_model, or with --base"};
        if (count_ == 0) {
            auto const path = base_ / "config.json";
            count_ = member<std::int32_t>(read_json(path), "num_hidden_layers", path.string());
            if (count_ < 1) throw InputError{fmt::format("{}: num_hidden_layers is {}", path.string(), count_)};
        }
        return count_;
    }

private:
    std::filesystem::path base_;
    std::int32_t count_ = 0;
};

/// The pattern of modules whose weight's name has the filter in it.
std::string pattern_of(std::string filter, std::string const& place) {
    if (filter == "*") return filter;
    if (filter.empty() || filter.find('*') != std::string::npos)
        throw InputError{fmt::format("the filter '{}' is part of no tensor's name ({})", filter, place),
                         "give a part of a name as it stands, such as mlp, or * for all"};
    constexpr std::string_view end = ".weight";
    bool const ends = filter.ends_with(end);
    if (ends) filter.resize(filter.size() - end.size());
    return fmt::format("*{}{}", filter, ends ? "" : "*");
}

/// Reads a weight or density.
class Setting {
public:
    Setting(std::string key, BaseLayers& layers) : key_{std::move(key)}, layers_{layers} {}

    /// What the parameters say of it; no rules where they say nothing.
    std::vector<ModuleRule> read(YamlMap& parameters) const {
        if (!parameters.has(key_)) return {};
        auto const node = parameters.node(key_);
        auto const place = parameters.place(node);
        if (node.IsMap()) return {conditional(node, place)};
        if (!node.IsSequence() || std::ranges::all_of(node, [](auto const& entry) { return entry.IsScalar(); }))
            return {rule("*", node, place)};
        std::vector<ModuleRule> rules;
        for (auto const& entry : node) rules.push_back(conditional(entry, place));
        return rules;
    }

private:
    ModuleRule conditional(YAML::Node const& node, std::string const& place) const {
        if (!node.IsMap()) refuse(place);
        YamlMap condition{node, place};
        auto const filter = condition.get<std::string>("filter", "*");
        if (!condition.has("value")) condition.require<double>("value");
        auto result = rule(pattern_of(filter, place), condition.node("value"), place);
        condition.finish();
        return result;
    }

    ModuleRule rule(std::string pattern, YAML::Node const& node, std::string const& place) const {
        std::vector<double> values;
        if (node.IsSequence())
            for (auto const& entry : node) values.push_back(number(entry, place));
        else
            values.push_back(number(node, place));
        if (values.empty())
            throw InputError{fmt::format("the gradient of '{}' has no numbers ({})", key_, place), "give two or more"};
        if (values.size() == 1) return {.pattern = std::move(pattern), .value = values.front()};
        auto const layers = layers_.count(fmt::format("the gradient of '{}'", key_), place);
        return {.pattern = std::move(pattern), .gradient = std::move(values), .num_layers = layers};
    }

    double number(YAML::Node const& node, std::string const& place) const {
        double value = 0.0;
        if (node.IsScalar() && YAML::convert<double>::decode(node, value) && std::isfinite(value)) return value;
        refuse(place);
    }

    [[noreturn]] void refuse(std::string const& place) const {
        throw InputError{fmt::format("'{}' is no number ({})", key_, place),
                         "give a number, a list of numbers, or a list of {filter, value}"};
    }

    std::string key_;
    BaseLayers& layers_;
};

bool is_for_all(ModuleRule const& rule) {
    return rule.pattern == "*" && !rule.layers;
}

/// What an inner scope says, and, for the modules of which it says nothing, an outer one.
std::vector<ModuleRule> with_outer(std::vector<ModuleRule> rules, std::vector<ModuleRule> const& outer) {
    if (std::ranges::none_of(rules, is_for_all)) rules.insert(rules.end(), outer.begin(), outer.end());
    return rules;
}

/// Puts densities into the options where they are one number for everything.
void simplify_densities(MergekitConfig& config) {
    auto const& first = config.densities.front();
    bool const same = std::ranges::all_of(config.densities, [&](auto const& rules) { return rules == first; });
    if (!same || !is_for_all(first.front()) || !first.front().gradient.empty()) return;
    config.options.density = first.front().value;
    config.densities.clear();
}

void check_densities(MergekitConfig const& config) {
    auto options = config.options;
    for (auto const& rules : config.densities)
        for (auto const& rule : rules)
            for (auto const density : rule.gradient.empty() ? std::vector{rule.value} : rule.gradient) {
                options.density = density;
                merge::validate(options);
            }
}

std::string parse_dtype(std::string const& name, std::string const& place) {
    constexpr auto names = std::to_array<std::pair<std::string_view, std::string_view>>(
        {{"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}});
    auto const found = std::ranges::find(names, name, [](auto const& pair) { return pair.first; });
    if (found != names.end()) return std::string{found->second};
    throw InputError{fmt::format("dtype is '{}' ({})", name, place), "use float32, float16 or bfloat16"};
}

[[noreturn]] void refuse_slices(std::string const& place) {
    throw InputError{fmt::format("mergekit's 'slices' of some of the layers are not supported here ({})", place),
                     "name whole adapters under models"};
}

/// Checks that a source is all layers of its model.
void check_layers(YamlMap& source, BaseLayers& layers) {
    auto const range = source.require<std::vector<std::int64_t>>("layer_range");
    if (range != std::vector<std::int64_t>{0, layers.count("'slices'", source.place())}) refuse_slices(source.place());
}

Method read_method(YamlMap& root) {
    auto const name = root.require<std::string>("merge_method");
    std::vector<std::string> known;
    for (auto const method : methods) {
        if (to_string(method) == name) return method;
        known.emplace_back(to_string(method));
    }
    throw InputError{fmt::format("merge_method is '{}' ({})", name, root.place(root.node("merge_method"))),
                     fmt::format("use {}", fmt::join(known, ", "))};
}

}  // namespace

MergekitConfig read_mergekit(std::filesystem::path const& path, std::filesystem::path const& base) {
    YamlMap root{read_yaml(path), path.string()};
    refuse_known(root);
    MergekitConfig config;
    config.options.method = read_method(root);
    config.options = merge::follow(merge::Compatibility::mergekit, config.options);
    auto const method = config.options.method;
    config.base_model = root.get<std::string>("base_model", "");
    if (root.has("dtype")) config.dtype = parse_dtype(root.require<std::string>("dtype"), root.place());

    BaseLayers layers{base.empty() ? std::filesystem::path{config.base_model} : base};
    Setting const weight{"weight", layers};
    Setting const density{"density", layers};
    std::map<std::string, Shared> shared;
    for (auto const* key : {"gamma", "epsilon", "lambda", "t"}) shared.emplace(key, Shared{key});
    auto const read_shared = [&](YamlMap& map, bool of_all) {
        for (auto& [key, value] : shared) value.read(map, of_all);
    };
    std::vector<ModuleRule> outer_weight;
    std::vector<ModuleRule> outer_density;
    bool normalizes = config.options.normalize == Normalize::weights;
    bool rescales = true;
    auto const read_parameters = [&](YamlMap parameters) {
        refuse_known(parameters);
        read_shared(parameters, true);
        outer_weight = with_outer(weight.read(parameters), outer_weight);
        outer_density = with_outer(density.read(parameters), outer_density);
        normalizes = parameters.get("normalize", normalizes);
        rescales = parameters.get("rescale", rescales);
        parameters.finish();
    };
    read_parameters(root.map("parameters"));
    if (root.has("slices") && root.has("models"))
        throw InputError{fmt::format("both 'models' and 'slices' ({})", root.place()), "give one of them"};
    bool const sliced = root.has("slices");
    auto models = sliced || root.has("models") ? root.node(sliced ? "slices" : "models") : YAML::Node{};
    if (sliced) {
        auto const place = root.place(models);
        if (!models.IsSequence() || models.size() != 1) refuse_slices(place);
        YamlMap slice{models[0], path.string(), "slices"};
        read_parameters(slice.map("parameters"));
        models.reset(slice.has("sources") ? slice.node("sources") : YAML::Node{});
        slice.finish();
    }
    if (!models.IsSequence() || models.size() == 0)
        throw InputError{fmt::format("'{}' is no list ({})", sliced ? "sources" : "models", root.place()),
                         "name the adapters under models"};
    config.options.normalize = normalizes ? Normalize::weights : Normalize::none;
    if (!rescales) config.options.rescale = merge::Rescale::none;

    outer_density = with_outer(outer_density, {{.value = 1.0}});
    for (auto const& node : models) {
        YamlMap entry{node, path.string(), sliced ? "sources" : "models"};
        if (sliced) check_layers(entry, layers);
        auto model = entry.require<std::string>("model");
        auto own = entry.map("parameters");
        refuse_known(own);
        if (model == config.base_model && method != Method::slerp) {
            if (!own.keys().empty())
                throw InputError{fmt::format("the base model has parameters ({})", own.place()),
                                 "leave them out: its difference from itself is nothing"};
            entry.finish();
            continue;
        }
        if (auto const plus = model.find('+'); plus != std::string::npos) {
            if (model.substr(0, plus) != config.base_model)
                throw InputError{fmt::format("'{}' is an adapter on another model than base_model '{}' ({})", model,
                                             config.base_model, entry.place()),
                                 "merge adapters of one base model"};
            model.erase(0, plus + 1);
        }
        config.adapters.emplace_back(model);
        read_shared(own, false);
        auto& rules = config.rules.emplace_back(with_outer(weight.read(own), outer_weight));
        if (rules.empty()) rules.push_back({.value = 1.0});
        config.densities.push_back(with_outer(density.read(own), outer_density));
        own.finish();
        entry.finish();
    }
    root.finish();

    auto const count = config.adapters.size();
    auto& options = config.options;
    options.density = 1.0;
    if (count > 0) simplify_densities(config);
    options.gamma = shared.at("gamma").value(count, 0.01);
    options.epsilon = shared.at("epsilon").value(count, 0.15);
    options.lambda = shared.at("lambda").value(count, 1.0);
    auto const t = shared.at("t").value(count, -1.0);
    if (method == Method::slerp) {
        if (count != 2 || !(t >= 0.0 && t <= 1.0))
            throw InputError{fmt::format("slerp of {} models at t = {} ({})", count, t, root.place()),
                             "name two adapters and t in [0, 1]"};
        // t runs from base_model, which is one of the two.
        bool const from_first = config.base_model.empty() || config.adapters[0] == config.base_model;
        config.rules = {{{.value = from_first ? 1.0 - t : t}}, {{.value = from_first ? t : 1.0 - t}}};
        config.base_model.clear();
    } else if (t >= 0.0) {
        throw InputError{fmt::format("'t' with merge_method {} ({})", to_string(method), root.place()), "use slerp"};
    }
    if (method == Method::linear && options.normalize == Normalize::none)
        throw InputError{fmt::format("linear without normalize scales the base model, too ({})", root.place()),
                         "use task_arithmetic, which adds up the adapters alone"};
    if (merge::is_geometric(method)) options.normalize = Normalize::method;
    merge::validate(options);
    check_densities(config);
    return config;
}

}  // namespace samner::task
