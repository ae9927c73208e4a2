#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "core/json.h"
#include "core/key.h"
#include "core/precision.h"
#include "weights/adapter.h"

namespace samner::train {

enum class Schedule { cosine, linear, constant, constant_with_warmup };
constexpr auto enum_names(Schedule const*) {
    return std::to_array<std::pair<std::string_view, Schedule>>(
        {{"cosine", Schedule::cosine},
         {"linear", Schedule::linear},
         {"constant", Schedule::constant},
         {"constant_with_warmup", Schedule::constant_with_warmup}});
}

/// The linear layers that get factors: by name, or by a regular expression for the whole name. As a setting a list of
/// names, the text all-linear (the seven of the default), or another text, which is the expression.
struct TargetModules {
    std::vector<std::string> names{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    std::string pattern = {};  ///< where not empty, taken instead of the names

    Json to_json() const;
    static TargetModules from_json(Json const& value, std::string_view place);
};

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
    TargetModules target_modules;
    double learning_rate = 2e-5;
    Schedule lr_scheduler_type = Schedule::cosine;
    double warmup_ratio = 0.05;  ///< of all steps, rounded up; `constant` has no warm-up, as in transformers
    double weight_decay = 0;
    double max_grad_norm = 1.0;
    double num_train_epochs = 3;
    std::int64_t max_steps = -1;        ///< overrides num_train_epochs unless it is -1
    std::int64_t batch_size = 16;       ///< sequences a step
    std::int64_t micro_batch_size = 8;  ///< sequences in one forward and backward pass
    std::int64_t max_length = 2048;     ///< tokens; longer examples are left out, or cut at the end
    /// Also train on examples of whose answer max_length leaves a part, without an end token.
    bool keep_cut_answers = false;
    Precision dtype = Precision::fp32;
    bool shuffle = true;
    std::uint64_t seed = 0;
    /// Steps from one checkpoint to the next, where a training keeps one; 0: only when it is asked to stop. Has no
    /// influence on the result.
    std::int64_t checkpoint_every = 50;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("r", self.r);
        visit("lora_alpha", self.lora_alpha);
        visit("use_rslora", self.use_rslora);
        visit("lora_dropout", self.lora_dropout, self.lora_dropout != 0);
        visit("rank_pattern", self.rank_pattern, !self.rank_pattern.empty());
        visit("alpha_pattern", self.alpha_pattern, !self.alpha_pattern.empty());
        visit("target_modules", self.target_modules);
        visit("learning_rate", self.learning_rate);
        visit("lr_scheduler_type", self.lr_scheduler_type);
        visit("warmup_ratio", self.warmup_ratio);
        visit("weight_decay", self.weight_decay);
        visit("max_grad_norm", self.max_grad_norm);
        visit("num_train_epochs", self.num_train_epochs);
        visit("max_steps", self.max_steps);
        visit("batch_size", self.batch_size);
        visit("micro_batch_size", self.micro_batch_size);
        visit("max_length", self.max_length);
        visit("keep_cut_answers", self.keep_cut_answers, self.keep_cut_answers);
        visit("dtype", self.dtype, self.dtype != Precision::fp32);
        visit("shuffle", self.shuffle);
        visit("seed", self.seed);
        visit("checkpoint_every", self.checkpoint_every, no_influence);
    }
    /// What a user is told of each field, in their order.
    static std::span<Key const> help();

    /// Reads the options that an object names. @throws InputError for an unknown key or a value out of range
    static Options from_json(Json const& object, Places const& places);
    /// What has an influence on the result: lora_dropout, patterns, keep_cut_answers and dtype only where they are in
    /// use, so that the keys of earlier runs stay. With `constant` warmup_ratio is 0, so that a training from when that
    /// name warmed up is never taken for one that does not.
    Json key() const;
    Json settings() const;  ///< the key and checkpoint_every, as a run file has them; from_json reads it back
    weights::LoraSettings lora() const;
};

/// A linear layer of a model that gets factors.
struct AdaptedModule {
    std::string name;
    std::int64_t out;
    std::int64_t in;
    weights::LoraScale scale;
};

/// Those of the settings, in the order of weights::linear_modules.
/// @throws InputError for a target that the model does not have, or a rank that is larger than both sides of a layer:
///         no update of it needs that many
std::vector<AdaptedModule> adapted_modules(weights::ModelConfig const& config, weights::LoraSettings const& settings);

/// How many numbers the factors of these modules hold.
std::int64_t num_factors(std::span<AdaptedModule const> modules);

/// Whether the factors, and what a training keeps beside them, fit into a machine's memory.
/// @param device  where it computes, as cpu or cuda:0
/// @param memory  bytes that the machine has
/// @throws InputError as adapted_modules, and when they do not
void check_memory(Options const& options, weights::ModelConfig const& config, std::string_view device,
                  std::uint64_t memory);

/// The learning rate of step `step` (from 0) of `steps`, after transformers' get_*_schedule and
/// get_*_schedule_with_warmup.
double learning_rate(Options const& options, std::int64_t step, std::int64_t steps);

/// How many optimiser steps a training takes.
std::int64_t count_steps(Options const& options, std::size_t examples);

}  // namespace samner::train
