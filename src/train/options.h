#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/precision.h"
#include "weights/adapter.h"

namespace samner::train {

enum class Schedule { cosine, linear, constant, constant_with_warmup };

/// Settings of one training, named as in peft and transformers.
struct Options {
    std::int32_t r = 32;
    double lora_alpha = 64;
    bool use_rslora = false;
    double lora_dropout = 0;  ///< in [0, 1): of the factors' inputs; takes effect in steps of 1/65536
    /// Ranks and alphas of single modules, as in peft: the first key, in the order of the alphabet, that matches a
    /// module's name or a dotted end of it.
    std::map<std::string, std::int32_t> rank_pattern;
    std::map<std::string, double> alpha_pattern;
    /// As a setting also one text: all-linear (these seven), or a regular expression for the whole name, which goes to
    /// target_pattern instead.
    std::vector<std::string> target_modules{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                            "gate_proj", "up_proj", "down_proj"};
    std::string target_pattern;
    double learning_rate = 2e-5;
    Schedule lr_scheduler_type = Schedule::cosine;
    double warmup_ratio = 0.05;  ///< of all steps, rounded up; `constant` has no warm-up, as in transformers
    double weight_decay = 0;
    double max_grad_norm = 1.0;
    double num_train_epochs = 3;
    std::int64_t max_steps = -1;        ///< overrides num_train_epochs when positive
    std::int64_t batch_size = 16;       ///< sequences a step
    std::int64_t micro_batch_size = 8;  ///< sequences in one forward and backward pass
    std::int64_t max_length = 2048;     ///< tokens; longer examples are cut at the end
    Precision dtype = Precision::fp32;
    bool shuffle = true;
    std::uint64_t seed = 0;
    /// Steps from one checkpoint to the next, where a training keeps one; 0: only when it is asked to stop. Has no
    /// influence on the result.
    std::int64_t checkpoint_every = 50;

    /// Reads the options that an object names. @throws InputError for an unknown key or a value out of range
    static Options from_json(Json const& object, std::string_view place);
    /// lora_dropout, patterns and dtype only where they are in use. With `constant` warmup_ratio is 0, so that a
    /// training from when that name warmed up is never taken for one that does not.
    Json to_json() const;
    weights::LoraSettings lora() const;
};

/// The learning rate of step `step` (from 0) of `steps`, after transformers' get_*_schedule and
/// get_*_schedule_with_warmup.
double learning_rate(Options const& options, std::int64_t step, std::int64_t steps);

/// How many optimiser steps a training takes.
std::int64_t count_steps(Options const& options, std::size_t examples);

}  // namespace samner::train
