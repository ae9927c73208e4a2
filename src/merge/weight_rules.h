#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace samner::merge {

struct LayerRange {
    std::int32_t first = 0;
    std::int32_t last = 0;  ///< inclusive
};

/// An expert's weight in the modules that the rule matches.
struct WeightRule {
    std::string pattern = "*";              ///< of the module's name, or of a dotted suffix of it; * is any text
    std::optional<LayerRange> layers = {};  ///< only modules of these layers
    double weight = 1.0;
};

/// The layer of a module: the first part of its name that is a number. Nothing for lm_head and the like.
std::optional<std::int32_t> layer_of(std::string_view module);

bool matches(WeightRule const& rule, std::string_view module);

/// The weight of an expert in each module: that of the first rule that matches.
/// @throws InputError naming a module that no rule matches, or a rule that matches no module
std::vector<double> module_weights(std::span<WeightRule const> rules, std::span<std::string const> modules);

/// Reads the rules of one expert: a number, or a list of maps {pattern: q_proj, layers: 0-11, weight: 0.5}, where
/// `pattern` (*) and `layers` (all; a number or a range) may be left out.
/// @throws InputError with the place
std::vector<WeightRule> parse_weight_rules(YAML::Node const& node, std::string const& place);

}  // namespace samner::merge
