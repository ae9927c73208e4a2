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

    bool operator==(LayerRange const&) const = default;
};

/// A number of an expert, such as its weight or density, in the modules that the rule matches.
struct ModuleRule {
    std::string pattern = "*";              ///< of the module's name, or of a dotted suffix of it; * is any text
    std::optional<LayerRange> layers = {};  ///< only modules of these layers
    double value = 1.0;
    /// Where not empty, instead of `value`: numbers at even distances from the first layer to the last, with a straight
    /// line between them. A module outside the layers has the first, the layer of a one-layer model the last.
    std::vector<double> gradient = {};
    std::int32_t num_layers = 0;  ///< of the model; for `gradient`

    bool operator==(ModuleRule const&) const = default;
};

/// The layer of a module: the first part of its name that is a number. Nothing for lm_head and the like.
std::optional<std::int32_t> layer_of(std::string_view module);

bool matches(ModuleRule const& rule, std::string_view module);

/// The number that an expert has in each module: that of the first rule that matches.
/// @param what  the numbers are, such as "weight", for messages
/// @throws InputError naming a module that no rule matches, a rule that matches no module, or a layer that a gradient
///         does not reach
std::vector<double> module_values(std::span<ModuleRule const> rules, std::span<std::string const> modules,
                                  std::string_view what);

/// The rules in words: 0.5 in q_proj of layers 0-11, 0.1 to 0.9 over 30 layers in *.
std::string to_string(std::span<ModuleRule const> rules);

/// Reads the weights of one expert: a number, or a list of maps {pattern: q_proj, layers: 0-11, weight: 0.5}, where
/// `pattern` (*) and `layers` (all; a number or a range) may be left out.
/// @throws InputError with the place
std::vector<ModuleRule> parse_weight_rules(YAML::Node const& node, std::string const& place);

}  // namespace samner::merge
