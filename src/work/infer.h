#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/fields.h"
#include "infer/fold.h"
#include "prompt/prompt.h"
#include "work/arithmetic.h"
#include "work/merge.h"
#include "work/texts.h"

namespace samner::work {

/// A decoding pass over texts.
struct Pass {
    static constexpr std::string_view kind = "infer";
    std::int64_t sentences = 0;
    std::int64_t unparsable = 0;  ///< answers that could not be read
    std::int64_t truncated = 0;   ///< answers that ran into the token limit
    std::int64_t tokens_in = 0;   ///< of all prompts
    std::int64_t tokens_out = 0;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("sentences", self.sentences);
        visit("unparsable", self.unparsable);
        visit("truncated", self.truncated);
        visit("tokens_in", self.tokens_in);
        visit("tokens_out", self.tokens_out);
    }
};

/// At which several answers to a prompt are drawn, where nothing else is said.
constexpr double usual_temperature = 0.7;

/// Draws answers instead of taking the most likely ones.
struct Sampling {
    static constexpr std::string_view kind = "sampling";
    double temperature = 1;
    std::uint64_t seed = 0;
    std::uint64_t number = 0;  ///< which of several answers to the same prompt

    friend bool operator==(Sampling const&, Sampling const&) = default;
    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("temperature", self.temperature);
        visit("seed", self.seed);
        visit("number", self.number);
    }
};

/// Decodes answers to prompts of texts, greedily unless `sampling` is given, and reads the mentions out of them: a
/// predictions file (task/predictions.h).
struct Infer {
    using Result = Pass;
    static constexpr std::string_view kind = "infer";

    std::string base;              ///< hash of the base model and its tokeniser
    std::optional<Input> adapter;  ///< nothing: the base model, or what `delta` makes of it
    std::string model;             ///< what it is called, for people
    Texts texts;
    prompt::Options prompt;
    std::int64_t max_new_tokens = 256;
    infer::Fold fold = infer::Fold::never;
    std::int64_t num_slots = 32;
    std::optional<Sampling> sampling = {};
    Arithmetic arithmetic;
    std::int64_t sentences = 0;  ///< that are expected
    /// Adapters that are merged in delta space, into the base's weights, before decoding. Such a model is as large as
    /// the base, and is not stored.
    std::optional<MergeRecipe> delta = {};

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("base", self.base);
        visit("adapter", self.adapter);
        visit("model", self.model, no_influence);
        visit("texts", self.texts, !self.texts.whole_split());  // a whole split: see key()
        visit("prompt", self.prompt);
        visit("max_new_tokens", self.max_new_tokens);
        visit("fold", self.fold, self.adapter && self.fold != infer::Fold::never);
        visit("num_slots", self.num_slots, !self.arithmetic.exact());
        visit("sampling", self.sampling, self.sampling.has_value());
        visit("arithmetic", self.arithmetic, no_influence);
        visit("sentences", self.sentences, no_influence);
        visit("delta", self.delta, self.delta.has_value());
    }
    /// 2: texts are named with their data set, from which samples of them are drawn. Whole splits were as before.
    /// 3: decoding ends at every token that ends a text in llama.cpp; canonically equal texts are the same mention;
    /// answers with slips are read, and empty ones for a fault counted.
    static constexpr int revision = 3;
    Json key() const;
    std::string label() const;
    int width() const { return 1; }
    std::int64_t size() const { return sentences; }
    bool sampled() const;  ///< whether it is part of a sampling evaluation, and no pass over a target
    /// Tasks with the same batch differ in their adapter only and can be decoded together; empty: alone. Where slots
    /// matter to the bits, so do the other sequences of a batch.
    std::string batch() const;
};

}  // namespace samner::work
