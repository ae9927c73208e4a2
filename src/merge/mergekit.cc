#include "merge/mergekit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/yaml.h"

namespace samner::merge {
namespace {

constexpr auto methods =
    std::to_array<Method>({Method::linear, Method::task_arithmetic, Method::ties, Method::dare_ties,
                           Method::dare_linear, Method::breadcrumbs, Method::breadcrumbs_ties, Method::della,
                           Method::della_linear, Method::slerp, Method::model_stock, Method::karcher});

/// What mergekit knows and this merge does not, and what to do instead.
constexpr auto refused = std::to_array<std::pair<std::string_view, std::string_view>>(
    {{"slices", "name whole adapters under models"},
     {"modules", "name whole adapters under models"},
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
            "give one number, or weights by layer with --module-weights"};
}

/// A number that holds for the whole merge: the file's, or what all models say.
class Shared {
public:
    explicit Shared(std::string key) : key_{std::move(key)} {}

    void read(YamlMap& parameters, bool of_all) {
        if (!parameters.has(key_)) {
            parameters.get(key_, 0.0);  // a key that is known, for the message of an unknown one
            return;
        }
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

std::vector<WeightRule> read_weight(YamlMap& parameters) {
    auto const node = parameters.node("weight");
    auto const place = parameters.place(node);
    if (node.IsScalar()) return parse_weight_rules(node, place);
    if (!node.IsSequence() || node.size() == 0)
        throw InputError{fmt::format("'weight' is no number and no list ({})", place),
                         "give a number, or a list of {filter, value}"};
    std::vector<WeightRule> rules;
    for (auto const& entry : node) {
        if (!entry.IsMap()) refuse_gradient(node, "weight", place);
        YamlMap condition{entry, place};
        auto const filter = condition.get<std::string>("filter", "*");
        refuse_gradient(condition.node("value"), "weight", place);
        rules.push_back({.pattern = filter == "*" ? filter : fmt::format("*{}*", filter),
                         .weight = condition.require<double>("value")});
        condition.finish();
    }
    return rules;
}

std::string parse_dtype(std::string const& name, std::string const& place) {
    constexpr auto names = std::to_array<std::pair<std::string_view, std::string_view>>(
        {{"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}});
    auto const found = std::ranges::find(names, name, [](auto const& pair) { return pair.first; });
    if (found != names.end()) return std::string{found->second};
    throw InputError{fmt::format("dtype is '{}' ({})", name, place), "use float32, float16 or bfloat16"};
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

MergekitConfig read_mergekit(std::filesystem::path const& path) {
    YamlMap root{read_yaml(path), path.string()};
    refuse_known(root);
    MergekitConfig config;
    config.options.method = read_method(root);
    config.options = follow(Compatibility::mergekit, config.options);
    auto const method = config.options.method;
    config.base_model = root.get<std::string>("base_model", "");
    if (root.has("dtype")) config.dtype = parse_dtype(root.require<std::string>("dtype"), root.place());

    std::map<std::string, Shared> shared;
    for (auto const* key : {"density", "gamma", "epsilon", "lambda", "t"}) shared.emplace(key, Shared{key});
    auto parameters = root.map("parameters");
    refuse_known(parameters);
    std::vector<WeightRule> default_rules{{.weight = 1.0}};
    auto const read_shared = [&](YamlMap& map, bool of_all) {
        for (auto& [key, value] : shared) value.read(map, of_all);
    };
    read_shared(parameters, true);
    if (parameters.has("weight")) default_rules = read_weight(parameters);
    bool const normalizes = parameters.get("normalize", config.options.normalize == Normalize::weights);
    config.options.normalize = normalizes ? Normalize::weights : Normalize::none;
    if (!parameters.get("rescale", true)) config.options.rescale = Rescale::none;
    parameters.finish();

    auto const models = root.has("models") ? root.node("models") : YAML::Node{};
    if (!models.IsSequence() || models.size() == 0)
        throw InputError{fmt::format("'models' is no list ({})", root.place()), "name the adapters under models"};
    for (auto const& node : models) {
        YamlMap entry{node, path.string(), "models"};
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
        config.rules.push_back(own.has("weight") ? read_weight(own) : default_rules);
        own.finish();
        entry.finish();
    }
    root.finish();

    auto const count = config.adapters.size();
    auto& options = config.options;
    options.density = shared.at("density").value(count, 1.0);
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
        config.rules = {{{.weight = from_first ? 1.0 - t : t}}, {{.weight = from_first ? t : 1.0 - t}}};
        config.base_model.clear();
    } else if (t >= 0.0) {
        throw InputError{fmt::format("'t' with merge_method {} ({})", to_string(method), root.place()), "use slerp"};
    }
    if (method == Method::linear && options.normalize == Normalize::none)
        throw InputError{fmt::format("linear without normalize scales the base model, too ({})", root.place()),
                         "use task_arithmetic, which adds up the adapters alone"};
    if (is_geometric(method)) options.normalize = Normalize::method;
    validate(options);
    return config;
}

}  // namespace samner::merge
