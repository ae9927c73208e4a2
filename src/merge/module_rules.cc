#include "merge/module_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

std::string shown(ModuleRule const& rule) {
    return rule.layers ? fmt::format("'{}' in layers {}-{}", rule.pattern, rule.layers->first, rule.layers->last)
                       : fmt::format("'{}'", rule.pattern);
}

double value_in(ModuleRule const& rule, std::string const& module) {
    if (rule.gradient.empty()) return rule.value;
    auto const layer = layer_of(module);
    if (layer && *layer >= rule.num_layers)
        throw InputError{fmt::format("module {} of a base model of {} layers", module, rule.num_layers),
                         "name the base model of the adapters"};
    double place = 0.0;  // of the layer, from 0 to 1
    if (layer) place = rule.num_layers == 1 ? 1.0 : static_cast<double>(*layer) / (rule.num_layers - 1);
    auto const last = rule.gradient.size() - 1;
    double const scaled = place * static_cast<double>(last);
    auto const left = static_cast<std::size_t>(scaled);
    double const share = scaled - static_cast<double>(left);
    return (1.0 - share) * rule.gradient[left] + share * rule.gradient[std::min(last, left + 1)];
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

bool matches(ModuleRule const& rule, std::string_view module) {
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

std::vector<double> module_values(std::span<ModuleRule const> rules, std::span<std::string const> modules,
                                  std::string_view what) {
    std::vector<double> values;
    std::vector<bool> used(rules.size());
    for (auto const& module : modules) {
        std::optional<double> found;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!matches(rules[i], module)) continue;
            used[i] = true;
            if (!found) found = value_in(rules[i], module);
        }
        if (!found)
            throw InputError{fmt::format("no {} for module {}", what, module),
                             fmt::format("end the list with a {} for all modules", what)};
        values.push_back(*found);
    }
    auto const unused = std::find(used.begin(), used.end(), false);
    if (unused != used.end())
        throw InputError{fmt::format("the {} for {} matches no module", what,
                                     shown(rules[static_cast<std::size_t>(unused - used.begin())])),
                         "name modules as the adapter does, by their last parts, such as self_attn.q_proj"};
    return values;
}

std::string to_string(std::span<ModuleRule const> rules) {
    std::string text;
    for (auto const& rule : rules) {
        if (!text.empty()) text += ", ";
        if (rule.gradient.empty())
            text += fmt::format("{} in {}", rule.value, rule.pattern);
        else
            text +=
                fmt::format("{} over {} layers in {}", fmt::join(rule.gradient, " to "), rule.num_layers, rule.pattern);
        if (rule.layers) text += fmt::format(" of layers {}-{}", rule.layers->first, rule.layers->last);
    }
    return text;
}

std::vector<ModuleRule> parse_weight_rules(YAML::Node const& node, std::string const& place) {
    std::vector<ModuleRule> rules;
    if (node.IsScalar()) {
        YAML::Node wrapped;
        wrapped["weight"] = node;
        rules.push_back({.value = finite(YamlMap{wrapped, place}.require<double>("weight"), place)});
        return rules;
    }
    if (!node.IsSequence() || node.size() == 0)
        throw InputError{fmt::format("weights are no number and no list of rules ({})", place),
                         "use a number, or [{pattern: q_proj, layers: 0-11, weight: 0.5}, ...]"};
    for (auto const& entry : node) {
        YamlMap map{entry, place};
        ModuleRule rule;
        rule.pattern = map.get<std::string>("pattern", "*");
        if (map.has("layers")) rule.layers = parse_layers(map.require<std::string>("layers"), map.place());
        rule.value = finite(map.require<double>("weight"), map.place());
        map.finish();
        rules.push_back(rule);
    }
    return rules;
}

}  // namespace samner::merge
