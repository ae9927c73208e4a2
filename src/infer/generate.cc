#include "infer/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/stop.h"

namespace samner::infer {
namespace {

using model::PreparedAdapter;

constexpr std::int64_t block = kernel::kv_block;

/// The part of the prompts that all requests of one adapter share, and the blocks that hold its keys and values.
struct Prefix {
    PreparedAdapter const* adapter;
    std::span<std::int32_t const> tokens;  ///< whole blocks only
    std::vector<std::int32_t> blocks;
};

/// A sequence that is being read or decoded.
struct Slot {
    std::size_t request = 0;
    std::vector<std::int32_t> own_blocks;  ///< the slot's for good, sized for the longest request
    std::vector<std::int32_t> blocks;      ///< of the present sequence: the shared prefix's, then own ones
    std::int64_t done = 0;                 ///< positions whose keys and values are stored
    bool active = false;
};

std::int64_t common_prefix(std::span<std::int32_t const> a, std::span<std::int32_t const> b) {
    return std::ranges::mismatch(a, b).in1 - a.begin();
}

class Generator {
public:
    Generator(model::LanguageModel const& model, model::Ops const& ops, std::span<Request const> requests,
              Options const& options, std::function<void(std::size_t)> const& progress)
        : model_{model},
          ops_{ops},
          requests_{requests},
          options_{options},
          progress_{progress},
          completions_(requests.size()) {}

    std::vector<Completion> run() {
        check_requests();
        if (requests_.empty() || options_.max_new_tokens == 0) return std::move(completions_);
        find_prefixes();
        make_slots();
        for (auto const& [adapter, prefix] : prefixes_) read_prefix(prefix);
        order_requests();
        while (finished_ < requests_.size()) {
            check_stop();
            fill_slots();
            step();
        }
        return std::move(completions_);
    }

private:
    std::int64_t limit(Request const& request) const {
        auto const room = model_.config.max_position_embeddings - static_cast<std::int64_t>(request.prompt.size());
        return std::min(options_.max_new_tokens, room);
    }

    void check_requests() const {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            auto const& prompt = requests_[i].prompt;
            if (prompt.empty()) throw InputError{fmt::format("prompt {} has no tokens", i), "give it a text"};
            for (auto const id : prompt) {
                if (id < 0 || id >= model_.config.vocab_size) {
                    throw InputError{fmt::format("token {} of prompt {} is outside the vocabulary of {}", id, i,
                                                 model_.config.vocab_size)};
                }
            }
            if (limit(requests_[i]) < 1) {
                throw InputError{fmt::format("prompt {} has {} tokens, the model's context {}", i, prompt.size(),
                                             model_.config.max_position_embeddings),
                                 "shorten it"};
            }
        }
    }

    void find_prefixes() {
        for (auto const& request : requests_) {
            // The last token of a prompt is always read by its own sequence: its logits are needed.
            std::span const tokens{request.prompt.data(), request.prompt.size() - 1};
            auto const [entry, is_new] = prefixes_.try_emplace(request.adapter, Prefix{request.adapter, tokens, {}});
            auto& shared = entry->second.tokens;
            if (!is_new) shared = shared.first(static_cast<std::size_t>(common_prefix(shared, tokens)));
        }
        for (auto& [adapter, prefix] : prefixes_) {
            auto const whole = static_cast<std::int64_t>(prefix.tokens.size()) / block;
            prefix.tokens = prefix.tokens.first(static_cast<std::size_t>(whole * block));
            for (std::int64_t i = 0; i < whole; ++i) prefix.blocks.push_back(next_block_++);
        }
    }

    void make_slots() {
        std::int64_t longest = 0;
        for (auto const& request : requests_) {
            auto const shared = static_cast<std::int64_t>(prefixes_.at(request.adapter).tokens.size());
            longest = std::max(longest, static_cast<std::int64_t>(request.prompt.size()) + limit(request) - shared);
        }
        auto const count = std::min<std::int64_t>(std::max<std::int64_t>(options_.num_slots, 1), std::ssize(requests_));
        slots_.resize(static_cast<std::size_t>(count));
        for (auto& slot : slots_) {
            for (std::int64_t i = 0; i < (longest + block - 1) / block; ++i) slot.own_blocks.push_back(next_block_++);
        }
        cache_ = ops_.make_cache(model_.attention_shape(), static_cast<int>(model_.config.num_layers), next_block_);
    }

    void read_prefix(Prefix const& prefix) {
        auto const size = static_cast<std::int64_t>(prefix.tokens.size());
        for (std::int64_t begin = 0; begin < size; begin += options_.max_rows) {
            check_stop();
            std::vector<model::Row> rows;
            for (auto i = begin; i < std::min(begin + options_.max_rows, size); ++i) {
                rows.push_back({prefix.tokens[static_cast<std::size_t>(i)], static_cast<std::int32_t>(i),
                                prefix.blocks.data(), prefix.adapter});
            }
            model::forward_rows(model_, ops_, *cache_, rows);
        }
    }

    void order_requests() {
        waiting_.resize(requests_.size());
        std::iota(waiting_.begin(), waiting_.end(), std::size_t{0});
        // Taken from the back: the longest prompt first.
        std::ranges::stable_sort(waiting_, {}, [&](std::size_t i) { return requests_[i].prompt.size(); });
    }

    void fill_slots() {
        for (auto& slot : slots_) {
            if (slot.active || waiting_.empty()) continue;
            slot.request = waiting_.back();
            waiting_.pop_back();
            auto const& prefix = prefixes_.at(requests_[slot.request].adapter);
            slot.blocks = prefix.blocks;
            slot.blocks.insert(slot.blocks.end(), slot.own_blocks.begin(), slot.own_blocks.end());
            slot.done = static_cast<std::int64_t>(prefix.tokens.size());
            slot.active = true;
        }
        // Rows of one adapter have to be neighbours.
        std::ranges::stable_sort(slots_, std::less<>{}, [&](Slot const& slot) {
            return slot.active ? requests_[slot.request].adapter : nullptr;
        });
    }

    std::int32_t token_at(Slot const& slot, std::int64_t position) const {
        auto const& prompt = requests_[slot.request].prompt;
        auto const size = std::ssize(prompt);
        return position < size ? prompt[static_cast<std::size_t>(position)]
                               : completions_[slot.request].tokens[static_cast<std::size_t>(position - size)];
    }

    /// One forward pass: the next token of every decoding slot, and as much of the waiting prompts as fits.
    void step() {
        std::int64_t decoding = 0;
        auto const known = [&](Slot const& slot) {
            return std::ssize(requests_[slot.request].prompt) + std::ssize(completions_[slot.request].tokens);
        };
        for (auto const& slot : slots_) decoding += slot.active && known(slot) - slot.done == 1;
        auto room = std::max<std::int64_t>(options_.max_rows - decoding, 1);
        std::vector<model::Row> rows;
        std::vector<std::int32_t> wanted;  // rows whose logits choose a token
        std::vector<Slot*> choosing;
        for (auto& slot : slots_) {
            if (!slot.active) continue;
            auto const missing = known(slot) - slot.done;
            auto const take = missing == 1 ? 1 : std::min(missing, room);
            if (missing > 1) room -= take;
            for (std::int64_t i = 0; i < take; ++i) {
                auto const position = slot.done + i;
                rows.push_back({token_at(slot, position), static_cast<std::int32_t>(position), slot.blocks.data(),
                                requests_[slot.request].adapter});
            }
            slot.done += take;
            if (take == missing) {
                wanted.push_back(static_cast<std::int32_t>(rows.size()) - 1);
                choosing.push_back(&slot);
            }
        }
        auto const hidden = model::forward_rows(model_, ops_, *cache_, rows);
        if (wanted.empty()) return;
        auto last = ops_.empty({std::ssize(wanted), model_.config.hidden_size});
        ops_.gather(hidden, wanted, last);
        auto const tokens = ops_.argmax(model::logits(model_, ops_, last));
        for (std::size_t i = 0; i < choosing.size(); ++i) accept(*choosing[i], tokens[i]);
    }

    void accept(Slot& slot, std::int32_t token) {
        auto& completion = completions_[slot.request];
        completion.tokens.push_back(token);
        completion.stopped = std::ranges::find(options_.end_tokens, token) != options_.end_tokens.end();
        if (!completion.stopped && std::ssize(completion.tokens) < limit(requests_[slot.request])) return;
        slot.active = false;
        ++finished_;
        if (progress_) progress_(finished_);
    }

    model::LanguageModel const& model_;
    model::Ops const& ops_;
    std::span<Request const> requests_;
    Options const& options_;
    std::function<void(std::size_t)> const& progress_;
    std::vector<Completion> completions_;
    std::map<PreparedAdapter const*, Prefix> prefixes_;
    std::vector<Slot> slots_;
    std::vector<std::size_t> waiting_;
    std::unique_ptr<model::KvCache> cache_;
    std::int32_t next_block_ = 0;
    std::size_t finished_ = 0;
};

}  // namespace

std::vector<Completion> generate(model::LanguageModel const& model, model::Ops const& ops,
                                 std::span<Request const> requests, Options const& options,
                                 std::function<void(std::size_t)> const& progress) {
    return Generator{model, ops, requests, options, progress}.run();
}

}  // namespace samner::infer
