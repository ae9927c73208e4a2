#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "prompt/training_prompts.h"
#include "train/options.h"
#include "train/step.h"
#include "work/arithmetic.h"
#include "work/recipe.h"

namespace samner::work {

struct Trained {
    static constexpr std::string_view kind = "train";
    std::int64_t samples = 0;  ///< that were trained on
    std::vector<train::Step> steps = {};
    /// Samples whose answer max_length cuts off. Nothing in records from before they were counted, when all were
    /// trained on.
    std::optional<std::int64_t> left_out = {};
    std::optional<std::int64_t> cut = {};  ///< trained on with a part of their answer (keep_cut_answers)

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("samples", self.samples);
        visit("steps", self.steps);
        visit("left_out", self.left_out);
        visit("cut", self.cut);
    }
};

/// How training prompts read.
struct TrainingPrompt {
    prompt::Options fixed;
    std::optional<prompt::Rates> parts;  ///< random parts; nothing: every prompt is `fixed`

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        prompt::Options::fields(self.fixed, visit);
        visit("parts", self.parts, self.parts.has_value());
    }
};

/// Visits the prompts of a training in their order, as numbers of the prompts of one part of the recipe.
/// @throws InputError as training_sets
void for_each_prompt(Recipe const& recipe, TrainingPrompt const& how, TextReader& reader, Labels const& labels,
                     std::function<void(prompt::TrainingPrompts const& prompts, std::size_t i)> const& visit);

/// Trains a LoRA adapter (SaM, section 3.1): a PEFT folder.
struct Train {
    using Result = Trained;
    static constexpr std::string_view kind = "train";
    static constexpr int revision = 2;  // 2: examples whose answer max_length cuts are left out

    std::string base;  ///< hash of the base model and its tokeniser
    Recipe recipe;     ///< its seed is that of the training, too
    train::Options options;
    TrainingPrompt prompt;
    Arithmetic arithmetic;
    std::int64_t samples = 0;  ///< that are expected

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("base", self.base);
        Recipe::fields(self.recipe, visit);
        visit("options", self.options);
        visit("prompt", self.prompt);
        visit("arithmetic", self.arithmetic, no_influence);  // as `numerics` of the key
        visit("samples", self.samples, no_influence);
    }
    std::string label() const;
    int width() const;          ///< micro-batches of a step
    std::int64_t size() const;  ///< sequences that are gone through
};

}  // namespace samner::work
