#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "train/gradients.h"
#include "train/options.h"
#include "train/step.h"
#include "train/team.h"

namespace samner::train {

/// With whom a training runs, and what it leaves behind on its way.
struct Context {
    Team team = {};
    /// A file that the state is written to every Options::checkpoint_every steps and when a stop was asked for, and
    /// that the training goes on from where it is there; the caller removes it when the result is safe. Empty: none.
    std::filesystem::path checkpoint = {};
    /// Who writes it: part of the file's name until it is whole, so that no two write to one.
    std::string writer = {};
    /// Called before a checkpoint takes its place; throws when this training is not to go on here.
    std::function<void()> guard = {};
    /// Names what the checkpoint depends on beside options, examples and first adapter: the base model's hash.
    std::string inputs = {};
    /// Called on rank 0 after each step, first of all for the steps that the checkpoint holds.
    std::function<void(Step const&)> on_step = {};
};

/// Trains an adapter on `examples`, starting from `initial`. Collective over the team, with equal arguments.
///
/// Examples that max_length leaves no whole answer of are left out (leave_out_cut); who wants to tell of them, or needs
/// the number of steps beforehand, leaves them out himself.
///
/// A step takes batch_size examples in the order of (seed, epoch), in micro-batches of fixed make-up, whose gradients
/// are added by one fixed binary tree, of which each rank works out an aligned part; the sum is divided by the step's
/// answer tokens and clipped; AdamW follows. In fp32 on the CPU the result is the same bits on any number of ranks,
/// and however often the training was killed and went on.
/// @throws InputError when there is nothing to train on, or the checkpoint is another training's; Error on a loss or
///         gradient that is not finite, with step and examples; Stopped at the next step after a stop was asked for
weights::Adapter train(model::LanguageModel const& model, model::Ops const& ops, Options const& options,
                       std::span<Example const> examples, weights::Adapter initial, Context const& context = {});

}  // namespace samner::train
