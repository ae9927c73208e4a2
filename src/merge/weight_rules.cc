#include "merge/weight_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/yaml.h"

namespace samner::merge {
namespace {

bool fits(std::string_view pattern, std::string_view text) {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    return std::all_of(pattern.begin() + static_cast<std::ptrdiff_t>(p), pattern.end(),
                       [](char c) { return c == '*'; });
}

std::optional<std::int32_t> number(std::string_view text) {
    std::int32_t value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

LayerRange parse_layers(std::string const& text, std::string const& place) {
    auto const dash = text.find('-');
    auto const first = number(std::string_view{text}.substr(0, dash));
    auto const last = dash == std::string::npos ? first : number(std::string_view{text}.substr(dash + 1));
    if (!first || !last || *first > *last)
        throw InputError{fmt::format("layers are '{}' ({})", text, place), "use a number, or a range such as 0-11"};
    return {*first, *last};
}

std::string shown(WeightRule const& rule) {
    return rule.layers ? fmt::format("'{}' in layers {}-{}", rule.pattern, rule.layers->first, rule.layers->last)
                       : fmt::format("'{}'", rule.pattern);
}

double finite(double weight, std::string const& place) {
    if (std::isfinite(weight)) return weight;
    throw InputError{fmt::format("weight is {} ({})", weight, place), "use a finite number"};
}

}  // namespace

std::optional<std::int32_t> layer_of(std::string_view module) {
    while (!module.empty()) {
        auto const dot = module.find('.');
        if (auto const layer = number(module.substr(0, dot))) return layer;
        module = dot == std::string_view::npos ? std::string_view{} : module.substr(dot + 1);
    }
    return std::nullopt;
}

bool matches(WeightRule const& rule, std::string_view module) {
    if (rule.layers) {
        auto const layer = layer_of(module);
        if (!layer || *layer < rule.layers->first || *layer > rule.layers->last) return false;
    }
    while (!fits(rule.pattern, module)) {
        auto const dot = module.find('.');
        if (dot == std::string_view::npos) return false;
        module = module.substr(dot + 1);
    }
    return true;
}

std::vector<double> module_weights(std::span<WeightRule const> rules, std::span<std::string const> modules) {
    std::vector<double> weights;
    std::vector<bool> used(rules.size());
    for (auto const& module : modules) {
        std::optional<double> found;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!matches(rules[i], module)) continue;
            used[i] = true;
            if (!found) found = rules[i].weight;
        }
        if (!found)
            throw InputError{fmt::format("no weight for module {}", module),
                             "end the list with {pattern: '*', weight: ...}"};
        weights.push_back(*found);
    }
    auto const unused = std::find(used.begin(), used.end(), false);
    if (unused != used.end())
        throw InputError{fmt::format("the weight for {} matches no module",
                                     shown(rules[static_cast<std::size_t>(unused - used.begin())])),
                         "name modules as the adapter does, by their last parts, such as self_attn.q_proj"};
    return weights;
}

std::vector<WeightRule> parse_weight_rules(YAML::Node const& node, std::string const& place) {
    std::vector<WeightRule> rules;
    if (node.IsScalar()) {
        YAML::Node wrapped;
        wrapped["weight"] = node;
        rules.push_back({.weight = finite(YamlMap{wrapped, place}.require<double>("weight"), place)});
        return rules;
    }
    if (!node.IsSequence() || node.size() == 0)
        throw InputError{fmt::format("weights are no number and no list of rules ({})", place),
                         "use a number, or [{pattern: q_proj, layers: 0-11, weight: 0.5}, ...]"};
    for (auto const& entry : node) {
        YamlMap map{entry, place};
        WeightRule rule;
        rule.pattern = map.get<std::string>("pattern", "*");
        if (map.has("layers")) rule.layers = parse_layers(map.require<std::string>("layers"), map.place());
        rule.weight = finite(map.require<double>("weight"), map.place());
        map.finish();
        rules.push_back(rule);
    }
    return rules;
}

}  // namespace samner::merge
