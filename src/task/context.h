#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/precision.h"
#include "plan/graph.h"
#include "store/artifacts.h"
#include "task/engine.h"
#include "task/merge_adapters.h"
#include "task/predictions.h"
#include "work/infer.h"
#include "work/merge.h"
#include "work/texts.h"

namespace samner::task {

/// Where a rank finds what tasks need, and on what it computes. No result depends on it.
struct Workplace {
    std::filesystem::path base;                       ///< the base model
    std::filesystem::path encoder;                    ///< the sentence encoder
    std::filesystem::path data;                       ///< data root; empty: the environment variable SAMNER_DATA
    std::vector<std::filesystem::path> descriptions;  ///< folders of data set descriptions
    std::string device = "cpu";
    Precision precision = Precision::fp32;
    std::int64_t max_kept_tokens = 2048;  ///< of instructions, from one task to the next
    std::filesystem::path checkpoints;    ///< folder in which trainings keep their state, by key
    plan::ModelFiles files = {};          ///< with which the run was planned; none: whatever is there will do
};

/// How far a task is that runs, for people.
struct Progress {
    std::int64_t done = 0;
    std::int64_t total = 0;  ///< 0: not known
    std::string note = {};
};
using OnProgress = std::function<void(std::string const& key, Progress const& progress)>;

/// What the tasks of one rank share: models, which are loaded when first needed, texts, artifacts, and what one task
/// has at hand for the next.
class Context {
public:
    /// @param artifacts  where results go, and where those of earlier tasks are found
    Context(Workplace workplace, store::Artifacts const& artifacts);

    Workplace const& workplace() const { return workplace_; }
    store::Artifacts const& artifacts() const { return artifacts_; }
    Engine& engine();
    TextEncoder& encoder();
    work::TextReader& texts() { return texts_; }

    /// Reads the labels of a cluster task.
    work::Labels labels() const;
    /// Reads the mean of an encode task.
    std::vector<float> centroid(work::Input const& input) const;

    /// Keeps a merged adapter for the evaluations that follow; the last four stay.
    void keep_merged(std::string const& key, std::shared_ptr<weights::Adapter const> adapter);
    /// Of an infer task: in memory where it was merged here, else its folder; or what it merges in delta space.
    AdapterSource adapter(work::Infer const& task) const;
    /// Of adapters that tasks have left.
    AdapterMerge merge_of(work::MergeRecipe const& recipe) const;

    void on_progress(OnProgress on_progress) { on_progress_ = std::move(on_progress); }
    /// Says how far a task is, as often as it likes.
    void tell(std::string const& key, Progress const& progress) const {
        if (on_progress_) on_progress_(key, progress);
    }

    /// Predictions that were decoded ahead of their tasks, by key.
    std::map<std::string, Predicted>& decoded() { return decoded_; }

private:
    Workplace workplace_;
    store::Artifacts const& artifacts_;
    work::TextReader texts_;
    std::optional<Engine> engine_;
    std::optional<TextEncoder> encoder_;
    std::deque<std::pair<std::string, std::shared_ptr<weights::Adapter const>>> merged_;  ///< the latest last
    std::map<std::string, Predicted> decoded_;
    OnProgress on_progress_;
};

}  // namespace samner::task
