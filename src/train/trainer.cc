#include "train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "core/stop.h"
#include "core/yaml.h"

namespace samner::train {
namespace {

constexpr auto schedules = std::to_array<std::pair<std::string_view, Schedule>>(
    {{"cosine", Schedule::cosine}, {"linear", Schedule::linear}, {"constant", Schedule::constant}});

Schedule parse_schedule(std::string const& name, std::string_view place) {
    for (auto const& [known, schedule] : schedules) {
        if (known == name) return schedule;
    }
    throw InputError{fmt::format("lr_scheduler_type is '{}' ({})", name, place), "use cosine, linear or constant"};
}

std::string_view name_of(Schedule schedule) {
    for (auto const& [name, known] : schedules) {
        if (known == schedule) return name;
    }
    throw Error{"a schedule without a name"};
}

/// Sums leaves in the order they come by the fixed binary tree over their numbers: leaf 2i with 2i+1, and so on up.
class TreeSum {
public:
    explicit TreeSum(model::Ops const& ops) : ops_{ops} {}

    void add(at::Tensor leaf) {
        std::size_t level = 0;
        while (!levels_.empty() && levels_.back().first == level) {
            ops_.add(leaf, levels_.back().second);
            leaf = std::move(levels_.back().second);
            levels_.pop_back();
            ++level;
        }
        levels_.emplace_back(level, std::move(leaf));
    }

    at::Tensor total() {
        auto sum = std::move(levels_.back().second);
        levels_.pop_back();
        while (!levels_.empty()) {
            ops_.add(sum, levels_.back().second);
            sum = std::move(levels_.back().second);
            levels_.pop_back();
        }
        return sum;
    }

private:
    model::Ops const& ops_;
    std::vector<std::pair<std::size_t, at::Tensor>> levels_;
};

/// Which examples each step takes: epochs one after the other, each in an order of its own, the last batch of an epoch
/// short.
class Batches {
public:
    Batches(Options const& options, std::size_t examples) : options_{options}, examples_{examples} {}

    std::vector<std::size_t> at(std::int64_t step) {
        auto const size = static_cast<std::size_t>(options_.batch_size);
        auto const per_epoch = (examples_ + size - 1) / size;
        auto const epoch = static_cast<std::size_t>(step) / per_epoch;
        if (epoch != epoch_ || order_.empty()) {
            epoch_ = epoch;
            order_.resize(examples_);
            for (std::size_t i = 0; i < examples_; ++i) order_[i] = i;
            if (options_.shuffle)
                order_ = RandomStream{options_.seed, fmt::format("epoch {}", epoch)}.permutation(examples_);
        }
        auto const begin = static_cast<std::size_t>(step) % per_epoch * size;
        auto const end = std::min(begin + size, examples_);
        return {order_.begin() + static_cast<std::ptrdiff_t>(begin), order_.begin() + static_cast<std::ptrdiff_t>(end)};
    }

private:
    Options const& options_;
    std::size_t examples_;
    std::size_t epoch_ = 0;
    std::vector<std::size_t> order_;
};

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
    read("target_modules", options.target_modules);
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
    double dropout = 0;
    read("lora_dropout", dropout);
    if (dropout != 0) throw InputError{fmt::format("lora_dropout is {} ({})", dropout, place), "only 0 is there yet"};
    std::string dtype = "fp32";
    read("dtype", dtype);
    if (dtype != "fp32") throw InputError{fmt::format("dtype is '{}' ({})", dtype, place), "only fp32 is there yet"};
    for (auto const& [key, value] : object.items()) {
        if (known.contains(key)) continue;
        auto const near = did_you_mean(key, {known.begin(), known.end()});
        throw InputError{
            fmt::format("unknown training option {} ({})", key, place),
            near ? fmt::format("did you mean {}?", *near) : fmt::format("known: {}", fmt::join(known, ", "))};
    }
    auto const demand = [&](bool holds, std::string_view key, auto value, std::string_view range) {
        if (!holds) throw InputError{fmt::format("{} is {} ({})", key, value, place), fmt::format("give it {}", range)};
    };
    demand(options.r >= 1, "r", options.r, "1 or more");
    demand(options.learning_rate >= 0, "learning_rate", options.learning_rate, "0 or more");
    demand(options.warmup_ratio >= 0 && options.warmup_ratio <= 1, "warmup_ratio", options.warmup_ratio, "0 to 1");
    demand(options.weight_decay >= 0, "weight_decay", options.weight_decay, "0 or more");
    demand(options.max_grad_norm > 0, "max_grad_norm", options.max_grad_norm, "more than 0");
    demand(options.num_train_epochs > 0, "num_train_epochs", options.num_train_epochs, "more than 0");
    demand(options.batch_size >= 1, "batch_size", options.batch_size, "1 or more");
    demand(options.micro_batch_size >= 1, "micro_batch_size", options.micro_batch_size, "1 or more");
    demand(options.max_length >= 2, "max_length", options.max_length, "2 or more");
    return options;
}

Json Options::to_json() const {
    return {{"r", r},
            {"lora_alpha", lora_alpha},
            {"use_rslora", use_rslora},
            {"target_modules", target_modules},
            {"learning_rate", learning_rate},
            {"lr_scheduler_type", name_of(lr_scheduler_type)},
            {"warmup_ratio", warmup_ratio},
            {"weight_decay", weight_decay},
            {"max_grad_norm", max_grad_norm},
            {"num_train_epochs", num_train_epochs},
            {"max_steps", max_steps},
            {"batch_size", batch_size},
            {"micro_batch_size", micro_batch_size},
            {"max_length", max_length},
            {"shuffle", shuffle},
            {"seed", seed}};
}

double learning_rate(Options const& options, std::int64_t step, std::int64_t steps) {
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

weights::Adapter train(model::LanguageModel const& model, model::Ops const& ops, Options const& options,
                       std::span<Example const> examples, weights::Adapter initial,
                       std::function<void(Step const&)> const& on_step) {
    std::vector<Example> cut;
    cut.reserve(examples.size());
    for (auto const& example : examples) {
        auto& copy = cut.emplace_back(example);
        auto const length = std::min(copy.ids.size(), static_cast<std::size_t>(options.max_length));
        copy.ids.resize(length);
        copy.labels.resize(length);
    }
    auto const trained_on = [](Example const& example) {
        return std::any_of(example.labels.begin() + (example.labels.empty() ? 0 : 1), example.labels.end(),
                           [](std::int32_t label) { return label != not_trained_on; });
    };
    if (std::ranges::none_of(cut, trained_on)) {
        throw InputError{fmt::format("none of {} training examples has an answer token within {} tokens", cut.size(),
                                     options.max_length),
                         "check the data, or raise max_length"};
    }

    LoraParameters lora{std::move(initial), model.config, ops};
    auto first_moment = ops.zeros(lora.values.sizes());
    auto second_moment = ops.zeros(lora.values.sizes());
    auto const steps = count_steps(options, cut.size());
    Batches batches{options, cut.size()};
    for (std::int64_t step = 0; step < steps; ++step) {
        check_stop();
        auto const start = std::chrono::steady_clock::now();
        auto const chosen = batches.at(step);
        TreeSum gradients{ops};
        Loss loss;
        for (std::size_t begin = 0; begin < chosen.size();
             begin += static_cast<std::size_t>(options.micro_batch_size)) {
            std::vector<Example const*> micro_batch;
            auto const end = std::min(begin + static_cast<std::size_t>(options.micro_batch_size), chosen.size());
            for (auto i = begin; i < end; ++i) micro_batch.push_back(&cut[chosen[i]]);
            lora.gradients.zero_();
            auto const part = add_gradients(model, ops, lora, micro_batch);
            gradients.add(lora.gradients.clone());
            loss.sum += part.sum;
            loss.answer += part.answer;
            loss.tokens += part.tokens;
        }
        if (!std::isfinite(loss.sum)) {
            throw Error{
                fmt::format("the loss of step {} is {} (examples {})", step + 1, loss.sum, fmt::join(chosen, ", ")),
                "lower learning_rate, or look at these examples"};
        }
        lora.gradients.copy_(gradients.total());
        ops.scale(1.0F / static_cast<float>(std::max<std::int64_t>(loss.answer, 1)), lora.gradients);
        auto const norm = std::sqrt(ops.sum_of_squares(lora.gradients));
        auto const clip = options.max_grad_norm / (norm + 1e-6);  // as torch.nn.utils.clip_grad_norm_
        if (clip < 1) ops.scale(static_cast<float>(clip), lora.gradients);
        auto const rate = learning_rate(options, step, steps);
        kernel::AdamW settings;
        settings.weight_decay = options.weight_decay;
        ops.adamw(lora.values, lora.gradients, first_moment, second_moment, settings, rate, step + 1);
        std::chrono::duration<double> const seconds = std::chrono::steady_clock::now() - start;
        on_step({step + 1, loss.sum / static_cast<double>(std::max<std::int64_t>(loss.answer, 1)), norm, rate,
                 loss.tokens, seconds.count()});
    }
    return lora.adapter();
}

}  // namespace samner::train
