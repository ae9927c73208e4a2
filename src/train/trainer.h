#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/json.h"
#include "train/gradients.h"

namespace samner::train {

enum class Schedule { cosine, linear, constant };

/// Settings of one training, named as in peft and transformers.
struct Options {
    std::int32_t r = 32;
    double lora_alpha = 64;
    bool use_rslora = false;
    std::vector<std::string> target_modules{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                            "gate_proj", "up_proj", "down_proj"};
    double learning_rate = 2e-5;
    Schedule lr_scheduler_type = Schedule::cosine;
    double warmup_ratio = 0.05;  ///< of all steps, rounded up
    double weight_decay = 0;
    double max_grad_norm = 1.0;
    double num_train_epochs = 3;
    std::int64_t max_steps = -1;        ///< overrides num_train_epochs when positive
    std::int64_t batch_size = 16;       ///< sequences a step
    std::int64_t micro_batch_size = 8;  ///< sequences in one forward and backward pass
    std::int64_t max_length = 2048;     ///< tokens; longer examples are cut at the end
    bool shuffle = true;
    std::uint64_t seed = 0;

    /// Reads the options that an object names. @throws InputError for an unknown key or a value out of range
    static Options from_json(Json const& object, std::string_view place);
    Json to_json() const;
};

/// The learning rate of step `step` (from 0) of `steps`, after transformers' get_*_schedule_with_warmup.
double learning_rate(Options const& options, std::int64_t step, std::int64_t steps);

/// How many optimiser steps a training takes.
std::int64_t count_steps(Options const& options, std::size_t examples);

struct Step {
    std::int64_t step = 0;  ///< from 1
    double loss = 0;        ///< mean over the step's answer tokens, in nats
    double grad_norm = 0;   ///< before clipping
    double lr = 0;
    std::int64_t tokens = 0;
    double seconds = 0;
};

/// Trains an adapter on `examples`, starting from `initial`.
///
/// A step takes batch_size examples in the order of (seed, epoch), in micro-batches of fixed make-up, whose gradients
/// are added by one fixed binary tree; the sum is divided by the step's answer tokens and clipped; AdamW follows.
/// @param on_step  called after each step
/// @throws InputError when there is nothing to train on; Error on a loss that is not finite, with step and examples;
///         Stopped at the next step after a stop was asked for
weights::Adapter train(model::LanguageModel const& model, model::Ops const& ops, Options const& options,
                       std::span<Example const> examples, weights::Adapter initial,
                       std::function<void(Step const&)> const& on_step);

}  // namespace samner::train
