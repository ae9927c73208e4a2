#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/language_model.h"

namespace samner::infer {

struct Options {
    std::int64_t max_new_tokens = 256;  ///< hard stop when no end token appears
    std::int64_t num_slots = 32;        ///< sequences decoded together; memory for keys and values grows with it
    std::int64_t max_rows = 512;        ///< tokens in one forward pass (long prompts are read in pieces)
    std::vector<std::int32_t> end_tokens;
};

struct Request {
    std::vector<std::int32_t> prompt;                 ///< not empty
    model::PreparedAdapter const* adapter = nullptr;  ///< null: the base model
};

struct Completion {
    std::vector<std::int32_t> tokens;  ///< new tokens, with the end token where one was produced
    bool stopped = false;              ///< at an end token; otherwise the length ran out
};

/// Greedy completions of all requests, in their order (ties between logits: the lowest token).
///
/// Continuous batching: a slot takes the next request, longest first, as soon as its sequence ends. The longest common
/// prefix of the requests of one adapter is computed once. None of this changes a result: a completion is the same
/// alone or in any company (the rows of a pass do not depend on each other, see model::Ops).
/// @param progress  called with the number of finished requests, now and then
/// @throws InputError for an empty prompt, an unknown token, or a prompt that leaves no room in the model's context;
///         Stopped when a stop was asked for
std::vector<Completion> generate(model::LanguageModel const& model, model::Ops const& ops,
                                 std::span<Request const> requests, Options const& options,
                                 std::function<void(std::size_t)> const& progress = {});

}  // namespace samner::infer
