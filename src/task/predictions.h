#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "prompt/prompt.h"
#include "work/predictions.h"
#include "work/texts.h"

namespace samner::infer {
struct Options;
}

namespace samner::task {

class Engine;
struct AdapterSource;

struct Predicted {
    std::vector<work::Prediction> predictions;  ///< in the order of the texts
    std::int64_t tokens_in = 0;                 ///< of all prompts
    std::int64_t tokens_out = 0;
};

/// Renders prompts, decodes and reads the answers, of several adapters in one batch. Each text's types and prompt are
/// those of its own data set; its entities are not looked at.
/// @param sample  which of several answers to each prompt, where the options draw
/// @param predicted  called with the number of a text (of all adapters' texts, one after the other) and its prediction
///     as soon as that is there; may be empty
/// @return in the order of the adapters
std::vector<Predicted> predict(Engine& engine, std::vector<work::Text> const& texts, prompt::Options const& prompt,
                               std::vector<AdapterSource> const& adapters, infer::Options const& options,
                               std::function<void(std::size_t)> const& progress = {}, std::uint64_t sample = 0,
                               std::function<void(std::size_t, work::Prediction const&)> const& predicted = {});

}  // namespace samner::task
