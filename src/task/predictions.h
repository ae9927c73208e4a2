#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "corpus/dataset.h"
#include "prompt/prompt.h"
#include "score/score.h"

namespace samner::infer {
struct Options;
}

namespace samner::task {

/// One line of a predictions file: {"id", "text", "entities": [{"text", "type"}…], "completion", "finish",
/// "unparsable"}.
struct Prediction {
    std::string id;
    std::string text;
    score::Mentions mentions;  ///< normalised, and found in the text
    std::string completion;
    bool truncated = false;
    bool unparsable = false;
};

class Engine;

struct AdapterSource;

struct Predicted {
    std::vector<Prediction> predictions;  ///< in the order of the sentences
    std::int64_t tokens_in = 0;           ///< of all prompts
    std::int64_t tokens_out = 0;
};

/// Renders prompts, decodes and reads the answers. Only texts of the sentences are used, not their entities.
Predicted predict(Engine& engine, std::vector<corpus::Sentence> const& sentences, corpus::Dataset const& dataset,
                  prompt::Options const& prompt, AdapterSource const& adapter, infer::Options const& options,
                  std::function<void(std::size_t)> const& progress = {});
/// The same for each of several adapters, decoded in one batch. @return in the order of the adapters
std::vector<Predicted> predict(Engine& engine, std::vector<corpus::Sentence> const& sentences,
                               corpus::Dataset const& dataset, prompt::Options const& prompt,
                               std::vector<AdapterSource> const& adapters, infer::Options const& options,
                               std::function<void(std::size_t)> const& progress = {});

std::string to_jsonl(std::vector<Prediction> const& predictions);

/// @throws InputError with the line of what is not such a file
std::vector<Prediction> read_predictions(std::filesystem::path const& path);

/// Just the mentions.
std::vector<score::Mentions> read_mentions(std::filesystem::path const& path);

}  // namespace samner::task
