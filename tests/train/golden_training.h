#pragma once

#include <vector>

#include "golden.h"
#include "train/trainer.h"

// A small real training: llama-tiny with the sequences of tests/data/golden/training.
namespace samner::train {

inline Example example(Json const& json) {
    return {json["ids"].get<std::vector<std::int32_t>>(), json["labels"].get<std::vector<std::int32_t>>()};
}

inline std::vector<Example> golden_examples() {
    auto const data = read_json(golden("training/llama-tiny/data.json"));
    std::vector<Example> examples;
    for (auto const& step : data["steps"]) {
        for (auto const& micro_batch : step) {
            for (auto const& sequence : micro_batch) examples.push_back(example(sequence));
        }
    }
    return examples;
}

inline model::LanguageModel golden_model(model::Ops const& ops) {
    return model::load_language_model(weights::Checkpoint::open(golden("models/llama-tiny")), ops, true);
}

inline weights::Adapter nonzero_adapter() {
    return weights::read_adapter(golden("training/llama-tiny/nonzero"));
}

}  // namespace samner::train
