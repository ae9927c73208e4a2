#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/hashed_file.h"
#include "plan/run_file.h"
#include "plan/seeds.h"
#include "work/cost.h"
#include "work/result.h"
#include "work/task.h"

namespace samner::plan {

/// The files of a run's models, with the hashes that its keys are made of.
struct ModelFiles {
    std::vector<HashedFile> base;     ///< with its tokeniser's
    std::vector<HashedFile> encoder;  ///< with its tokeniser's

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("base", self.base);
        visit("encoder", self.encoder);
    }
};

/// Sizes of the base model and of an adapter that is trained for it, for Appendix C of the paper. 0: not known.
struct BaseSize {
    std::int64_t hidden_size = 0;
    std::int64_t layers = 0;
    std::int64_t vocabulary = 0;
    std::int64_t parameters = 0;          ///< of all tensors
    std::int64_t linear_parameters = 0;   ///< those of the blocks' linear layers
    std::int64_t adapter_parameters = 0;  ///< of the factors that the run's `train` asks for
    std::int64_t bytes = 0;               ///< of its files, tokeniser included
};

/// Content hashes and sizes of what a run reads, found out before planning.
struct Inputs {
    struct Corpora {
        std::vector<work::DatasetSource> sources;
        std::int64_t sentences = 0;  ///< to draw from
        std::string adapter = {};    ///< hash of one that exists; empty: it is trained
        // Of one that exists, in place of sources, what its card knows.
        std::optional<work::Known> domain = {};
        std::string no_domain = {};             ///< why there is none; empty: nothing is known
        std::vector<std::string> types = {};    ///< that it was trained to find, as texts
    };
    struct Target {
        work::Texts texts;
        std::int64_t sentences = 0;
    };
    std::string base;     ///< hash of the base model and its tokeniser
    std::string encoder;  ///< hash of the encoder and its tokeniser
    std::map<std::string, Corpora> experts;
    std::map<std::string, Target> targets;
    std::map<std::string, Target> domains = {};  ///< test sets of the experts that experiments have as targets
    /// Of the data sets of all these, by id: what work::Encode encodes of their types.
    std::map<std::string, std::vector<std::string>> types = {};
    int layers = 1;  ///< of the base model, whose adapters have work for that many merging ranks
    BaseSize base_size = {};
    work::Arithmetic arithmetic;  ///< of the language model
    work::Arithmetic of_encoder = {};
    ModelFiles files = {};  ///< for the ranks to compare with what they read
};

/// An expert of a pool: one of the run file, or one that is trained on a cluster of each of several.
struct Expert {
    struct Share {
        std::string expert;  ///< of the run file
        std::int64_t clusters = 1;
        std::int64_t cluster = 0;               ///< which of them, from 0
        std::vector<std::string> without = {};  ///< ids of its data sets that another expert of the pool has for itself

        friend auto operator<=>(Share const&, Share const&) = default;
    };
    std::string name;  ///< as results call it
    std::vector<Share> shares;

    bool mixed() const { return shares.size() != 1 || name != shares.front().expert; }
    friend bool operator==(Expert const&, Expert const&) = default;
};

/// What decodes: the base model, alone or with an adapter.
struct Model {
    std::optional<std::string> adapter;           ///< key of a train or merge task
    std::string name;                             ///< for people
    std::optional<work::MergeRecipe> delta = {};  ///< what is merged into the base's weights, in place of an adapter
};

struct Chosen {
    Expert expert;
    double metric = 1;
};

/// How experts are evaluated on a sample of a target.
struct Evaluation {
    std::int64_t k = 10;       ///< sentences
    std::int64_t answers = 1;  ///< of each expert to each of them; one is the greedy one
    double temperature = 0;    ///< at which several are drawn

    friend auto operator<=>(Evaluation const&, Evaluation const&) = default;
};

/// On what, and with which seeds, an expression is evaluated.
struct Context {
    std::string target;  ///< its column
    work::Texts texts;   ///< all of it, or a part
    std::int64_t sentences = 0;
    Seeds seeds;
    bool pooled = false;  ///< whether it is several targets as one
};

struct PlannedTask {
    work::Task task;
    std::vector<std::string> after;  ///< keys of the tasks that it waits for
};

/// The data sets of an expert that it does without, in a pool with another one that has just these for itself: finance
/// with finer-ord takes that away from news with gmb-news and finer-ord (nine source domains, section 4.6). None where
/// nothing would be left.
/// @param pool  names of its experts in the run file
std::vector<std::string> data_of_others(RunFile const& run, std::string const& expert,
                                        std::set<std::string> const& pool);

/// The tasks of a run, each once: equal work has equal keys. Knows what tasks are made of, and nothing of expressions.
/// Nothing here touches files.
class Graph {
public:
    Graph(RunFile run, Inputs inputs);

    RunFile const& run() const { return run_; }
    Inputs const& inputs() const { return inputs_; }

    // What expressions ask for. Each returns the key of a task, which is added unless it is there.
    /// One expert that exists is taken as it is. @throws InputError when one of several does: it has no training data
    std::string train(std::vector<Expert> const& experts, Seeds const& seeds);
    std::string encode(Expert const& expert, Seeds const& seeds);
    std::string encode(Context const& context);
    /// The types of an expert's training corpora, or of a target's. @throws InputError when there are none
    std::string encode_types(Expert const& expert);
    std::string encode_types(Context const& context);
    /// @param sampling  nothing: greedily
    std::string infer(Model const& model, Context const& context, std::optional<work::Sampling> sampling = {});
    /// @return a key for each answer
    std::vector<std::string> infer_sample(Model const& model, Context const& context, Evaluation const& evaluation);
    /// Splits the texts of a context. @throws InputError for more clusters than texts
    std::string cluster(Context const& context, std::int64_t clusters);
    /// @param m  how many, or what says how many
    std::string select(work::Metric metric, std::variant<std::int64_t, work::Rule> m, Evaluation const& evaluation,
                       std::vector<Expert> const& experts, Context const& context);
    /// The base with merged adapters: in factor space by a merge task, in delta space by each pass that decodes with
    /// it.
    /// @param adapters  keys of their tasks, with their weights
    /// @param name      of the model
    /// @throws InputError when the settings do not fit the method or the number of adapters
    Model merge(merge::Method method, merge::Settings const& settings,
                std::vector<std::pair<std::string, double>> adapters, std::vector<std::string> names,
                Seeds const& seeds, std::string name);

    /// What experts are trained on, together. Adds the clusters of mixed ones. @throws InputError as train
    work::Recipe recipe(std::vector<Expert> const& experts, Seeds const& seeds);
    /// A pool in which each data set has one expert: data_of_others is left out of each.
    std::vector<Expert> set_apart(std::vector<Expert> pool) const;

    std::map<std::string, PlannedTask> const& tasks() const { return tasks_; }
    /// Tasks that became known since the last call.
    std::vector<std::string> take_new();

    void finished(std::string const& key, work::Result const& result);
    void failed(std::string const& key) { failed_.insert(key); }
    bool is_done(std::string const& key) const { return done_.contains(key); }
    bool has_failed(std::string const& key) const { return failed_.contains(key); }
    bool is_lost(std::string const& key) const;  ///< failed, or waits for what failed
    /// What a select task has found; null while it is not done.
    work::Selection const* selection(std::string const& key) const;

private:
    /// An expert that is not trained: what the run file says of it, and what was found; null for others.
    struct Existing {
        ExpertRecipe const* given = nullptr;
        Inputs::Corpora const* found = nullptr;
    };
    Existing existing(Expert const& expert) const;
    std::string add(work::Task task);
    std::string cluster(Expert::Share const& of, Seeds const& seeds);
    /// The data sets of a share that are its own.
    std::vector<work::DatasetSource> sources(Expert::Share const& share) const;
    /// @param texts  of types that are known beside those of the sources
    std::string encode_types(std::string const& of, std::vector<work::Source> const& sources,
                             std::set<std::string> texts = {});
    std::int64_t expected_samples(std::vector<Expert> const& experts) const;
    std::string infer(Model const& model, work::Texts texts, std::int64_t sentences,
                      std::optional<work::Sampling> sampling = {});

    RunFile run_;
    Inputs inputs_;
    std::map<std::string, PlannedTask> tasks_;
    std::vector<std::string> fresh_;
    std::set<std::string> done_;
    std::map<std::string, work::Selection> selections_;
    std::set<std::string> failed_;
};

}  // namespace samner::plan
