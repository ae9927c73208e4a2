#include "train/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace samner::train {
namespace {

constexpr auto option_keys = std::to_array<Key>({
    {"r", "Rank of the factors.", "1 or more"},
    {"lora_alpha", "The product of the factors is scaled by this, divided by the rank."},
    {"use_rslora", "Divide by the square root of the rank instead."},
    {"lora_dropout", "Share of the factors' inputs that is dropped, in steps of 1/65536.", "0 or more and less than 1"},
    {"rank_pattern", "Ranks of single modules, as in peft: by a module's name or a dotted end of it.", "1 or more"},
    {"alpha_pattern", "The same for `lora_alpha`."},
    {"target_modules",
     "The linear layers that get factors: a list of names, `all-linear` (the default's seven), or a regular expression "
     "for the whole name."},
    {"learning_rate", "At the end of the warm-up.", "0 or more"},
    {"lr_scheduler_type", "How the learning rate goes on after the warm-up; `constant` has none, as in transformers."},
    {"warmup_ratio", "Share of the steps in which the learning rate rises from 0, rounded up to a step.", "0 to 1"},
    {"weight_decay", "Of AdamW.", "0 or more"},
    {"max_grad_norm", "Gradients of a larger norm are scaled down to it.", "more than 0"},
    {"num_train_epochs", "How often the training set is gone through.", "more than 0"},
    {"max_steps", "Number of steps, in place of `num_train_epochs` where it is above 0."},
    {"batch_size", "Sequences of a step.", "1 or more"},
    {"micro_batch_size",
     "Sequences of one forward and backward pass. A step has work for `batch_size` / `micro_batch_size` ranks; another "
     "value adds in another order and gives other last bits.",
     "1 or more"},
    {"max_length", "Tokens of a sequence; longer ones are cut at the end.", "2 or more"},
    {"dtype", "Leave it out of a run file: it is the run's `dtype`."},
    {"shuffle", "Go through the training set in random order."},
    {"seed", "Of order, factors and dropout; in a run that of the repeat (`seeds`) is added."},
    {"checkpoint_every", "Steps from one checkpoint to the next, without influence on the result.", "0 (none) or more"},
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

Options Options::from_json(Json const& object, std::string_view place) {
    Options options;
    read_given(object, options, "training option", place);
    auto const demand = [&](bool holds, std::string_view key, auto value) {
        if (holds) return;
        throw InputError{fmt::format("{} is {} ({})", key, value, place),
                         fmt::format("give it {}", key_named(help(), key).range)};
    };
    if (options.target_modules.names.empty() && options.target_modules.pattern.empty())
        throw InputError{fmt::format("target_modules is empty ({})", place), "name a module, or leave it out"};
    demand(options.r >= 1, "r", options.r);
    for (auto const& [key, rank] : options.rank_pattern) demand(rank >= 1, "rank_pattern." + key, rank);
    demand(options.lora_dropout >= 0 && options.lora_dropout < 1, "lora_dropout", options.lora_dropout);
    demand(options.learning_rate >= 0, "learning_rate", options.learning_rate);
    demand(options.warmup_ratio >= 0 && options.warmup_ratio <= 1, "warmup_ratio", options.warmup_ratio);
    demand(options.weight_decay >= 0, "weight_decay", options.weight_decay);
    demand(options.max_grad_norm > 0, "max_grad_norm", options.max_grad_norm);
    demand(options.num_train_epochs > 0, "num_train_epochs", options.num_train_epochs);
    demand(options.batch_size >= 1, "batch_size", options.batch_size);
    demand(options.micro_batch_size >= 1, "micro_batch_size", options.micro_batch_size);
    demand(options.checkpoint_every >= 0, "checkpoint_every", options.checkpoint_every);
    demand(options.max_length >= 2, "max_length", options.max_length);
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
