#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan/experiment.h"
#include "plan/run_file.h"
#include "plan/task.h"

namespace samner::plan {

/// Content hashes and sizes of what a run reads, found out before planning.
struct Inputs {
    std::string base;                                       ///< of the base model and its tokeniser
    std::string encoder;                                    ///< of the encoder
    std::map<std::string, std::string> data;                ///< of a data set's split and description: "bc5cdr/train"
    std::map<std::string, std::int64_t> sentences;          ///< of a target, after its limit
    std::map<std::string, std::int64_t> to_draw_from = {};  ///< sentences of an expert's data sets; for costs only
    int layers = 1;  ///< of the base model, whose adapters have work for that many merging ranks
};

/// Predictions as arithmetic on stored ones.
struct Predictions {
    enum class Kind { stored, union_of, vote, best_by_gold };
    Kind kind = Kind::stored;
    std::string key;  ///< of the infer task, when stored
    std::vector<Predictions> parts;

    std::set<std::string> keys() const;  ///< of all infer tasks below
};

struct Cell {
    std::string experiment;
    std::string system;
    std::string target;
    std::int64_t seed = 0;
    enum class Status { pending, done, failed } status = Status::pending;
    std::optional<Predictions> predictions;  ///< absent while a selection that it needs is open
};

/// The task graph of all rows on all targets. Equal work has equal keys, so what several rows or experiments need is
/// done once; rows that merge a selection become tasks when the selection is known, and are shared once more by what
/// was selected. Nothing here touches files.
///
/// Payloads, by kind ("prompt" of train has "parts" where instructions have random ones):
/// - train:  {"parts": [{"expert", "datasets", "samples", "between"?, "cluster"?: {"labels": key, "index"}}…],
/// "options": train::Options, "prompt", "keep_empty", "seed"}
/// - cluster: {"parts": […], "keep_empty", "clusters", "seed"}: k-means labels of an expert's training texts
/// - encode: {"parts": […], "keep_empty", "seed"} for an expert's training texts, or {"target": {"dataset", "split",
/// "sentences"}}
/// - infer:  {"adapter": key or null, "target", "sample": null or {"k", "seed"}, "prompt", "max_new_tokens"}
/// - select: {"metric", "m", "experts": [{"name", "centroid": key, "predictions": key or null}…], "target_centroid":
/// key,
///            "target"}; its result is {"chosen": [names], "metrics": {name: number}, …}
/// - merge:  {"adapters": [keys], "weights": [numbers], "method", "density", "sign", "seed"}
class Plan {
public:
    /// @throws InputError for a row that asks for what is not there yet, or for unknown experts and targets
    Plan(std::vector<Experiment> experiments, RunFile run, Inputs inputs);

    /// Tasks that became known since the last call.
    std::vector<Task> take_new();
    /// A task is done. @param result  what a select task found; unused for other kinds
    void finished(std::string const& key, Json const& result);
    void failed(std::string const& key);

    std::vector<Cell> const& cells() const { return cells_; }
    std::map<std::string, Task> const& tasks() const { return tasks_; }
    std::vector<Experiment> const& experiments() const { return experiments_; }
    RunFile const& run() const { return run_; }
    bool is_done(std::string const& key) const { return done_.contains(key); }
    bool is_lost(std::string const& key) const;  ///< failed, or waits for what failed

    struct Totals {
        std::int64_t passes_asked = 0;  ///< decoding passes over a target if every row did its own
        std::int64_t passes_run = 0;    ///< that are made, as far as selections are known
        std::int64_t sentences_asked = 0;
        std::int64_t sentences_run = 0;
        std::int64_t open = 0;  ///< cells that wait for a selection
    };
    Totals totals() const;

    /// {"tasks": [{"key", "kind", "state", "after", "sentences", "tokens", "seconds"}…], "passes_asked", …}
    Json json() const;

private:
    struct Context {
        std::string target;
        std::int64_t seed;
    };
    struct Model {
        std::optional<std::string> adapter;  ///< key of a train or merge task; none: the base model
    };
    /// An expert of a mix: of each domain the samples of one cluster.
    struct Mixed {
        std::vector<std::string> domains;
        std::int64_t clusters;
        std::int64_t cluster;
    };
    /// What a training set takes of an expert's recipe of the run file: all samples, or those of one cluster.
    struct Part {
        std::string expert;
        std::int64_t clusters = 1;
        std::int64_t cluster = 0;
        std::string labels = {};  ///< key of the cluster task; empty: all samples
    };
    struct Chosen {
        std::string expert;
        double metric;
    };

    std::string add(std::string const& kind, Json const& identity, Json payload, std::vector<std::string> after,
                    double cost, std::int64_t sentences);
    std::vector<std::string> names_of(Term const& pool, std::string const& target);
    std::vector<Part> parts_of(std::vector<std::string> const& experts, std::int64_t seed);
    std::int64_t expected_samples(std::vector<Part> const& parts) const;
    Json payload_of(std::vector<Part> const& parts) const;
    Json identity_of(std::vector<Part> const& parts) const;
    static std::vector<std::string> labels_of(std::vector<Part> const& parts);
    std::string cluster(std::string const& expert, std::int64_t clusters, std::int64_t seed);
    Json target_json(std::string const& target) const;
    std::string train(std::vector<std::string> const& experts, std::int64_t seed);
    std::string encode_experts(std::string const& expert, std::int64_t seed);
    std::string encode_target(std::string const& target);
    std::string infer(Model const& model, Context const& context, std::int64_t k);
    std::string select(Term const& term, Context const& context);
    std::optional<std::vector<Chosen>> chosen(Term const& set, Context const& context);
    std::optional<Model> model(Term const& term, Context const& context);
    std::optional<Predictions> predictions(Term const& term, Context const& context);
    std::int64_t passes(Term const& term) const;
    void expand(std::size_t cell);
    void settle(std::size_t cell);

    std::vector<Experiment> experiments_;
    RunFile run_;
    Inputs inputs_;
    std::map<std::string, Task> tasks_;
    std::map<std::string, std::int64_t> sentences_;  ///< of infer tasks
    std::vector<std::string> fresh_;
    std::map<std::string, Json> done_;
    std::set<std::string> failed_;
    std::map<std::string, Mixed> mixed_;  ///< by name, as names_of gives them
    std::vector<Cell> cells_;
    std::vector<Term::Ptr> terms_;                          ///< of the cells
    std::size_t expanding_ = 0;                             ///< the cell whose term is being walked
    std::map<std::string, std::set<std::size_t>> waiting_;  ///< cells by the select task that they wait for
    std::map<std::string, std::set<std::size_t>> users_;    ///< cells by the infer tasks that they read
};

/// Raised when the results of an operator change: part of every key.
std::map<std::string, int> const& operator_revisions();

}  // namespace samner::plan
