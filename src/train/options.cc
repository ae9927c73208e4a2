#include "train/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "weights/architecture.h"

namespace samner::train {
namespace {

constexpr auto option_keys = std::to_array<Key>({
    {.name = "r",
     .help = "Rank of the factors, at most the larger side of the layers that get them.",
     .range = {"1 or more", 1},
     .aliases = "rank lora_r lora_rank"},
    {.name = "lora_alpha",
     .help = "The product of the factors is scaled by this, divided by the rank.",
     .range = {.words = "more than 0", .least = 0, .above = true},
     .aliases = "alpha"},
    {"use_rslora", "Divide by the square root of the rank instead."},
    {.name = "lora_dropout",
     .help = "Share of the factors' inputs that is dropped, in steps of 1/65536.",
     .range = {.words = "0 or more and less than 1", .least = 0, .most = 1, .below = true},
     .aliases = "dropout"},
    {"rank_pattern",
     "Ranks of single modules, as in peft: by a module's name or a dotted end of it.",
     {"1 or more", 1}},
    {"alpha_pattern", "The same for `lora_alpha`.", {.words = "more than 0", .least = 0, .above = true}},
    {.name = "target_modules",
     .help = "The linear layers that get factors: a list of names, `all-linear` (the default's seven), or a regular "
             "expression for the whole name.",
     .aliases = "modules targets lora_target lora_target_modules"},
    {.name = "learning_rate", .help = "At the end of the warm-up.", .range = {"0 or more", 0}, .aliases = "lr"},
    {.name = "lr_scheduler_type",
     .help = "How the learning rate goes on after the warm-up; `constant` has none, as in transformers.",
     .aliases = "schedule scheduler lr_schedule lr_scheduler"},
    {.name = "warmup_ratio",
     .help = "Share of the steps in which the learning rate rises from 0, rounded up to a step.",
     .range = {"0 to 1", 0, 1},
     .aliases = "warmup warmup_steps"},
    {.name = "weight_decay", .help = "Of AdamW.", .range = {"0 or more", 0}, .aliases = "wd decay"},
    {.name = "max_grad_norm",
     .help = "Gradients of a larger norm are scaled down to it.",
     .range = {.words = "more than 0", .least = 0, .above = true},
     .aliases = "grad_norm clip grad_clip gradient_clipping"},
    {.name = "num_train_epochs",
     .help = "How often the training set is gone through.",
     .range = {.words = "more than 0, at most 1000000", .least = 0, .most = 1e6, .above = true},
     .aliases = "epoch epochs num_epochs"},
    {.name = "max_steps",
     .help = "Number of steps; -1: as many as `num_train_epochs` asks for.",
     .range = {"-1, or 1 or more", -1},
     .aliases = "steps num_steps train_steps"},
    {.name = "batch_size",
     .help = "Sequences of a step.",
     .range = {"1 or more", 1},
     .aliases = "bs batch train_batch_size global_batch_size"},
    {.name = "micro_batch_size",
     .help = "Sequences of one forward and backward pass. A step has work for `batch_size` / `micro_batch_size` ranks; "
             "another value adds in another order and gives other last bits.",
     .range = {"1 or more", 1},
     .aliases = "micro_batch per_device_train_batch_size gradient_accumulation_steps"},
    {.name = "max_length",
     .help = "Tokens of a sequence. Examples whose answer goes on behind them are left out, with a warning that counts "
             "them.",
     .range = {"2 or more", 2},
     .aliases = "max_seq_length max_seq_len seq_len cutoff_len context"},
    {"keep_cut_answers",
     "Train on the part of an answer that `max_length` leaves, too, though it has no end; examples without any answer "
     "token within `max_length` are left out all the same."},
    {.name = "dtype",
     .help = "Leave it out of a run file: it is the run's `dtype`.",
     .aliases = "precision bf16 fp16 torch_dtype"},
    {"shuffle", "Go through the training set in random order."},
    {"seed", "Of order, factors and dropout; in a run that of the repeat (`seeds`) is added."},
    {.name = "checkpoint_every",
     .help = "Steps from one checkpoint to the next, without influence on the result.",
     .range = {"0 (none) or more", 0},
     .aliases = "save_steps checkpoint_steps"},
});

}  // namespace

TargetModules TargetModules::from_json(Json const& value, std::string_view place) {
    TargetModules modules;
    if (value.is_string()) {
        if (value != "all-linear") modules = {{}, value.get<std::string>()};
        return modules;
    }
    try {
        modules.names = value.get<std::vector<std::string>>();
    } catch (Json::exception const&) {
        throw InputError{fmt::format("'target_modules' is {} ({})", value.dump().substr(0, 60), place),
                         "give it a list of names, all-linear, or a regular expression"};
    }
    return modules;
}

Json TargetModules::to_json() const {
    return pattern.empty() ? Json(names) : Json(pattern);
}

Options Options::from_json(Json const& object, Places const& places) {
    Options options;
    read_given(object, options, "training option", places, help());
    auto const demand = [&](bool holds, std::string const& key, auto value) {
        if (holds) return;
        throw InputError{fmt::format("{} is {} ({})", key, value, places.of(key)),
                         fmt::format("give it {}", key_named(help(), key).range.words)};
    };
    if (options.target_modules.names.empty() && options.target_modules.pattern.empty())
        throw InputError{fmt::format("target_modules is empty ({})", places.of("target_modules")),
                         "name a module, or leave it out"};
    fields(options, [&]<class T>(std::string const& name, T const& value, bool = true) {
        auto const& range = key_named(help(), name).range;
        if constexpr (std::is_arithmetic_v<T>) {
            demand(range.has(static_cast<double>(value)), name, value);
        } else if constexpr (detail::is_a<T, std::map>) {
            for (auto const& [module, number] : value) demand(range.has(number), name + "." + module, number);
        }
    });
    demand(options.max_steps != 0, "max_steps", options.max_steps);
    return options;
}

std::span<Key const> Options::help() {
    return option_keys;
}

Json Options::key() const {
    auto result = key_of_fields(*this);
    if (lr_scheduler_type == Schedule::constant) result["warmup_ratio"] = 0.0;
    return result;
}

Json Options::settings() const {
    auto result = key();
    result["checkpoint_every"] = checkpoint_every;
    return result;
}

weights::LoraSettings Options::lora() const {
    weights::LoraSettings settings;
    settings.r = r;
    settings.lora_alpha = lora_alpha;
    settings.use_rslora = use_rslora;
    settings.lora_dropout = lora_dropout;
    settings.target_modules = target_modules.names;
    settings.target_pattern = target_modules.pattern;
    settings.rank_pattern = {rank_pattern.begin(), rank_pattern.end()};
    settings.alpha_pattern = {alpha_pattern.begin(), alpha_pattern.end()};
    return settings;
}

std::vector<AdaptedModule> adapted_modules(weights::ModelConfig const& config, weights::LoraSettings const& settings) {
    auto const linears = weights::linear_modules(config);
    std::vector<std::string> names;
    for (auto const& linear : linears) names.push_back(linear.name);
    auto const targets = weights::lora_targets(settings, names);
    auto const scales = weights::lora_scales(settings, names);
    constexpr auto* known = "name some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
    for (auto const& target : settings.target_modules) {
        auto alone = settings;
        alone.target_modules = {target};
        auto const matched = weights::lora_targets(alone, names);
        if (!settings.target_pattern.empty() || std::ranges::find(matched, true) != matched.end()) continue;
        throw InputError{fmt::format("train.target_modules names '{}', which the model does not have", target), known};
    }
    std::vector<AdaptedModule> modules;
    for (std::size_t i = 0; i < linears.size(); ++i) {
        if (!targets[i]) continue;
        auto const& [name, out, in] = linears[i];
        if (scales[i].rank > std::max(out, in)) {
            throw InputError{fmt::format("the rank of {}, a layer from {} to {}, is {}", name, in, out, scales[i].rank),
                             fmt::format("give train.r, or rank_pattern, {} or less", std::max(out, in))};
        }
        modules.push_back({name, out, in, scales[i]});
    }
    if (modules.empty()) {
        throw InputError{fmt::format("train.target_modules is '{}', which matches no module's whole name, such as '{}'",
                                     settings.target_pattern, names.front()),
                         known};
    }
    return modules;
}

std::int64_t num_factors(std::span<AdaptedModule const> modules) {
    std::int64_t factors = 0;
    for (auto const& module : modules) factors += std::int64_t{module.scale.rank} * (module.in + module.out);
    return factors;
}

void check_memory(Options const& options, weights::ModelConfig const& config, std::string_view device,
                  std::uint64_t memory) {
    auto const factors = static_cast<std::uint64_t>(num_factors(adapted_modules(config, options.lora())));
    // In fp32: the first adapter and its copy for the device; on the CPU also values, gradients and AdamW's moments.
    auto const bytes = factors * sizeof(float) * (device == "cpu" ? 5 : 2);
    if (bytes <= memory) return;
    auto const gigabytes = [](std::uint64_t number) { return static_cast<double>(number) / 1e9; };
    throw InputError{fmt::format("a training with r = {} keeps {:.1f} GB for {} numbers in factors, and this machine "
                                 "has {:.1f} GB",
                                 options.r, gigabytes(bytes), factors, gigabytes(memory)),
                     "give it a smaller r, or fewer target_modules"};
}

double learning_rate(Options const& options, std::int64_t step, std::int64_t steps) {
    if (options.lr_scheduler_type == Schedule::constant) return options.learning_rate;
    auto const warmup = static_cast<std::int64_t>(std::ceil(options.warmup_ratio * static_cast<double>(steps)));
    if (step < warmup)
        return options.learning_rate * static_cast<double>(step) /
               static_cast<double>(std::max<std::int64_t>(warmup, 1));
    auto const progress =
        static_cast<double>(step - warmup) / static_cast<double>(std::max<std::int64_t>(steps - warmup, 1));
    switch (options.lr_scheduler_type) {
        case Schedule::cosine:
            return options.learning_rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
        case Schedule::linear:
            return options.learning_rate * std::max(0.0, 1.0 - progress);
        case Schedule::constant:
        case Schedule::constant_with_warmup:
            return options.learning_rate;
    }
    throw Error{"a schedule without a formula"};
}

std::int64_t count_steps(Options const& options, std::size_t examples) {
    if (options.max_steps > 0) return options.max_steps;
    auto const size = static_cast<std::size_t>(options.batch_size);
    auto const per_epoch = static_cast<double>((examples + size - 1) / size);
    return static_cast<std::int64_t>(std::ceil(options.num_train_epochs * per_epoch));
}

}  // namespace samner::train
