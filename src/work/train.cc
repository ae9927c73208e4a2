#include "work/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace samner::work {

void for_each_prompt(Recipe const& recipe, TrainingPrompt const& how, TextReader& reader, Labels const& labels,
                     std::function<void(prompt::TrainingPrompts const& prompts, std::size_t i)> const& visit) {
    for (auto& [pools, samples] : training_sets(recipe, reader, labels)) {
        prompt::TrainingPrompts const prompts{pools, std::move(samples), how.fixed, how.parts, recipe.seed};
        for (std::size_t i = 0; i < prompts.size(); ++i) visit(prompts, i);
    }
}

std::string Train::label() const {
    return fmt::format("train {}", recipe.name());
}

int Train::width() const {
    auto const batch = std::clamp<std::int64_t>(options.batch_size, 1, std::max<std::int64_t>(samples, 1));
    return static_cast<int>((batch + options.micro_batch_size - 1) / options.micro_batch_size);
}

std::int64_t Train::size() const {
    return train::count_steps(options, static_cast<std::size_t>(samples)) * options.batch_size;
}

}  // namespace samner::work
