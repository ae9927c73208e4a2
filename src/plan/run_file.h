#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/precision.h"
#include "infer/fold.h"
#include "merge/settings.h"
#include "plan/experiment.h"
#include "plan/seeds.h"
#include "train/options.h"
#include "work/arithmetic.h"
#include "work/texts.h"
#include "work/train.h"

namespace samner::plan {

/// What an expert is trained on: data sets, and how many samples are drawn from them together. Or one that exists.
struct ExpertRecipe {
    std::vector<std::string> datasets;  ///< as work::parse_dataset_ref reads them; default split train
    std::int64_t samples = 10'000;      ///< 0 (`auto` in the file): as many as there are, within `samples_between`

    std::string adapter = {};             ///< a PEFT folder; not empty: nothing is trained
    std::vector<std::string> texts = {};  ///< of such an expert: data sets whose texts stand for its domain

    /// Of the data sets that it is trained on, or whose texts stand for its domain.
    std::vector<work::DatasetRef> refs() const;
};

struct Target {
    std::string dataset;
    std::string split = "test";
    std::int64_t sentences = 0;  ///< the first so many; 0: all
};

/// In which numbers a run computes.
struct RunArithmetic {
    work::Arithmetic model;
    work::Arithmetic encoder;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("model", self.model);
        visit("encoder", self.encoder);
    }
};

/// With what an experiment runs: models, data, sizes (configs/runs/*.yaml). Paths are relative to the current folder.
struct RunFile {
    std::string base;     ///< Hugging Face folder or .gguf file
    std::string encoder;  ///< sentence-transformers folder
    std::string data;     ///< root of the corpora; empty: the environment variable SAMNER_DATA
    std::string store;    ///< folder of results that runs share; empty: RUN/artifacts, or what that is a link to
    std::vector<std::string> datasets{"configs/data"};  ///< folders of data set descriptions
    std::map<std::string, ExpertRecipe> experts;
    std::map<std::string, Target> targets;
    train::Options train;  ///< its dtype is `dtype`
    work::TrainingPrompt prompt;
    struct Infer {
        std::int64_t max_new_tokens = 256;
        std::int64_t num_slots = 32;
        std::int64_t max_kept_tokens = 2048;  ///< of instructions, from one task to the next
        infer::Fold fold = infer::Fold::never;
    } infer;
    merge::Settings merge;
    std::vector<std::int64_t> samples_between{10'000, 50'000};  ///< bounds of `samples: auto` (section 3.1)
    double keep_empty = 0.1;  ///< share of the sentences without entities that training keeps (section 3.1)
    /// Each is a repeat of everything. In the file `seeds` is a list of numbers and of maps {train, sample, merge,
    /// cluster}, in which what is not named is 0; or one map of numbers and lists, which stands for every combination.
    std::vector<Repeat> repeats{{}};
    std::int64_t threads = 0;  ///< a rank; 0: the processors of its node divided by its ranks there
    std::string device = "cpu";
    Precision dtype = Precision::fp32;

    /// Whether results do not depend on slots and batches (work::Arithmetic::exact).
    bool exact() const { return work::own_kernels(device, dtype); }
};

/// Reads the text of a run file. @param place  its name in messages
RunFile parse_run_file(std::string const& text, std::string const& place,
                       std::vector<std::string> const& overrides = {});

/// The run file's text, which parses to it again.
std::string to_yaml(RunFile const& run);

/// @param overrides  key=value, as a.b=3, applied before reading
/// @throws InputError with file, line and column for unknown keys, missing ones and values out of range
RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides = {});

/// What runs, as YAML, with every default written out: two runs with the same text are the same run. Threads and
/// checkpoint_every do not change results and are left out, like the store, and so are slots where they do not.
/// @param arithmetic  written where results depend on more than precision: another machine then plans the same keys
std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run,
                   RunArithmetic const& arithmetic = {});

/// Reads what `frozen` wrote.
struct Frozen {
    std::vector<Experiment> experiments;
    RunFile run;
    std::optional<RunArithmetic> arithmetic;  ///< nothing where it is exact
};
Frozen load_frozen(std::filesystem::path const& path);

/// Names of the settings in which two frozen texts differ; of more than five the first ones, and how many more.
std::vector<std::string> differences(std::string const& frozen, std::string const& other);

/// Checks that every expert and target that the experiments name is in the run file.
/// @throws InputError naming the row, with did-you-mean
void check_names(std::vector<Experiment> const& experiments, RunFile const& run);

}  // namespace samner::plan
