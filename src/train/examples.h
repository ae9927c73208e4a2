#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/options.h"

namespace samner::train {

constexpr std::int32_t not_trained_on = -100;

/// What a limit of tokens leaves of a training example's answer.
enum class Rest { whole, part, nothing };

/// @param labels  as an Example has them; one without anything to learn has nothing left
Rest rest_of_answer(std::int64_t max_length, std::span<std::int32_t const> labels);

/// What max_length does to training examples.
struct Cuts {
    std::int64_t examples = 0;  ///< that were given
    std::int64_t nothing = 0;   ///< of which nothing can be learnt within it
    std::int64_t part = 0;      ///< whose answer it cuts, so that they teach no end
    bool keeps_part = false;    ///< whether these are trained on

    std::int64_t left_out() const { return nothing + (keeps_part ? 0 : part); }
    /// What a user is told, with what to do; empty where nothing is cut.
    std::string warning(Options const& options) const;
    /// @throws InputError when no example is left
    void check(Options const& options) const;
};

/// Takes out the examples of which nothing can be learnt, and unless keep_cut_answers those whose answer is cut.
/// @param examples  each with `ids` and `labels`; those whose numbers differ stay, for who refuses them
/// @throws InputError when none is left
template <class Example>
Cuts leave_out_cut(Options const& options, std::vector<Example>& examples) {
    Cuts cuts{.examples = static_cast<std::int64_t>(examples.size()), .keeps_part = options.keep_cut_answers};
    std::erase_if(examples, [&](Example const& example) {
        if (example.ids.size() != example.labels.size()) return false;
        auto const rest = rest_of_answer(options.max_length, example.labels);
        cuts.nothing += rest == Rest::nothing;
        cuts.part += rest == Rest::part;
        return rest == Rest::nothing || (rest == Rest::part && !cuts.keeps_part);
    });
    cuts.check(options);
    return cuts;
}

}  // namespace samner::train
