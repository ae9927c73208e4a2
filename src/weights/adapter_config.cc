#include "weights/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "weights/fields.h"
#include "weights/module_pattern.h"

namespace samner::weights {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::int64_t largest_rank = 1 << 16;

/// Keys that this module reads or that do not touch the arithmetic of a trained adapter.
constexpr auto known_keys = std::to_array<std::string_view>({"alpha_pattern",
                                                             "auto_mapping",
                                                             "base_model_name_or_path",
                                                             "bias",
                                                             "ensure_weight_tying",
                                                             "eva_config",
                                                             "exclude_modules",
                                                             "inference_mode",
                                                             "init_lora_weights",
                                                             "layers_pattern",
                                                             "layers_to_transform",
                                                             "lora_alpha",
                                                             "lora_dropout",
                                                             "megatron_core",
                                                             "peft_type",
                                                             "peft_version",
                                                             "qalora_group_size",
                                                             "r",
                                                             "rank_pattern",
                                                             "revision",
                                                             "runtime_config",
                                                             "target_modules",
                                                             "task_type",
                                                             "use_rslora"});

/// Initialisations that leave the base weights as they are; others (pissa, olora, loftq …) train against a changed
/// base.
constexpr auto plain_initialisations = std::to_array<std::string_view>({"gaussian", "orthogonal", "eva"});

[[noreturn]] void refuse_feature(std::string_view key, Json const& value, std::string_view place) {
    throw InputError{
        fmt::format("PEFT setting '{}' is {}, which is not supported ({})", shown(key), shown(value.dump()), place),
        "use a plain LoRA adapter, or merge this one into its base with peft"};
}

bool is_off(Json const& value) {
    return value.is_null() || value == false || ((value.is_object() || value.is_array()) && value.empty());
}

/// Anything that is switched on and not known might change the arithmetic.
void refuse_unknown_features(Json const& config, std::string_view place) {
    for (auto const& [key, value] : config.items()) {
        auto const known = std::find(known_keys.begin(), known_keys.end(), key) != known_keys.end();
        if (!known && !is_off(value)) refuse_feature(key, value, place);
    }
    auto const initialisation = config.find("init_lora_weights");
    if (initialisation == config.end() || !initialisation->is_string()) return;
    auto const plain = std::find(plain_initialisations.begin(), plain_initialisations.end(),
                                 initialisation->get_ref<std::string const&>()) != plain_initialisations.end();
    if (!plain) refuse_feature("init_lora_weights", *initialisation, place);
}

std::int32_t checked_rank(std::int64_t rank, std::string_view key, std::string_view place) {
    if (rank >= 1 && rank <= largest_rank) return static_cast<std::int32_t>(rank);
    throw InputError{fmt::format("{} is {} ({})", key, rank, place), fmt::format("a rank is in [1, {}]", largest_rank)};
}

void read_targets(Fields const& fields, LoraSettings& settings) {
    auto const* const targets = fields.find("target_modules");
    if (targets != nullptr && targets->is_string()) {
        settings.target_pattern = targets->get<std::string>();
        return;
    }
    if (targets == nullptr || !targets->is_array()) {
        throw InputError{fmt::format("'target_modules' is no list and no pattern ({})", fields.place())};
    }
    for (auto const& target : *targets) {
        if (!target.is_string()) fields.throw_wrong("target_modules", "a list of module names");
        settings.target_modules.push_back(target.get<std::string>());
    }
    std::sort(settings.target_modules.begin(), settings.target_modules.end());
}

/// The entries of a pattern object in the order of the file, which decides between keys that both match.
template <class T, class Read>
std::vector<std::pair<std::string, T>> read_pattern(Fields const& fields, OrderedJson const& ordered,
                                                    std::string const& key, Read const& read) {
    std::vector<std::pair<std::string, T>> entries;
    auto const* const pattern = fields.find(key);
    if (pattern == nullptr) return entries;
    Fields const values{*pattern, fmt::format("{}, {}", fields.place(), key)};
    for (auto const& item : ordered.at(key).items()) {
        entries.emplace_back(item.key(), read(values, item.key()));
    }
    return entries;
}

/// 8 rather than 8.0, as PEFT writes it.
OrderedJson whole_or_real(double value) {
    constexpr double largest = 1e15;
    if (value == std::floor(value) && std::abs(value) < largest) return static_cast<std::int64_t>(value);
    return value;
}

}  // namespace

AdapterConfig parse_adapter_config(std::string_view text, std::string const& place) {
    auto const json = parse_json(text, place);
    Fields const fields{json, place};
    auto const type = fields.required("peft_type", fields.text("peft_type"));
    if (type != "LORA") refuse_feature("peft_type", type, place);
    auto const bias = fields.text("bias").value_or("none");
    if (bias != "none") refuse_feature("bias", bias, place);
    refuse_unknown_features(json, place);

    LoraSettings settings;
    settings.r = checked_rank(fields.required("r", fields.integer("r")), "r", place);
    settings.lora_alpha = fields.required("lora_alpha", fields.number("lora_alpha"));
    settings.use_rslora = fields.boolean("use_rslora").value_or(false);
    settings.lora_dropout = fields.number("lora_dropout").value_or(0);
    if (settings.lora_dropout < 0 || settings.lora_dropout >= 1) fields.throw_wrong("lora_dropout", "in [0, 1)");
    settings.base_model_name_or_path = fields.text("base_model_name_or_path").value_or("");
    read_targets(fields, settings);
    auto const ordered = OrderedJson::parse(text);
    settings.rank_pattern =
        read_pattern<std::int32_t>(fields, ordered, "rank_pattern", [](Fields const& values, std::string const& key) {
            return checked_rank(values.required(key, values.integer(key)), key, values.place());
        });
    settings.alpha_pattern = read_pattern<double>(
        fields, ordered, "alpha_pattern",
        [](Fields const& values, std::string const& key) { return values.required(key, values.number(key)); });
    auto const selects = [&](char const* key) { return json.contains(key) && !is_off(json[key]); };
    return {std::move(settings), selects("layers_to_transform") || selects("exclude_modules")};
}

std::string format_adapter_config(LoraSettings const& settings) {
    auto ranks = OrderedJson::object();
    for (auto const& [key, rank] : settings.rank_pattern) ranks[key] = rank;
    auto alphas = OrderedJson::object();
    for (auto const& [key, alpha] : settings.alpha_pattern) alphas[key] = whole_or_real(alpha);
    OrderedJson config;
    config["alpha_pattern"] = std::move(alphas);
    config["base_model_name_or_path"] = settings.base_model_name_or_path;
    config["bias"] = "none";
    config["fan_in_fan_out"] = false;
    config["inference_mode"] = true;
    config["init_lora_weights"] = true;
    config["lora_alpha"] = whole_or_real(settings.lora_alpha);
    config["lora_dropout"] = settings.lora_dropout;
    config["modules_to_save"] = nullptr;
    config["peft_type"] = "LORA";
    config["r"] = settings.r;
    config["rank_pattern"] = std::move(ranks);
    if (settings.target_pattern.empty()) {
        config["target_modules"] = settings.target_modules;
    } else {
        config["target_modules"] = settings.target_pattern;
    }
    config["task_type"] = "CAUSAL_LM";
    config["use_dora"] = false;
    config["use_rslora"] = settings.use_rslora;
    return config.dump(2) + "\n";
}

std::vector<LoraScale> lora_scales(LoraSettings const& settings, std::vector<std::string> const& modules) {
    auto const compile = [](auto const& pattern, std::string_view which) {
        std::vector<ModulePattern> compiled;
        for (auto const& [key, value] : pattern) compiled.emplace_back(fmt::format("(?:.*\\.)?(?:{})", key), which);
        return compiled;
    };
    auto const ranks = compile(settings.rank_pattern, "rank_pattern");
    auto const alphas = compile(settings.alpha_pattern, "alpha_pattern");
    auto const first_match = [](auto const& compiled, auto const& pattern, std::string const& name, auto otherwise) {
        for (std::size_t i = 0; i < compiled.size(); ++i) {
            if (compiled[i].matches(name)) return pattern[i].second;
        }
        return otherwise;
    };
    std::vector<LoraScale> scales;
    for (auto const& name : modules) {
        auto const rank = first_match(ranks, settings.rank_pattern, name, settings.r);
        auto const alpha = first_match(alphas, settings.alpha_pattern, name, settings.lora_alpha);
        auto const real_rank = static_cast<double>(rank);
        scales.push_back({rank, alpha / (settings.use_rslora ? std::sqrt(real_rank) : real_rank)});
    }
    return scales;
}

std::vector<bool> lora_targets(LoraSettings const& settings, std::vector<std::string> const& modules) {
    std::optional<ModulePattern> pattern;
    if (!settings.target_pattern.empty()) pattern.emplace(settings.target_pattern, "target_modules");
    auto const is_target = [&](std::string const& name) {
        if (pattern) return pattern->matches(name);
        return std::any_of(settings.target_modules.begin(), settings.target_modules.end(),
                           [&](std::string const& target) { return name == target || name.ends_with("." + target); });
    };
    std::vector<bool> targets;
    for (auto const& name : modules) targets.push_back(is_target(name));
    return targets;
}

}  // namespace samner::weights
