#include "train/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <set>
#include <utility>

#include "core/error.h"

namespace samner::train {
namespace {

constexpr auto schedules =
    std::to_array<std::pair<std::string_view, Schedule>>({{"cosine", Schedule::cosine},
                                                          {"linear", Schedule::linear},
                                                          {"constant", Schedule::constant},
                                                          {"constant_with_warmup", Schedule::constant_with_warmup}});

Schedule parse_schedule(std::string const& name, std::string_view place) {
    for (auto const& [known, schedule] : schedules) {
        if (known == name) return schedule;
    }
    throw InputError{fmt::format("lr_scheduler_type is '{}' ({})", name, place),
                     "use cosine, linear, constant or constant_with_warmup"};
}

std::string_view name_of(Schedule schedule) {
    for (auto const& [name, known] : schedules) {
        if (known == schedule) return name;
    }
    throw Error{"a schedule without a name"};
}

}  // namespace

Options Options::from_json(Json const& object, std::string_view place) {
    Options options;
    std::set<std::string> known;
    auto const read = [&]<class T>(std::string const& key, T& value) {
        known.insert(key);
        if (object.contains(key)) value = member<T>(object, key, place);
    };
    read("r", options.r);
    read("lora_alpha", options.lora_alpha);
    read("use_rslora", options.use_rslora);
    known.insert("target_modules");
    if (object.contains("target_modules") && object["target_modules"].is_string()) {
        auto const text = object["target_modules"].get<std::string>();
        if (text != "all-linear") {
            options.target_pattern = text;
            options.target_modules.clear();
        }
    } else {
        read("target_modules", options.target_modules);
    }
    read("lora_dropout", options.lora_dropout);
    read("rank_pattern", options.rank_pattern);
    read("alpha_pattern", options.alpha_pattern);
    read("learning_rate", options.learning_rate);
    std::string schedule{name_of(options.lr_scheduler_type)};
    read("lr_scheduler_type", schedule);
    options.lr_scheduler_type = parse_schedule(schedule, place);
    read("warmup_ratio", options.warmup_ratio);
    read("weight_decay", options.weight_decay);
    read("max_grad_norm", options.max_grad_norm);
    read("num_train_epochs", options.num_train_epochs);
    read("max_steps", options.max_steps);
    read("batch_size", options.batch_size);
    read("micro_batch_size", options.micro_batch_size);
    read("max_length", options.max_length);
    read("shuffle", options.shuffle);
    read("seed", options.seed);
    read("checkpoint_every", options.checkpoint_every);
    std::string dtype{to_string(options.dtype)};
    read("dtype", dtype);
    options.dtype = parse_precision(dtype, place);
    refuse_unknown(object, known, "training option", place);
    auto const demand = [&](bool holds, std::string_view key, auto value, std::string_view range) {
        if (!holds) throw InputError{fmt::format("{} is {} ({})", key, value, place), fmt::format("give it {}", range)};
    };
    demand(options.r >= 1, "r", options.r, "1 or more");
    for (auto const& [key, rank] : options.rank_pattern) demand(rank >= 1, "rank_pattern." + key, rank, "1 or more");
    demand(options.lora_dropout >= 0 && options.lora_dropout < 1, "lora_dropout", options.lora_dropout,
           "0 or more and less than 1");
    demand(options.learning_rate >= 0, "learning_rate", options.learning_rate, "0 or more");
    demand(options.warmup_ratio >= 0 && options.warmup_ratio <= 1, "warmup_ratio", options.warmup_ratio, "0 to 1");
    demand(options.weight_decay >= 0, "weight_decay", options.weight_decay, "0 or more");
    demand(options.max_grad_norm > 0, "max_grad_norm", options.max_grad_norm, "more than 0");
    demand(options.num_train_epochs > 0, "num_train_epochs", options.num_train_epochs, "more than 0");
    demand(options.batch_size >= 1, "batch_size", options.batch_size, "1 or more");
    demand(options.micro_batch_size >= 1, "micro_batch_size", options.micro_batch_size, "1 or more");
    demand(options.checkpoint_every >= 0, "checkpoint_every", options.checkpoint_every, "0 (none) or more");
    demand(options.max_length >= 2, "max_length", options.max_length, "2 or more");
    return options;
}

Json Options::to_json() const {
    Json result{{"r", r},
                {"lora_alpha", lora_alpha},
                {"use_rslora", use_rslora},
                {"target_modules", target_pattern.empty() ? Json(target_modules) : Json(target_pattern)},
                {"learning_rate", learning_rate},
                {"lr_scheduler_type", name_of(lr_scheduler_type)},
                {"warmup_ratio", lr_scheduler_type == Schedule::constant ? 0 : warmup_ratio},
                {"weight_decay", weight_decay},
                {"max_grad_norm", max_grad_norm},
                {"num_train_epochs", num_train_epochs},
                {"max_steps", max_steps},
                {"batch_size", batch_size},
                {"micro_batch_size", micro_batch_size},
                {"max_length", max_length},
                {"shuffle", shuffle},
                {"seed", seed},
                {"checkpoint_every", checkpoint_every}};
    // Left out where they change nothing, so that the keys of earlier runs stay.
    if (lora_dropout != 0) result["lora_dropout"] = lora_dropout;
    if (!rank_pattern.empty()) result["rank_pattern"] = rank_pattern;
    if (!alpha_pattern.empty()) result["alpha_pattern"] = alpha_pattern;
    if (dtype != Precision::fp32) result["dtype"] = to_string(dtype);
    return result;
}

weights::LoraSettings Options::lora() const {
    weights::LoraSettings settings;
    settings.r = r;
    settings.lora_alpha = lora_alpha;
    settings.use_rslora = use_rslora;
    settings.lora_dropout = lora_dropout;
    settings.target_modules = target_modules;
    settings.target_pattern = target_pattern;
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
