#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "merge/method.h"
#include "plan/experiment.h"

namespace samner::plan {

/// A data set as recipes name it: `bc5cdr`, which is its training split, or `gmb-news:all`, `ncbi:train+dev`.
struct DataRef {
    std::string id;
    std::vector<std::string> splits;
};

/// @param place  what to name in messages
/// @throws InputError for an empty id or split, or a split twice
DataRef parse_data_ref(std::string const& text, std::string_view place = "run file");

/// An expert's training data: data sets (as parse_data_ref reads them), and how many samples are drawn from them
/// together.
struct ExpertRecipe {
    std::vector<std::string> datasets;
    std::int64_t samples = 10'000;  ///< 0 (`auto` in the file): as many as there are, within `samples_between`
};

struct Target {
    std::string dataset;
    std::string split = "test";
    std::int64_t sentences = 0;  ///< the first so many; 0: all
};

/// With what an experiment runs: models, data, sizes (configs/runs/*.yaml). Paths are relative to the current folder.
struct RunFile {
    std::string base;     ///< Hugging Face folder or .gguf file
    std::string encoder;  ///< sentence-transformers folder
    std::string data;     ///< root of the corpora; empty: the environment variable SAMNER_DATA
    std::vector<std::string> datasets{"configs/data"};  ///< folders of data set descriptions
    std::map<std::string, ExpertRecipe> experts;
    std::map<std::string, Target> targets;
    Json train = Json::object();  ///< as `samner train`'s key=value settings (train::Options)
    struct Prompt {
        std::string layout = "full";
        std::string format = "json";
        Json parts = "none";  ///< random parts of training prompts: none, paper or rates (prompt::Rates)
    } prompt;
    struct Infer {
        std::int64_t max_new_tokens = 256;
        std::int64_t num_slots = 32;
        std::int64_t max_kept_tokens = 2048;  ///< of instructions, from one task to the next
        std::string fold = "never";           ///< or auto, always: add adapters to the base's weights (infer::Fold)
    } infer;
    struct Merge {
        std::string space = "factor";
        double density = 0.5;
        std::string sign = "total";
        std::string follow = "samner";  ///< whose arithmetic (merge::Compatibility)
        std::string trim_over;          ///< empty: as `follow` has it; likewise the next two
        std::string rescale;
        std::string normalize;
        double lambda = 1;
        double gamma = 0.01;    ///< breadcrumbs*
        double epsilon = 0.15;  ///< della*
        std::int64_t rank = 0;  ///< *_svd; 0: the largest of the experts

        Json json() const;
    } merge;
    std::vector<std::int64_t> samples_between{10'000, 50'000};  ///< bounds of `samples: auto` (section 3.1)
    double keep_empty = 0.1;             ///< share of the sentences without entities that training keeps (section 3.1)
    std::vector<std::int64_t> seeds{0};  ///< each is a repeat of everything
    std::int64_t threads = 0;            ///< a rank; 0: the processors of its node divided by its ranks there
    std::string device = "cpu";
    std::string dtype = "fp32";

    Json json() const;  ///< everything, defaults too
};

/// What a merge by `method` depends on, as members of a task's payload; those that the method does not use, or that are
/// as usual, are left out, so that they do not change its key.
Json merge_settings(RunFile::Merge const& merge, std::string const& method, std::int64_t seed);

/// The options that `merge_settings` stands for. @throws InputError when they contradict each other
merge::MergeOptions merge_options(Json const& settings);

/// Reads the text of a run file. @param place  its name in messages
RunFile parse_run_file(std::string const& text, std::string const& place,
                       std::vector<std::string> const& overrides = {});

/// The run file's text, which parses to it again.
std::string to_yaml(RunFile const& run);

/// @param overrides  key=value, as a.b=3, applied before reading
/// @throws InputError with file, line and column for unknown keys, missing ones and values out of range
RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides = {});

/// What runs, as YAML, with every default written out: two runs with the same text are the same run. Threads, slots
/// and checkpoint_every do not change results and are left out.
std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run);

/// Reads what `frozen` wrote.
struct Frozen {
    std::vector<Experiment> experiments;
    RunFile run;
};
Frozen load_frozen(std::filesystem::path const& path);

/// Names of the settings in which two frozen texts differ, at most five.
std::vector<std::string> differences(std::string const& frozen, std::string const& other);

/// Checks that every expert and target that the experiments name is in the run file.
/// @throws InputError naming the row, with did-you-mean
void check_names(std::vector<Experiment> const& experiments, RunFile const& run);

}  // namespace samner::plan
