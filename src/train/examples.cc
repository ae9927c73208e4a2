#include "train/examples.h"

#include <fmt/format.h>

#include "core/error.h"

namespace samner::train {

Rest rest_of_answer(std::int64_t max_length, std::span<std::int32_t const> labels) {
    bool within = false;
    bool beyond = false;
    for (std::size_t i = 1; i < labels.size(); ++i) {  // the first token is predicted from nothing
        if (labels[i] == not_trained_on) continue;
        (static_cast<std::int64_t>(i) < max_length ? within : beyond) = true;
    }
    if (!within) return Rest::nothing;
    return beyond ? Rest::part : Rest::whole;
}

std::string Cuts::warning(Options const& options) const {
    if (nothing + part == 0) return {};
    auto const what = fmt::format(
        "{} of {} training examples have no answer token within max_length, {} tokens, and {} only a part of "
        "their answer",
        nothing, examples, options.max_length, part);
    if (keeps_part)
        return fmt::format(
            "{}: {} are left out, {} are learnt without an end — raise max_length, or leave out "
            "keep_cut_answers",
            what, nothing, part);
    return fmt::format("{}: {} are left out — raise max_length{}", what, left_out(),
                       part > 0 ? ", or set keep_cut_answers to learn the parts" : "");
}

void Cuts::check(Options const& options) const {
    if (examples == 0 || left_out() < examples) return;
    if (part == 0) {
        throw InputError{fmt::format("none of {} training examples has an answer token within {} tokens", examples,
                                     options.max_length),
                         "check the data, or raise max_length"};
    }
    throw InputError{fmt::format("none of {} training examples has its whole answer within {} tokens, {} have a part",
                                 examples, options.max_length, part),
                     "raise max_length, or set keep_cut_answers"};
}

}  // namespace samner::train
