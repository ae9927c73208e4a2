#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/experiment.h"
#include "plan/graph.h"
#include "work/answer.h"

namespace samner::plan {

/// One value of a grid: a row of an experiment on a target in a repeat.
struct Cell {
    enum class Status {
        pending,
        done,
        failed,
        excluded,   ///< the experiment leaves it out
        empty_set,  ///< the row merges a set that turned out to be empty
    };
    std::string experiment;
    std::string system;
    std::string target;
    Repeat repeat;
    Status status = Status::pending;
    work::Answer answer;                    ///< open while a selection that it needs is
    std::set<std::string> selections = {};  ///< keys of the select tasks that it depends on, as far as they are known
    std::int64_t trial = 0;                 ///< of one-sentence targets, from 1; 0: the target has no trials
    work::Texts texts = {};                 ///< what the answer is of
    std::int64_t sentences = 0;             ///< of them, expected
    /// Where what is scored is one source of pooled texts, that source's number; nothing: all of them.
    std::optional<std::size_t> source = {};
};

/// What users should know before they run this, each in the form WHAT (place) - REMEDY: targets that have fewer
/// sentences than are asked for or sampled, and merges that are bound to overshoot (merge::excessive_weight).
std::vector<std::string> warnings(std::vector<Experiment> const& experiments, RunFile const& run, Inputs const& inputs);

/// The task graph of all rows on all targets, and the cells that its tasks fill. What several rows or experiments need
/// is done once; rows that merge a selection become tasks when the selection is known, and are shared once more by what
/// was selected. Nothing here touches files.
class Plan {
public:
    /// @throws InputError for a row that asks for what is not there yet, or for unknown experts and targets
    Plan(std::vector<Experiment> experiments, RunFile run, Inputs inputs);

    /// Keys of the tasks that became known since the last call.
    std::vector<std::string> take_new() { return graph_.take_new(); }
    void finished(std::string const& key, work::Result const& result);
    void failed(std::string const& key);

    std::vector<Cell> const& cells() const { return cells_; }
    std::map<std::string, PlannedTask> const& tasks() const { return graph_.tasks(); }
    PlannedTask const& task(std::string const& key) const { return graph_.tasks().at(key); }
    std::vector<Experiment> const& experiments() const { return experiments_; }
    RunFile const& run() const { return graph_.run(); }
    Inputs const& inputs() const { return graph_.inputs(); }
    bool is_done(std::string const& key) const { return graph_.is_done(key); }
    bool has_failed(std::string const& key) const { return graph_.has_failed(key); }
    bool is_lost(std::string const& key) const { return graph_.is_lost(key); }

    /// The data that experiments show: what each expert of their pools is trained on, in the first repeat.
    std::vector<std::pair<std::string, work::Recipe>> const& shown_data() const { return data_; }

    struct Totals {
        std::int64_t passes_asked = 0;  ///< decoding passes over a target if every row did its own
        std::int64_t passes_run = 0;    ///< that are made, as far as selections are known: at least so many
        std::int64_t passes_most = 0;   ///< at most so many: no two open selections choose alike
        std::int64_t sentences_asked = 0;
        std::int64_t sentences_run = 0;
        std::int64_t sentences_most = 0;
        std::int64_t open = 0;  ///< cells that wait for a selection
    };
    Totals totals() const;

private:
    void expand(std::size_t cell);
    void settle(std::size_t cell);
    void add_cells(Experiment const& experiment, Row const& row);
    void add_data(Experiment const& experiment);

    std::vector<Experiment> experiments_;
    Graph graph_;
    std::vector<Cell> cells_;
    std::vector<std::pair<std::string, work::Recipe>> data_;
    std::vector<Term::Ptr> terms_;                          ///< of the cells
    std::vector<bool> pooled_;                              ///< likewise: whether their targets are pooled
    std::map<std::string, std::set<std::size_t>> waiting_;  ///< cells by the select task that they wait for
    std::map<std::string, std::set<std::size_t>> users_;    ///< cells by the tasks that they read
};

}  // namespace samner::plan
