#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/fold.h"
#include "infer/prefix_cache.h"
#include "infer/sample.h"
#include "model/language_model.h"

namespace samner::infer {

struct Options {
    std::int64_t max_new_tokens = 256;  ///< hard stop when no end token appears
    std::int64_t num_slots = 32;        ///< sequences decoded together
    std::int64_t max_rows = 512;        ///< tokens in one forward pass (long prompts are read in pieces)
    /// Positions whose keys and values are kept, beside the shared prefixes: sequences wait until there is room. 0: as
    /// many as num_slots of the longest sequence take. The longest sequence is given room in any case.
    std::int64_t max_cached_tokens = 0;
    /// Positions of shared prefixes that a PrefixCache keeps for later calls, in all; changes no result. 0: none.
    std::int64_t max_kept_tokens = 2048;
    /// Prompt lookup: a sequence's last tokens are looked for in what came before, and what followed there is tried, at
    /// most `draft_tokens` at a time, while a pass has at most `draft_rows` tokens. 0 switches it off. Four trained
    /// answers of SmolLM2-135M at a time: 3.9 s of processor time without, 3.3 s with 2 tokens, 3.1 s with 4, 3.3 s
    /// with 7; eight: 4.7 s without, 3.6 s with 4. Other values of draft_rows were not measured.
    std::int64_t draft_tokens = 4;
    std::int64_t draft_rows = 16;
    /// Requests are begun longest first among so many neighbours, so that answers come about in the order of the
    /// requests; 0: among all, which is fastest. Changes no result.
    std::int64_t window = 0;
    /// Repeat recorded steps (model::RecordedSteps) where all rows of a pass choose a token. Done in any case where the
    /// operators gain by it.
    bool record_steps = false;
    Fold fold = Fold::never;  ///< looked at by who prepares the adapter
    Sampling sampling;
    std::vector<std::int32_t> end_tokens;
};

struct Request {
    std::vector<std::int32_t> prompt;                 ///< not empty
    model::PreparedAdapter const* adapter = nullptr;  ///< null: the base model
    std::uint64_t sample = 0;                         ///< which of several answers to one prompt, when sampling
    std::string name = {};                            ///< in messages; empty: its number
};

struct Completion {
    std::vector<std::int32_t> tokens;  ///< new tokens, with the end token where one was produced
    bool stopped = false;              ///< at an end token; otherwise the length ran out
};

/// What is told while generating; any may be empty.
struct Observer {
    std::function<void(std::size_t)> progress;  ///< the number of finished requests, now and then
    std::function<void(std::size_t)> pass;      ///< the number of tokens of each forward pass
    /// The logits [vocabulary] that chose token `index` of the completion of `request`.
    std::function<void(std::size_t request, std::size_t index, std::span<float const> logits)> logits;
    /// Each completion as soon as it is whole.
    std::function<void(std::size_t request, Completion const& completion)> completed = {};
};

/// Completions of all requests, in their order: greedy (ties between logits: the lowest token) or sampled. A sampled
/// token depends on its logits and on (seed, prompt, sample, place in the completion) alone.
///
/// Continuous batching: a slot takes the next request, longest first, as soon as its sequence ends. The longest common
/// prefix of the requests of one adapter is computed once, and so are prompts that several requests share. Tokens that
/// prompt lookup guesses are verified. None of this changes a result: logits and tokens are the same bits alone, beside
/// any others and with any of these options (the rows of a pass do not depend on each other, see model::Ops).
/// @param kept  where shared prefixes come from and are kept; null: they are computed in every call
/// @throws InputError for an empty prompt, an unknown token, a prompt that leaves no room in the model's context, or
///         settings out of range; Stopped when a stop was asked for
std::vector<Completion> generate(model::LanguageModel const& model, model::Ops const& ops,
                                 std::span<Request const> requests, Options const& options,
                                 Observer const& observer = {}, PrefixCache* kept = nullptr);

}  // namespace samner::infer
