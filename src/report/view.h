#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/planner.h"
#include "score/bootstrap.h"
#include "score/score.h"
#include "store/artifacts.h"
#include "store/results.h"
#include "work/merge.h"
#include "work/result.h"
#include "work/select.h"
#include "work/train.h"

namespace samner::report {

/// What a run keeps of the tasks that ended, by key.
using Records = std::map<std::string, work::TaskRecord>;

/// An answer as the model gave it.
struct Completion {
    std::string text;
    bool truncated = false;
    bool unparsable = false;
    friend bool operator==(Completion const&, Completion const&) = default;
};

/// A sentence of a target and all that was answered to it. Equal answers stand there once.
struct SentenceView {
    std::string text;
    score::Mentions gold;
    std::vector<score::Mentions> answers = {};
    std::vector<Completion> completions = {};
};

/// A decoding pass over a target, or over a part of it.
struct PassView {
    std::string key;
    std::string model;                      ///< that answered, for people
    std::vector<std::int32_t> completions;  ///< by sentence, places in SentenceView::completions; -1: not asked
};

/// Texts that cells ask for: a target, several as one, one sentence of a trial.
struct TargetView {
    std::string name;                                 ///< for people
    std::map<std::string, std::string> columns = {};  ///< by experiment, the column that shows it
    std::vector<SentenceView> sentences;
    std::vector<PassView> passes;  ///< those that could be read and that cells need
};

/// A cell with its numbers. Its scores are zero while it is not done.
struct ScoredCell {
    plan::Cell cell;                         ///< failed also where its stored predictions could not be read
    std::optional<std::size_t> target = {};  ///< place in View::targets; nothing while the cell is not done
    score::Counts counts = {};
    std::size_t first = 0;                        ///< of its sentences, the place in the target
    std::vector<score::Counts> by_sentence = {};  ///< from there on, in the order of the target
    std::vector<std::int32_t> answers = {};       ///< likewise, places in SentenceView::answers
    std::int64_t sentences = 0;
    std::optional<score::Interval> interval = {};  ///< of f1, as Value::interval; nothing unless the cell is done
    // Sums over the decoding passes that it reads.
    std::int64_t completions = 0;
    std::int64_t unparsable = 0;
    std::int64_t truncated = 0;
    std::int64_t tokens_in = 0;
    std::int64_t tokens_out = 0;
    double seconds = 0;

    std::optional<double> f1() const;  ///< in [0, 1]; nothing unless the cell is done
    store::CellStatus status() const;
};

/// What a grid shows in one place: a row on one target, or its average over those that are not left out.
struct Value {
    /// Micro-F1 in [0, 1], the mean over trials, then over repeats, then over targets; NaN where one is missing.
    double mean = 0;
    store::CellStatus status = store::CellStatus::done;  ///< of its cells the first that is not done
    double deviation = 0;                                ///< between repeats, of a sample (n - 1); 0 for one repeat
    score::Counts counts = {};                           ///< summed over trials, repeats and targets
    /// Of the mean, 95 %, by drawing sentences (score::f1_interval); nothing where a cell is missing. A sentence's
    /// counts are summed over the repeats before it is drawn: the repeats answer the same sentences, and drawing for
    /// each on its own would give too narrow an interval. Its centre is thus the micro-F1 of summed counts, which is
    /// that of the mean for one repeat and next to it for several. Trials on one sentence each have none.
    std::optional<score::Interval> interval = {};
    std::vector<std::size_t> cells = {};  ///< places in View::cells, by target, repeat and trial; none: printed
};

/// An experiment's table.
struct Grid {
    std::string experiment;
    std::string title;
    std::vector<std::string> targets;
    std::vector<std::string> systems;               ///< first those that are published, then the rows
    std::vector<std::string> expressions;           ///< what the systems are, shape [systems]; empty: published
    std::vector<std::vector<Value>> values;         ///< shape [systems][targets]
    std::vector<Value> averages;                    ///< shape [systems], unweighted; empty when none are asked for
    std::optional<plan::PaperValues> printed = {};  ///< to compare with
    std::int64_t trials = 1;                        ///< cells of a value for each repeat
};

/// A selection of experts that is done.
struct SelectionView {
    std::string key;
    work::Select task;
    work::Selection result;
    std::set<std::string> targets = {};                ///< names of those that it was made for
    std::set<std::int64_t> repeats = {};               ///< labels of those that use it
    std::optional<std::int64_t> sampled = {};          ///< sentences of the sampling evaluation; nothing without one
    std::map<std::string, std::string> adapters = {};  ///< keys by candidate, where a sampling evaluation names them
    /// Its pseudo-labels against the gold of the same sentences, which no selection sees. Nothing without a sampling
    /// evaluation, and where its predictions cannot be read.
    std::optional<score::Counts> labels = {};
};

/// Where a domain lies: the mean embedding of an expert's training texts or of a target's, as selections read them.
struct EmbeddingView {
    std::string name;
    bool is_target = false;
    std::string key;
    std::set<std::int64_t> repeats = {};  ///< labels of those whose selections read it
    std::vector<float> vector = {};       ///< shape [dimension of the encoder]
};

/// An expert by itself on a target.
struct ExpertView {
    std::string expert;
    std::size_t cell = 0;  ///< place in View::cells
};

/// A merge that is done.
struct MergeView {
    work::Merge task;
    work::Merged result;
    std::set<std::size_t> cells = {};  ///< that use it, places in View::cells
};

/// A training that is done.
struct TrainingView {
    std::string key;
    std::int64_t repeat = 0;  ///< label of the first repeat whose seeds it has
    work::Train task;
    work::Trained result;
    double seconds = 0;
};

/// A data set of an expert, as an experiment shows it (Table 11).
struct DataView {
    std::string expert;
    std::string dataset;  ///< with the splits that it is trained on, where that is not train
    std::int64_t types = 0;
    double train = 0;          ///< sentences of these splits
    double dev = 0;            ///< of the split dev; NaN where there is none
    double test = 0;           ///< likewise
    std::int64_t sampled = 0;  ///< that the expert is trained on
};

/// What a task took that ended, well or not.
struct TaskCost {
    std::string key;
    std::string kind;
    double seconds = 0;
    std::int64_t rank = 0;
    std::string label = {};            ///< for people
    std::vector<int> team = {};        ///< as TaskRecord::team
    std::optional<double> ended = {};  ///< likewise
    bool ok = true;
    bool reused = false;         ///< another run did it, on its own ranks
    std::int64_t bytes = 0;      ///< of its artifact on the disk
    std::int64_t tokens_in = 0;  ///< of a decoding pass; 0: none
    std::int64_t tokens_out = 0;
};

/// What all tasks of a kind took together.
struct KindCost {
    std::int64_t tasks = 0;
    double seconds = 0;
    double rank_seconds = 0;  ///< a team's seconds count for each of its ranks
};

/// All that is told of a run. Tables, text and page only write it out.
struct View {
    std::string base;     ///< the base model, as the run file names it
    std::string encoder;  ///< likewise
    plan::BaseSize base_size = {};
    std::int64_t rank = 0;  ///< of the factors that are trained
    std::string config;     ///< what runs, as plan::frozen writes it
    std::vector<std::pair<std::string, std::string>> provenance;
    std::vector<plan::Repeat> repeats;
    std::vector<ScoredCell> cells;  ///< in the order of the plan
    std::vector<Grid> grids;
    std::vector<SelectionView> selections;  ///< this, trainings, merges and costs in the order of their tasks' keys
    std::vector<TrainingView> trainings;
    std::vector<EmbeddingView> embeddings;  ///< experts, then targets, by name; all of one dimension
    std::vector<DataView> data;
    std::vector<MergeView> merges;
    std::vector<ExpertView> experts;  ///< in the order of their cells
    std::vector<TargetView> targets;  ///< of the cells that are done
    std::vector<TaskCost> costs;
    std::map<std::string, KindCost> costs_by_kind;
};

/// Scores every cell whose predictions are there: union, vote and the like are arithmetic on stored predictions. A cell
/// whose predictions cannot be read is failed, with a warning, and the others are as they would be.
/// @param descriptions  folders of data set descriptions
/// @param data_root     root of the corpora, as work::TextReader takes it
/// @param frozen        what runs, as plan::frozen writes it
/// @param provenance    names and texts to keep with the results
/// @throws InputError when a target's gold cannot be read
View view_of(plan::Plan const& plan, Records const& records, store::Artifacts const& artifacts,
             std::vector<std::filesystem::path> const& descriptions, std::filesystem::path const& data_root,
             std::string const& frozen, std::vector<std::pair<std::string, std::string>> provenance);

}  // namespace samner::report
