#include "infer/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/hash.h"
#include "core/random.h"
#include "core/stop.h"
#include "model/recorded_steps.h"

namespace samner::infer {
namespace {

using model::PreparedAdapter;
using Ids = std::vector<std::int32_t>;

constexpr std::int64_t block = kernel::kv_block;

std::int64_t common_prefix(std::span<std::int32_t const> a, std::span<std::int32_t const> b) {
    return std::ranges::mismatch(a, b).in1 - a.begin();
}

std::int64_t blocks_for(std::int64_t positions) {
    return (positions + block - 1) / block;
}

/// Blocks of the key/value cache that no sequence holds.
class FreeBlocks {
public:
    explicit FreeBlocks(std::int32_t first, std::int64_t count) : free_(static_cast<std::size_t>(count)) {
        std::iota(free_.rbegin(), free_.rend(), first);
    }
    std::int64_t count() const { return std::ssize(free_); }
    /// Moves `count` blocks to the end of `to`.
    void take(std::int64_t count, Ids& to) {
        for (; count > 0; --count) {
            to.push_back(free_.back());
            free_.pop_back();
        }
    }
    void give_back(Ids& blocks) {
        free_.insert(free_.end(), blocks.rbegin(), blocks.rend());
        blocks.clear();
    }

private:
    Ids free_;
};

/// What all requests of one adapter have in common at their start, in whole blocks.
struct Prefix {
    std::span<std::int32_t const> tokens;
    Ids blocks;
};

/// The prompt of several requests beyond the prefix, in whole blocks.
struct SharedPrefix {
    std::int64_t end = 0;   ///< its positions are those from the prefix's end up to here
    std::int64_t done = 0;  ///< positions whose keys and values are stored
    std::int64_t users = 0;
    Ids blocks;
};

/// A sequence that is being read or decoded.
struct Slot {
    std::optional<std::size_t> request;
    Ids own_blocks;
    Ids blocks;             ///< the prefix's, the shared prefix's, own ones
    std::int64_t done = 0;  ///< positions whose keys and values are stored
    Ids draft;              ///< guesses in the present pass
};

class Generator {
public:
    Generator(model::LanguageModel const& model, model::Ops const& ops, std::span<Request const> requests,
              Options const& options, Observer const& observer, PrefixCache* kept)
        : model_{model},
          ops_{ops},
          requests_{requests},
          options_{options},
          observer_{observer},
          kept_{kept},
          completions_(requests.size()) {}

    std::vector<Completion> run() {
        check(options_.sampling);
        check_requests();
        if (requests_.empty() || options_.max_new_tokens == 0) return std::move(completions_);
        find_prefixes();
        order_requests();
        make_cache();
        for (auto const& [adapter, prefix] : prefixes_) read_prefix(adapter, prefix);
        while (finished_ < requests_.size()) {
            check_stop();
            fill_slots();
            step();
        }
        return std::move(completions_);
    }

private:
    std::int64_t limit(Request const& request) const {
        auto const room = model_.config.max_position_embeddings - std::ssize(request.prompt);
        return std::min(options_.max_new_tokens, room);
    }

    void check_requests() const {
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            auto const& prompt = requests_[i].prompt;
            auto const name = requests_[i].name.empty() ? std::to_string(i) : requests_[i].name;
            if (prompt.empty()) throw InputError{fmt::format("prompt {} has no tokens", name), "give it a text"};
            for (auto const id : prompt) {
                if (id < 0 || id >= model_.config.vocab_size) {
                    throw InputError{fmt::format("token {} of prompt {} is outside the vocabulary of {}", id, name,
                                                 model_.config.vocab_size)};
                }
            }
            if (std::ssize(prompt) >= model_.config.max_position_embeddings) {
                throw InputError{fmt::format("prompt {} has {} tokens, the model's context {}", name, prompt.size(),
                                             model_.config.max_position_embeddings),
                                 "shorten it"};
            }
        }
    }

    void find_prefixes() {
        for (auto const& request : requests_) {
            // The last token of a prompt is always read by its own sequence: its logits are needed.
            std::span const tokens{request.prompt.data(), request.prompt.size() - 1};
            auto const [entry, is_new] = prefixes_.try_emplace(request.adapter, Prefix{tokens, {}});
            auto& shared = entry->second.tokens;
            if (!is_new) shared = shared.first(static_cast<std::size_t>(common_prefix(shared, tokens)));
        }
        for (auto& [adapter, prefix] : prefixes_) {
            auto const whole = std::ssize(prefix.tokens) / block;
            prefix.tokens = prefix.tokens.first(static_cast<std::size_t>(whole * block));
            for (std::int64_t i = 0; i < whole; ++i) prefix.blocks.push_back(prefix_blocks_++);
        }
    }

    Prefix const& prefix_of(Request const& request) const { return prefixes_.at(request.adapter); }

    /// Longest prompt of a window first, equal ones as neighbours, which share a prefix. Taken from the back.
    void order_requests() {
        waiting_.resize(requests_.size());
        std::iota(waiting_.rbegin(), waiting_.rend(), std::size_t{0});
        auto const same = [&](std::size_t a, std::size_t b) {
            return requests_[a].adapter == requests_[b].adapter && requests_[a].prompt == requests_[b].prompt;
        };
        std::map<std::pair<PreparedAdapter const*, Ids>, std::size_t> first;
        std::vector<std::size_t> first_of(requests_.size());
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            first_of[i] = first.try_emplace({requests_[i].adapter, requests_[i].prompt}, i).first->second;
        }
        std::ranges::stable_sort(waiting_, [&](std::size_t a, std::size_t b) {
            auto const window = static_cast<std::size_t>(options_.window);
            if (window > 0 && a / window != b / window) return a > b;
            auto const length_a = requests_[a].prompt.size();
            auto const length_b = requests_[b].prompt.size();
            return length_a != length_b ? length_a < length_b : first_of[a] > first_of[b];
        });
        shared_of_.assign(requests_.size(), no_shared_prefix);
        for (std::size_t begin = 0; begin < waiting_.size();) {
            auto end = begin + 1;
            while (end < waiting_.size() && same(waiting_[begin], waiting_[end])) ++end;
            if (end - begin > 1) {
                auto const& request = requests_[waiting_[begin]];
                auto const start = std::ssize(prefix_of(request).tokens);
                auto const whole = (std::ssize(request.prompt) - 1) / block * block;
                for (auto i = begin; i < end; ++i) shared_of_[waiting_[i]] = shared_prefixes_.size();
                shared_prefixes_.push_back({whole, start, static_cast<std::int64_t>(end - begin), {}});
            }
            begin = end;
        }
    }

    SharedPrefix* shared_of(std::size_t request) {
        auto const which = shared_of_[request];
        return which == no_shared_prefix ? nullptr : &shared_prefixes_[which];
    }

    /// Blocks of a whole sequence beyond the prefix.
    std::int64_t need(Request const& request) const {
        return blocks_for(std::ssize(request.prompt) + limit(request)) - std::ssize(prefix_of(request).blocks);
    }

    void make_cache() {
        std::int64_t largest = 0;
        for (auto const& request : requests_) largest = std::max(largest, need(request));
        auto const count = std::clamp<std::int64_t>(options_.num_slots, 1, std::ssize(requests_));
        slots_.resize(static_cast<std::size_t>(count));
        auto blocks = count * largest;
        if (options_.max_cached_tokens > 0)
            blocks = std::clamp(options_.max_cached_tokens / block, largest, std::max(blocks, largest));
        free_.emplace(prefix_blocks_, blocks);
        cache_ = ops_.make_cache(model_.attention_shape(), static_cast<int>(model_.config.num_layers),
                                 prefix_blocks_ + blocks);
        if (options_.record_steps || ops_.gains_by_recording())
            recorded_.emplace(model_, ops_, *cache_, prefix_blocks_ + largest);
    }

    at::Tensor forward(std::span<model::Row const> rows) {
        if (observer_.pass) observer_.pass(rows.size());
        return model::forward_rows(model_, ops_, *cache_, rows);
    }

    void read_prefix(PreparedAdapter const* adapter, Prefix const& prefix) {
        auto const size = std::ssize(prefix.tokens);
        if (size == 0) return;
        auto const content = adapter ? adapter->content() : std::string{};
        auto const known = kept_ ? kept_->load(content, prefix.tokens, ops_, *cache_, prefix.blocks) : 0;
        for (auto begin = known; begin < size; begin += options_.max_rows) {
            check_stop();
            std::vector<model::Row> rows;
            for (auto i = begin; i < std::min(begin + options_.max_rows, size); ++i) {
                rows.push_back({prefix.tokens[static_cast<std::size_t>(i)], static_cast<std::int32_t>(i),
                                prefix.blocks.data(), adapter});
            }
            forward(rows);
        }
        if (kept_ && known < size) {
            kept_->store(content, prefix.tokens, model_, ops_, *cache_, prefix.blocks, options_.max_kept_tokens);
        }
    }

    void fill_slots() {
        for (auto& slot : slots_) {
            if (slot.request || waiting_.empty()) continue;
            auto const next = waiting_.back();
            auto const& request = requests_[next];
            auto const& prefix = prefix_of(request);
            auto* const common = shared_of(next);
            auto const shared = common ? common->end / block - std::ssize(prefix.blocks) : 0;
            auto const missing = need(request) - (common && !common->blocks.empty() ? shared : 0);
            if (missing > free_->count()) break;  // waits until a sequence ends
            waiting_.pop_back();
            if (common && common->blocks.empty()) free_->take(shared, common->blocks);
            slot.request = next;
            free_->take(need(request) - shared, slot.own_blocks);
            slot.blocks = prefix.blocks;
            if (common) slot.blocks.insert(slot.blocks.end(), common->blocks.begin(), common->blocks.end());
            slot.blocks.insert(slot.blocks.end(), slot.own_blocks.begin(), slot.own_blocks.end());
            slot.done = std::ssize(prefix.tokens);
        }
        // Rows of one adapter have to be neighbours.
        std::ranges::stable_sort(slots_, std::less<>{}, [&](Slot const& slot) {
            return slot.request ? requests_[*slot.request].adapter : nullptr;
        });
    }

    /// How many tokens of a sequence are known: prompt and completion so far.
    std::int64_t known(Slot const& slot) const {
        return std::ssize(requests_[*slot.request].prompt) + std::ssize(completions_[*slot.request].tokens);
    }

    std::int32_t token_at(Slot const& slot, std::int64_t position) const {
        auto const& prompt = requests_[*slot.request].prompt;
        auto const& tokens = completions_[*slot.request].tokens;
        auto const size = std::ssize(prompt);
        if (position < size) return prompt[static_cast<std::size_t>(position)];
        position -= size;
        if (position < std::ssize(tokens)) return tokens[static_cast<std::size_t>(position)];
        return slot.draft[static_cast<std::size_t>(position - std::ssize(tokens))];
    }

    /// What followed the latest earlier place of the sequence's last tokens, three of them or two.
    Ids guess(Slot const& slot, std::int64_t most) const {
        auto const size = known(slot);
        auto const left = limit(requests_[*slot.request]) - std::ssize(completions_[*slot.request].tokens);
        most = std::min(most, left - 1);  // the pass itself gives one more
        for (std::int64_t const length : {3, 2}) {
            for (auto end = size - 1; end >= length && most > 0; --end) {
                std::int64_t equal = 0;
                while (equal < length && token_at(slot, end - 1 - equal) == token_at(slot, size - 1 - equal)) ++equal;
                if (equal < length) continue;
                Ids tokens;
                for (auto i = end; i < std::min(end + most, size); ++i) tokens.push_back(token_at(slot, i));
                return tokens;
            }
        }
        return {};
    }

    /// Guesses for every sequence when the pass is small and all of them are decoding.
    void draft() {
        std::int64_t decoding = 0;
        for (auto& slot : slots_) {
            slot.draft.clear();
            if (!slot.request) continue;
            if (known(slot) - slot.done > 1) return;
            ++decoding;
        }
        auto const most =
            std::min(options_.draft_tokens, options_.draft_rows / std::max<std::int64_t>(decoding, 1) - 1);
        if (most < 1) return;
        for (auto& slot : slots_) {
            if (slot.request) slot.draft = guess(slot, most);
        }
    }

    /// One forward pass: the next tokens of every decoding slot, and as much of the waiting prompts as fits.
    void step() {
        draft();
        std::int64_t decoding = 0;
        for (auto const& slot : slots_) decoding += slot.request && known(slot) - slot.done == 1;
        auto room = std::max<std::int64_t>(options_.max_rows - decoding, 1);
        std::vector<model::Row> rows;
        Ids wanted;  // rows whose logits choose a token
        std::vector<Slot*> choosing;
        for (auto& slot : slots_) {
            if (!slot.request) continue;
            auto const add_row = [&](std::int64_t position) {
                rows.push_back({token_at(slot, position), static_cast<std::int32_t>(position), slot.blocks.data(),
                                requests_[*slot.request].adapter});
            };
            auto const total = known(slot);
            auto* const common = shared_of(*slot.request);
            // What another sequence reads of the shared prefix in this very pass counts: a pass stores before it
            // attends.
            if (common && slot.done < common->end) slot.done = common->done;
            auto const missing = total - slot.done;
            auto const take = missing == 1 ? 1 : std::min(missing, room);
            if (missing > 1) room -= take;
            for (std::int64_t i = 0; i < take; ++i) add_row(slot.done + i);
            slot.done += take;
            if (common) common->done = std::max(common->done, std::min(slot.done, common->end));
            if (take < missing) continue;
            wanted.push_back(static_cast<std::int32_t>(rows.size()) - 1);
            choosing.push_back(&slot);
            for (std::int64_t i = 0; i < std::ssize(slot.draft); ++i) {
                add_row(total + i);
                wanted.push_back(static_cast<std::int32_t>(rows.size()) - 1);
            }
        }
        bool const alike = rows.front().adapter == rows.back().adapter;  // rows of one adapter are neighbours
        if (recorded_ && alike && wanted.size() == rows.size()) {
            if (observer_.pass) observer_.pass(rows.size());
            auto const [logits, best] = recorded_->run(rows, std::ssize(prefixes_.at(rows.front().adapter).blocks));
            choose(logits, best, choosing);
            return;
        }
        auto const hidden = forward(rows);
        if (wanted.empty()) return;
        auto last = ops_.empty({std::ssize(wanted), model_.config.hidden_size});
        auto best = ops_.indices(wanted);
        ops_.gather(hidden, best, last);
        auto const logits = model::logits(model_, ops_, last);
        if (greedy()) ops_.argmax(logits, best);
        choose(logits, best, choosing);
    }

    /// Goes through rows of logits: of each choosing slot one, and one for each token of its draft.
    /// @param largest  where each row has its largest logit; only for greedy decoding
    void choose(at::Tensor const& logits, at::Tensor const& largest, std::vector<Slot*> const& choosing) {
        auto const best = greedy() ? ops_.found(largest, logits.size(1)) : Ids{};
        at::Tensor host;
        if (!greedy() || observer_.logits) host = logits.to(at::kCPU, at::kFloat);
        auto const vocabulary = static_cast<std::size_t>(logits.size(1));
        std::vector<float> scratch;
        std::size_t row = 0;
        for (auto* const slot : choosing) {
            auto const request = *slot->request;
            auto& completion = completions_[request];
            auto const draft = std::exchange(slot->draft, {});
            for (std::size_t i = 0; i <= draft.size(); ++i) {
                auto const index = completion.tokens.size();
                std::span<float const> values;
                if (host.defined()) values = {host.const_data_ptr<float>() + (row + i) * vocabulary, vocabulary};
                if (observer_.logits) observer_.logits(request, index, values);
                if (greedy()) {
                    completion.tokens.push_back(best[row + i]);
                } else {
                    scratch.assign(values.begin(), values.end());
                    completion.tokens.push_back(sample(scratch, options_.sampling, stream(request).uniform(index)));
                }
                if (is_finished(request)) {
                    release(*slot);
                    break;
                }
                if (i == draft.size() || completion.tokens.back() != draft[i]) break;
                ++slot->done;  // the guess was right, so its key and value are
            }
            row += draft.size() + 1;
        }
    }

    bool greedy() const { return options_.sampling.temperature == 0; }

    /// The random numbers of a request.
    RandomStream const& stream(std::size_t request) {
        auto const found = streams_.find(request);
        if (found != streams_.end()) return found->second;
        auto const& [prompt, adapter, number, name] = requests_[request];
        auto const purpose = fmt::format("sample {} of {}", number, sha256(fmt::format("{}", fmt::join(prompt, " "))));
        return streams_.emplace(request, RandomStream{options_.sampling.seed, purpose}).first->second;
    }

    bool is_finished(std::size_t request) {
        auto& completion = completions_[request];
        completion.stopped =
            std::ranges::find(options_.end_tokens, completion.tokens.back()) != options_.end_tokens.end();
        return completion.stopped || std::ssize(completion.tokens) >= limit(requests_[request]);
    }

    void release(Slot& slot) {
        if (auto* const common = shared_of(*slot.request); common && --common->users == 0)
            free_->give_back(common->blocks);
        free_->give_back(slot.own_blocks);
        streams_.erase(*slot.request);
        if (observer_.completed) observer_.completed(*slot.request, completions_[*slot.request]);
        slot.request.reset();
        ++finished_;
        if (observer_.progress) observer_.progress(finished_);
    }

    static constexpr std::size_t no_shared_prefix = static_cast<std::size_t>(-1);

    model::LanguageModel const& model_;
    model::Ops const& ops_;
    std::span<Request const> requests_;
    Options const& options_;
    Observer const& observer_;
    PrefixCache* kept_;
    std::vector<Completion> completions_;
    std::map<PreparedAdapter const*, Prefix> prefixes_;
    std::vector<SharedPrefix> shared_prefixes_;
    std::vector<std::size_t> shared_of_;  ///< by request
    std::map<std::size_t, RandomStream> streams_;
    std::vector<Slot> slots_;
    std::vector<std::size_t> waiting_;
    std::unique_ptr<model::KvCache> cache_;
    std::optional<model::RecordedSteps> recorded_;
    std::optional<FreeBlocks> free_;
    std::int32_t prefix_blocks_ = 0;
    std::size_t finished_ = 0;
};

}  // namespace

std::vector<Completion> generate(model::LanguageModel const& model, model::Ops const& ops,
                                 std::span<Request const> requests, Options const& options, Observer const& observer,
                                 PrefixCache* kept) {
    return Generator{model, ops, requests, options, observer, kept}.run();
}

}  // namespace samner::infer
