#pragma once

#include <compare>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/precision.h"
#include "task/planned_files.h"
#include "work/arithmetic.h"

namespace samner::train {
struct Options;
struct Step;
struct Team;
}  // namespace samner::train
namespace samner::comm {
class Comm;
}
namespace samner::infer {
struct Options;
}
namespace samner::model {
class Encoder;
}
namespace samner::token {
class Tokenizer;
}
namespace samner::weights {
struct Adapter;
class Checkpoint;
}  // namespace samner::weights

namespace samner::task {

struct AdapterMerge;

/// Where the adapter of a prompt is: in memory, in a PEFT folder, or nowhere, which is the base model; or what is added
/// to the base's weights in its place.
struct AdapterSource {
    std::filesystem::path folder = {};
    std::shared_ptr<weights::Adapter const> values = {};  ///< where not null, taken instead of a folder's
    std::shared_ptr<AdapterMerge const> delta = {};       ///< likewise: merged in delta space when it is prepared

    friend auto operator<=>(AdapterSource const&, AdapterSource const&) = default;
};

/// A base model with its tokeniser on one device, loaded when first needed, for training and inference on texts.
class Engine {
public:
    /// Opens the model's files (cheap) and checks them.
    /// @param base    a Hugging Face folder or a .gguf file
    /// @param device  "cpu", "cuda" or "cuda:INDEX"
    /// @param files   that the model and its tokeniser have to consist of; none: any will do
    /// @throws InputError, also later, when the model turns out to have been read from other files
    Engine(std::filesystem::path const& base, std::string const& device, Precision precision = Precision::fp32,
           PlannedFiles files = PlannedFiles{});
    ~Engine();
    Engine(Engine const&) = delete;
    Engine& operator=(Engine const&) = delete;

    weights::Checkpoint const& checkpoint() const;
    token::Tokenizer const& tokenizer() const;
    work::Arithmetic arithmetic() const;  ///< that its results depend on

    struct Answered {
        std::string prompt;
        std::string answer;
    };
    /// Token ids given directly, labels as in train::Example.
    struct Tokens {
        std::vector<std::int32_t> ids;
        std::vector<std::int32_t> labels;
    };
    /// Loads the model on all ranks at once, which then share it node by node (task/load_together.h): what comes after
    /// finds it there. Without this each rank loads its own when it first needs it. Ranks that have a GPU each get the
    /// weights from rank 0's, and trainings of all these ranks add up their gradients there. Collective; the ranks must
    /// outlive the engine.
    /// @param for_training  also prepare what `train` needs, and hash the model on rank 0 for all
    /// @throws InputError, Error
    void load_together(comm::Comm const& ranks, bool for_training);

    /// Whether the model is in memory, so that the next call need not wait for it.
    bool is_loaded(bool for_training) const;

    /// Prompt and answer as training tokens: the answer and the end token after it are learnt.
    Tokens tokenize(Answered const& example) const;

    struct Training {
        std::string base_name = {};        ///< of the base model in the adapter; empty: the last part of its path
        std::filesystem::path init;        ///< an adapter to start from; empty: a fresh one
        std::filesystem::path checkpoint;  ///< where the state is kept (train::Context); empty: nowhere
        std::string writer = {};           ///< as train::Context has it, likewise the next
        std::function<void()> guard = {};
        train::Team const* team = nullptr;                ///< ranks that train together; null: this process alone
        std::function<void(train::Step const&)> on_step;  ///< on the team's rank 0
    };
    /// Trains an adapter, whose bits depend on options, examples and `training.init` alone. Collective over the team.
    /// @throws InputError when options.dtype is not the engine's precision, or the examples are wrong
    weights::Adapter train(train::Options const& options, std::vector<Tokens> const& examples,
                           Training const& training);

    struct Completion {
        std::string text;  ///< without the end token
        std::vector<std::int32_t> tokens;
        bool stopped;
        std::int64_t prompt_tokens;
    };
    struct Prompt {
        std::string text;
        AdapterSource adapter = {};
        std::uint64_t sample = 0;  ///< which of several answers, when sampling
        std::string name = {};     ///< in messages; empty: its number
    };
    /// Completions in the order of the prompts; those of several adapters are decoded in one batch. Beginnings that
    /// prompts share are kept for later calls, as long as the model stays loaded.
    /// @throws InputError for an adapter that does not fit, and as infer::generate
    /// @param completed  called with the number of a prompt and its completion as soon as that is whole; may be empty
    std::vector<Completion> generate(std::vector<Prompt> const& prompts, infer::Options options,
                                     std::function<void(std::size_t)> const& progress = {},
                                     std::function<void(std::size_t, Completion const&)> const& completed = {});

    /// Logits [ids, vocabulary] of every position.
    std::vector<float> logits(std::vector<std::int32_t> const& ids, std::filesystem::path const& adapter);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The ranks of a communicator, which must outlive the result, as a team for training.
train::Team team_of(comm::Comm const& ranks);

/// A sentence encoder with its tokeniser.
class TextEncoder {
public:
    /// @param files  that encoder and tokeniser have to consist of; none: any will do
    /// @throws InputError
    TextEncoder(std::filesystem::path const& folder, std::string const& device, PlannedFiles files = PlannedFiles{});
    ~TextEncoder();
    TextEncoder(TextEncoder const&) = delete;
    TextEncoder& operator=(TextEncoder const&) = delete;

    std::int64_t dimension() const;
    work::Arithmetic arithmetic() const;  ///< that its embeddings depend on
    /// Embeddings of length 1, [texts, dimension]; texts are cut at the encoder's limit.
    std::vector<float> encode(std::vector<std::string> const& texts) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// SHA-256 over all files that an encoder's embeddings depend on. @throws InputError for what is no encoder
std::string encoder_hash(std::filesystem::path const& folder, FileHash const& hash = sha256_file);

/// Writes `embeddings` [texts, dimension] and `mean` [dimension] as safetensors.
void write_embeddings(std::filesystem::path const& path, std::vector<float> const& embeddings, std::int64_t dimension);

}  // namespace samner::task
