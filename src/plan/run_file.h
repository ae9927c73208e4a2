#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/key.h"
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

/// The structs of a run file name their keys once (core/key.h), in the order in which they are read. Reading, writing
/// and docs/experiments.md go through these lists.
/// What an expert is trained on: data sets, and how many samples are drawn from them together. Or one that exists.
struct ExpertRecipe {
    std::vector<std::string> datasets;  ///< as work::parse_dataset_ref reads them; default split train
    std::int64_t samples = 10'000;      ///< 0 (`auto` in the file): as many as there are, within `samples_between`

    std::string adapter = {};             ///< a PEFT folder; not empty: nothing is trained
    std::vector<std::string> texts = {};  ///< of such an expert: data sets whose texts stand for its domain

    std::vector<std::string> test = {};  ///< data sets that its domain is tested on; empty: the test splits of `refs`

    /// Of the data sets that it is trained on, or whose texts stand for its domain.
    std::vector<work::DatasetRef> refs() const;
    /// That its domain is tested on, where experiments have it as a target.
    std::vector<work::DatasetRef> test_refs() const;

    /// The keys of an expert that is trained.
    template <class Self, class Visit>
    static void keys(Self& self, Visit&& visit) {
        visit(
            Key{.name = "datasets",
                .help = "Ids of data sets, each once. `gmb-news:all` and `ncbi:train+dev` name splits; without one it "
                        "is train.",
                .required = true,
                .aliases = "data corpora corpus"},
            self.datasets);
        visit(Key{.name = "samples",
                  .help = "Samples drawn from the data sets together, in proportion to their numbers of entity types; "
                          "`auto`: as many as there are sentences, within `samples_between`.",
                  .range = {"1 or more, or auto", 1},
                  .automatic = true},
              self.samples);
        visit(Key{.name = "test",
                  .help =
                      "Data sets on which the domain is tested, for `targets: {domains: […]}` and `{languages: […]}`; "
                      "empty: the split test of each of `datasets`.",
                  .newer = true},
              self.test);
    }
    /// Those of one that exists.
    template <class Self, class Visit>
    static void existing_keys(Self& self, Visit&& visit) {
        visit(Key{.name = "adapter", .help = "A PEFT folder. Nothing is trained.", .required = true, .path = true},
              self.adapter);
        visit(Key{.name = "texts",
                  .help = "Data sets whose texts stand for the expert's domain; without them it is what the adapter's "
                          "card, samner.json, says. Selections need one of both, also those by sampling, where ties "
                          "go to the nearer domain."},
              self.texts);
        visit(Key{.name = "test", .help = "As for an expert that is trained; empty: those of `texts`.", .newer = true},
              self.test);
    }
};

/// What is predicted and scored: a split of a data set, or texts of one's own, which may have no labels.
struct Target {
    std::string dataset;
    std::string split = "test";
    std::int64_t sentences = 0;  ///< the first so many; 0: all

    std::string texts = {};                    ///< a file of {"id", "text"} lines; not empty: no data set
    std::vector<work::WantedType> types = {};  ///< of such texts
    std::string gold = {};                     ///< a file with their entities; empty: they are not scored

    std::string name() const;  ///< of what is predicted, for people

    /// The keys of one that is a data set.
    template <class Self, class Visit>
    static void keys(Self& self, Visit&& visit) {
        visit(Key{.name = "dataset", .help = "Id of a data set.", .required = true, .aliases = "data corpus"},
              self.dataset);
        visit(Key{.name = "split", .help = "What is predicted and scored."}, self.split);
        sentences_key(self, visit);
    }
    /// Those of texts of one's own.
    template <class Self, class Visit>
    static void texts_keys(Self& self, Visit&& visit) {
        visit(Key{.name = "texts",
                  .help = "A file of texts, `{\"id\": …, \"text\": …}` a line. Its answers are predictions; there is "
                          "nothing to score them by unless there is `gold`.",
                  .required = true,
                  .path = true},
              self.texts);
        visit(Key{.name = "types",
                  .help = "The entity types to find, each a name, or `name: definition`, in the order in which prompts "
                          "name them.",
                  .required = true},
              self.types);
        visit(Key{.name = "gold",
                  .help = "A file with the entities of all these texts, `{\"id\": …, \"text\": …, \"entities\": "
                          "[{\"text\": …, \"type\": …}]}` a line. It is looked at for scores only.",
                  .path = true,
                  .newer = true},
              self.gold);
        sentences_key(self, visit);
    }

private:
    template <class Self, class Visit>
    static void sentences_key(Self& self, Visit&& visit) {
        visit(Key{.name = "sentences", .help = "Only the first so many.", .range = {"0 (all) or more", 0}},
              self.sentences);
    }
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

/// With what an experiment runs: models, data, sizes (configs/runs/*.yaml). Paths are absolute: what the file names is
/// relative to it, what the command line names relative to the working folder.
struct RunFile {
    std::string base;     ///< Hugging Face folder or .gguf file
    std::string encoder;  ///< sentence-transformers folder
    std::string data;     ///< root of the corpora; empty: the environment variable SAMNER_DATA
    std::string store;    ///< folder of results that runs share; empty: RUN/artifacts, or what that is a link to
    std::vector<std::string> datasets;  ///< folders of data set descriptions, beside the shipped ones
    std::map<std::string, ExpertRecipe> experts;
    std::map<std::string, Target> targets;
    std::int64_t domain_sentences = 0;  ///< of each test set of a domain only the first so many; 0: all
    train::Options train;               ///< its dtype is `dtype`
    work::TrainingPrompt prompt;
    struct Infer {
        std::int64_t max_new_tokens = 256;
        std::int64_t num_slots = 32;
        std::int64_t max_kept_tokens = 2048;  ///< of instructions, from one task to the next
        infer::Fold fold = infer::Fold::never;

        template <class Self, class Visit>
        static void keys(Self& self, Visit&& visit) {
            visit(Key{.name = "max_new_tokens",
                      .help = "An answer's tokens, at most.",
                      .range = {"1 or more", 1},
                      .aliases = "max_tokens num_predict"},
                  self.max_new_tokens);
            visit(Key{.name = "max_kept_tokens",
                      .help = "Tokens of instructions whose keys and values are kept from one task to the next. Has no "
                              "influence on results.",
                      .range = {"0 (none) or more", 0},
                      .newer = true},
                  self.max_kept_tokens);
            visit(Key{.name = "num_slots",
                      .help = "Sequences decoded at once. Has no influence on results in fp32 on the CPU; elsewhere "
                              "other bits come out.",
                      .range = {"1 or more", 1},
                      .aliases = "slots batch_size max_num_seqs"},
                  self.num_slots);
            static_assert(infer::fold_from == 32, "the help says so");
            visit(Key{.name = "fold",
                      .help = "Adds an adapter to the base's weights before decoding: never, always, or (auto) for 32 "
                              "prompts or more. Faster, with other bits and a second copy of the linear layers.",
                      .newer = true},
                  self.fold);
        }
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

    template <class Self, class Visit>
    static void keys(Self& self, Visit&& visit) {
        visit(Key{.name = "base",
                  .help = "The base model: a Hugging Face folder or a .gguf file.",
                  .required = true,
                  .path = true,
                  .aliases = "model base_model"},
              self.base);
        visit(Key{.name = "encoder",
                  .help = "A sentence-transformers folder, which embeds domains and targets.",
                  .required = true,
                  .path = true,
                  .aliases = "embedder"},
              self.encoder);
        visit(Key{.name = "data",
                  .help = "Root folder of the corpora; empty: the environment variable SAMNER_DATA.",
                  .path = true,
                  .aliases = "root data_root"},
              self.data);
        visit(Key{.name = "store",
                  .help = "Folder of results that several runs share; empty: RUN/artifacts.",
                  .path = true,
                  .newer = true},
              self.store);
        visit(Key{.name = "datasets",
                  .help = "Folders of data set descriptions, beside those that come with samner. Of an id that is in "
                          "both the description here counts, with a warning.",
                  .path = true},
              self.datasets);
        visit(Key{.name = "experts", .help = "The experts that experiments can name."}, self.experts);
        visit(Key{.name = "targets", .help = "The targets that experiments can name."}, self.targets);
        visit(Key{.name = "domain_sentences",
                  .help = "Of each data set on which a domain is tested, only the first so many.",
                  .range = {"0 (all) or more", 0},
                  .newer = true},
              self.domain_sentences);
        visit(Key{.name = "device", .help = "Where models compute: cpu or cuda."}, self.device);
        visit(Key{.name = "dtype",
                  .help = "In which numbers they compute. bf16 needs half the memory and promises the "
                          "same results on the same kind of machine only.",
                  .aliases = "precision"},
              self.dtype);
        visit(Key{.name = "train", .help = "How experts are trained."}, self.train);
        visit(Key{.name = "prompt", .help = "How prompts read."}, self.prompt);
        visit(Key{.name = "infer", .help = "How answers are decoded."}, self.infer);
        visit(Key{.name = "merge", .help = "Settings of merges, where a row does not give its own."}, self.merge);
        visit(Key{.name = "samples_between",
                  .help = "Bounds of `samples: auto`.",
                  .range = {"two numbers, 1 or more and rising", 1}},
              self.samples_between,
              [](std::vector<std::int64_t> const& bounds) { return bounds.size() == 2 && bounds[0] <= bounds[1]; });
        visit(Key{.name = "keep_empty",
                  .help = "Share of the sentences without entities that training keeps.",
                  .range = {"0 to 1", 0, 1}},
              self.keep_empty);
        visit(Key{.name = "seeds", .help = "Each is a repeat of everything.", .aliases = "seed"}, self.repeats);
        visit(Key{.name = "threads",
                  .help = "Of a rank, without influence on results; 0: the processors of its node divided by its ranks "
                          "there.",
                  .range = {"0 (automatic) or more", 0}},
              self.threads);
    }

    /// Whether results do not depend on slots and batches (work::Arithmetic::exact).
    bool exact() const { return work::own_kernels(device, dtype); }
};

/// The keys of `prompt`.
template <class Self, class Visit>
void prompt_keys(Self& self, Visit&& visit) {
    visit(Key{.name = "layout",
              .help =
                  "What an instruction tells: short names the types, full also tells of the source, defines the types "
                  "and says how to answer. At test time, and in training unless there are `parts`."},
          self.fixed.layout);
    visit(Key{.name = "format",
              .help = "How answers read: pairs (json), the paper's {span: type} (json_map), type by type (enumeration) "
                      "or as sentences."},
          self.fixed.format);
    visit(Key{.name = "parts",
              .help = "Random parts of training prompts (section 3.1): none, paper, or a map of the rates below, of "
                      "which those that are left out are the paper's."},
          self.parts);
}

/// Reads the text of a run file.
/// @param place   its name in messages
/// @param folder  that paths in it are relative to; empty: the working folder
RunFile parse_run_file(std::string const& text, std::string const& place,
                       std::vector<std::string> const& overrides = {}, std::filesystem::path const& folder = {});

/// The run file's text, which parses to it again.
std::string to_yaml(RunFile const& run);

/// @param overrides  key=value, as a.b=3, applied before reading
/// @throws InputError with file, line and column for unknown keys, missing ones, values out of range, and paths that
/// are
///     not there, but would be relative to the working folder
RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides = {});

/// Reads the types of a file: a list of names and of `name: definition`, or a map of these, alone or under `types`.
/// @throws InputError with file, line and column
std::vector<work::WantedType> load_types(std::filesystem::path const& path);

/// What runs, as YAML, with every default written out: two runs with the same text are the same run. Threads and
/// checkpoint_every do not change results and are left out, like the store, and so are slots where they do not.
/// Experiments stand in their order, which is no difference between runs.
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

/// A setting in which two frozen texts differ. Its values are JSON; empty where a text has no such setting.
struct SettingDifference {
    std::string name;
    std::string one;
    std::string other;
};
std::vector<SettingDifference> setting_differences(std::string const& frozen, std::string const& other);

/// Names of these settings; of more than five the first ones, and how many more.
std::vector<std::string> differences(std::string const& frozen, std::string const& other);

/// The experts and targets of a run file that experiments name.
struct Named {
    std::set<std::string> experts;
    std::set<std::string> targets;
};
Named names_in(std::vector<Experiment> const& experiments);

/// Checks that every expert and target that the experiments name is in the run file, and that pooled targets can be.
/// @throws InputError naming the row, with did-you-mean
void check_names(std::vector<Experiment> const& experiments, RunFile const& run);

}  // namespace samner::plan
