#include "train/trainer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/random.h"
#include "core/stop.h"
#include "train/checkpoint.h"
#include "train/examples.h"
#include "train/flops.h"

namespace samner::train {
namespace {

/// Sums leaves in the order they come by the fixed binary tree over their numbers: leaf 2i with 2i+1, and so on up.
class TreeSum {
public:
    explicit TreeSum(model::Ops const& ops) : ops_{ops} {}

    bool empty() const { return levels_.empty(); }

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

    std::size_t epoch() const { return epoch_; }  ///< of the step asked for last

private:
    Options const& options_;
    std::size_t examples_;
    std::size_t epoch_ = 0;
    std::vector<std::size_t> order_;
};

/// How many neighbouring leaves of `leaves` each of `ranks` ranks takes: the fewest that leave none over and make a
/// whole subtree.
std::size_t leaves_a_rank(std::size_t leaves, std::size_t ranks) {
    std::size_t share = 1;
    while (share * ranks < leaves) share *= 2;
    return share;
}

/// The examples that are trained on, none longer than max_length.
std::vector<Example> cut_examples(Options const& options, std::span<Example const> examples) {
    std::vector<Example> cut{examples.begin(), examples.end()};
    leave_out_cut(options, cut);
    if (cut.empty()) throw InputError{"a training without examples", "give it at least one"};
    for (auto& [ids, labels] : cut) {
        auto const length = std::min(ids.size(), static_cast<std::size_t>(options.max_length));
        ids.resize(length);
        labels.resize(length);
    }
    return cut;
}

template <class T>
void update(Sha256& hash, std::vector<T> const& values) {
    hash.update(fmt::format("{}:", values.size())).update(std::as_bytes(std::span{values}));
}

/// A name of all that the result depends on.
std::string identity_of(Options const& options, std::span<Example const> examples, weights::Adapter const& initial,
                        std::string const& inputs) {
    Sha256 hash;
    hash.update(canonical(options.key())).update(inputs);
    for (auto const& example : examples) {
        update(hash, example.ids);
        update(hash, example.labels);
    }
    for (auto const& module : initial.modules) {
        hash.update(fmt::format("{} {} ", module.name, module.scaling));
        update(hash, module.a);
        update(hash, module.b);
    }
    return hash.hex();
}

std::vector<float> floats_of(at::Tensor const& tensor) {
    auto const host = tensor.cpu();
    auto const* const data = host.const_data_ptr<float>();
    return {data, data + host.numel()};
}

void assign(at::Tensor& tensor, std::vector<float> const& values) {
    auto const host = at::Tensor{at::empty({std::ssize(values)}, at::TensorOptions{}.dtype(at::kFloat))};
    std::ranges::copy(values, host.mutable_data_ptr<float>());
    tensor.copy_(host);
}

class Trainer {
public:
    Trainer(model::LanguageModel const& model, model::Ops const& ops, Options const& options,
            std::span<Example const> examples, weights::Adapter initial, Context const& context)
        : model_{model},
          ops_{ops},
          options_{options},
          context_{context},
          team_{context.team},
          examples_{cut_examples(options, examples)},
          identity_{team_.size > 1 || !context.checkpoint.empty()
                        ? identity_of(options, examples_, initial, context.inputs)
                        : ""},
          lora_{std::move(initial), model.config, ops},
          first_moment_{at::zeros_like(lora_.values)},
          second_moment_{at::zeros_like(lora_.values)},
          batches_{options_, examples_.size()},
          steps_{count_steps(options, examples_.size())} {}

    weights::Adapter run() {
        resume();
        warn_of_idle_ranks();
        rate_ = team_rate();
        try {
            while (done() < steps_) step();
            gather_from_team(team_, [&] {
                report();
                return std::string{};
            });
        } catch (Stopped const&) {
            if (leads()) save();
            throw;
        }
        return lora_.adapter();
    }

private:
    bool leads() const { return team_.rank == 0; }
    std::int64_t done() const { return std::ssize(curve_); }
    std::size_t micro_batch_size() const { return static_cast<std::size_t>(options_.micro_batch_size); }
    std::size_t micro_batches(std::size_t batch) const { return (batch + micro_batch_size() - 1) / micro_batch_size(); }
    std::size_t share_of(std::size_t micro_batches) const {
        return leaves_a_rank(micro_batches, static_cast<std::size_t>(team_.size));
    }

    void resume() {
        std::optional<Checkpoint> found;
        auto const identities = gather_from_team(team_, [&] {
            if (leads() && !context_.checkpoint.empty())
                found = read_checkpoint(context_.checkpoint, identity_, lora_.values.numel());
            return identity_ + (found ? "+" : "");
        });
        for (std::size_t rank = 0; rank < identities.size(); ++rank) {
            if (identities[rank].starts_with(identity_)) continue;
            throw InputError{fmt::format("ranks {} and {} were given different trainings", team_.rank, rank),
                             "give all ranks the same files"};
        }
        if (!identities[0].ends_with('+')) return;
        if (team_.size > 1) found = of_leader(found);
        assign(lora_.values, found->values);
        assign(first_moment_, found->first_moment);
        assign(second_moment_, found->second_moment);
        curve_ = std::move(found->curve);
        saved_ = done();
        if (leads()) spdlog::info("training goes on after step {} of {}", done(), steps_);
    }

    /// Rank 0's checkpoint, on every rank.
    Checkpoint of_leader(std::optional<Checkpoint> const& own) const {
        Checkpoint all;
        auto const share = [&](std::vector<float> Checkpoint::*part) {
            auto const bytes = own ? std::as_bytes(std::span{(*own).*part}) : std::span<std::byte const>{};
            auto const leaders = team_.all_gather({reinterpret_cast<char const*>(bytes.data()), bytes.size()}).front();
            (all.*part).resize(leaders.size() / sizeof(float));
            std::memcpy((all.*part).data(), leaders.data(), leaders.size());
        };
        share(&Checkpoint::values);
        share(&Checkpoint::first_moment);
        share(&Checkpoint::second_moment);
        auto steps = Json::array();
        if (own) {
            for (auto const& step : own->curve) steps.push_back(step.to_json());
        }
        for (auto const& step : Json::parse(team_.all_gather(steps.dump()).front()))
            all.curve.push_back(Step::from_json(step, "checkpoint of rank 0"));
        return all;
    }

    void warn_of_idle_ranks() const {
        auto const leaves = micro_batches(std::min(examples_.size(), static_cast<std::size_t>(options_.batch_size)));
        auto const busy = (leaves + share_of(leaves) - 1) / share_of(leaves);
        if (leads() && busy < static_cast<std::size_t>(team_.size)) {
            spdlog::warn(
                "{} of {} ranks have work: a step has {} micro-batches of {} sequences — lower "
                "micro_batch_size, or use fewer ranks",
                busy, team_.size, leaves, options_.micro_batch_size);
        }
    }

    /// What the ranks reach in products, all at once as in a step.
    double team_rate() const {
        auto const rates = gather_from_team(team_, [&] {
            auto const rate = product_rate(model_, ops_);
            return std::string{reinterpret_cast<char const*>(&rate), sizeof rate};
        });
        double sum = 0;
        for (auto const& bytes : rates) {
            double rate = 0;
            std::memcpy(&rate, bytes.data(), sizeof rate);
            sum += rate;
        }
        return sum;
    }

    double flops_of(std::vector<std::size_t> const& chosen, Loss const& loss) const {
        std::int64_t pairs = 0;
        for (auto const i : chosen) {
            auto const length = std::ssize(examples_[i].ids);
            pairs += length * (length + 1) / 2;
        }
        return training_flops(model_.config, lora_.values.numel(), {loss.tokens, loss.answer, pairs});
    }

    /// Tells of the steps that are done and writes a checkpoint when it is time for one.
    void report() {
        if (!leads()) return;
        for (; reported_ < curve_.size(); ++reported_)
            if (context_.on_step) context_.on_step(curve_[reported_]);
        if (options_.checkpoint_every > 0 && done() % options_.checkpoint_every == 0) save();
    }

    void save() {
        if (context_.checkpoint.empty() || done() == saved_) return;
        auto drafted = context_.checkpoint;
        drafted += fmt::format(".{}.partial", context_.writer.empty() ? "new" : context_.writer);
        write_checkpoint(drafted, identity_,
                         {floats_of(lora_.values), floats_of(first_moment_), floats_of(second_moment_), curve_});
        try {
            if (context_.guard) context_.guard();
            move_into_place(drafted, context_.checkpoint);
        } catch (...) {
            std::error_code ignored;
            std::filesystem::remove(drafted, ignored);
            throw;
        }
        saved_ = done();
    }

    void step() {
        auto const start = std::chrono::steady_clock::now();
        auto const chosen = batches_.at(done());
        auto const leaves = micro_batches(chosen.size());
        auto const share = share_of(leaves);
        auto const first = std::min(leaves, static_cast<std::size_t>(team_.rank) * share);
        TreeSum sum{ops_};
        auto const parts = gather_from_team(team_, [&] {
            report();
            check_stop();
            std::string losses;
            for (auto leaf = first; leaf < std::min(leaves, first + share); ++leaf) {
                lora_.gradients.zero_();
                auto const loss =
                    add_gradients(model_, ops_, lora_, examples_of(chosen, leaf), dropout_of(chosen, leaf));
                sum.add(lora_.gradients.clone());
                losses.append(reinterpret_cast<char const*>(&loss), sizeof loss);
            }
            return losses;
        });
        auto const loss = total_loss(parts, chosen);
        if (sum.empty()) {
            lora_.gradients.fill_(-0.0F);  // what changes no sum, not even that of zeros
        } else {
            lora_.gradients.copy_(sum.total());
        }
        if (team_.size > 1 && team_.device_sum) {
            team_.device_sum(lora_.gradients.mutable_data_ptr<float>(),
                             static_cast<std::size_t>(lora_.gradients.numel()));
        } else if (team_.size > 1) {
            auto const host = lora_.gradients.cpu();
            team_.tree_sum({host.mutable_data_ptr<float>(), static_cast<std::size_t>(host.numel())});
            lora_.gradients.copy_(host);
        }
        auto const answer = std::max<std::int64_t>(loss.answer, 1);
        ops_.scale(1.0F / static_cast<float>(answer), lora_.gradients);
        auto const norm = std::sqrt(ops_.sum_of_squares(lora_.gradients));
        if (!std::isfinite(norm)) {
            throw Error{fmt::format("the gradient of step {} is {} (examples {})", done() + 1, std::abs(norm),
                                    fmt::join(chosen, ", ")),
                        "lower learning_rate, or look at these examples"};
        }
        auto const clip = options_.max_grad_norm / (norm + 1e-6);  // as torch.nn.utils.clip_grad_norm_
        if (clip < 1) ops_.scale(static_cast<float>(clip), lora_.gradients);
        auto const rate = learning_rate(options_, done(), steps_);
        kernel::AdamW settings;
        settings.weight_decay = options_.weight_decay;
        ops_.adamw(lora_.values, lora_.gradients, first_moment_, second_moment_, settings, rate, done() + 1);
        std::chrono::duration<double> const seconds = std::chrono::steady_clock::now() - start;
        curve_.push_back({done() + 1, loss.sum / static_cast<double>(answer), norm, rate, loss.tokens, seconds.count(),
                          flops_of(chosen, loss) / seconds.count() / rate_});
    }

    std::span<std::size_t const> chosen_of(std::vector<std::size_t> const& chosen, std::size_t leaf) const {
        auto const begin = leaf * micro_batch_size();
        return std::span{chosen}.subspan(begin, std::min(micro_batch_size(), chosen.size() - begin));
    }

    std::vector<Example const*> examples_of(std::vector<std::size_t> const& chosen, std::size_t leaf) const {
        std::vector<Example const*> batch;
        for (auto const i : chosen_of(chosen, leaf)) batch.push_back(&examples_[i]);
        return batch;
    }

    /// A sequence's number is that of its turn: epochs one after the other.
    Dropout dropout_of(std::vector<std::size_t> const& chosen, std::size_t leaf) const {
        Dropout dropout{options_.lora_dropout, options_.seed};
        auto const start = batches_.epoch() * examples_.size();
        for (auto const i : chosen_of(chosen, leaf)) dropout.sequences.push_back(start + i);
        return dropout;
    }

    /// Adds the micro-batches' losses in their order.
    Loss total_loss(std::vector<std::string> const& parts, std::vector<std::size_t> const& chosen) const {
        Loss total;
        std::size_t leaf = 0;
        for (auto const& part : parts) {
            for (std::size_t at = 0; at < part.size(); at += sizeof(Loss), ++leaf) {
                Loss loss;
                std::memcpy(&loss, part.data() + at, sizeof loss);
                if (!std::isfinite(loss.sum)) {  // printed without its sign, which means nothing
                    throw Error{fmt::format("the loss of step {} is {} in its micro-batch {} (examples {})", done() + 1,
                                            std::abs(loss.sum), leaf + 1, fmt::join(chosen_of(chosen, leaf), ", ")),
                                "lower learning_rate, or look at these examples"};
                }
                total.sum += loss.sum;
                total.answer += loss.answer;
                total.tokens += loss.tokens;
            }
        }
        return total;
    }

    model::LanguageModel const& model_;
    model::Ops const& ops_;
    Options const& options_;
    Context const& context_;
    Team const& team_;
    std::vector<Example> examples_;
    std::string identity_;
    LoraParameters lora_;
    at::Tensor first_moment_;
    at::Tensor second_moment_;
    Batches batches_;
    std::int64_t steps_;
    double rate_ = 0;           ///< FLOP/s that the team reaches in products
    std::vector<Step> curve_;   ///< of the steps that are done
    std::size_t reported_ = 0;  ///< of them, to on_step
    std::int64_t saved_ = 0;    ///< steps in the checkpoint
};

}  // namespace

weights::Adapter train(model::LanguageModel const& model, model::Ops const& ops, Options const& options,
                       std::span<Example const> examples, weights::Adapter initial, Context const& context) {
    return Trainer{model, ops, options, examples, std::move(initial), context}.run();
}

}  // namespace samner::train
