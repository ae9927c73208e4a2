#include "plan/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "corpus/dataset.h"
#include "corpus/table11.h"
#include "temporary_folder.h"

namespace samner::plan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr auto run_text = R"(
base: base.gguf
encoder: minilm
experts:
  biomedical: {datasets: [bc5cdr, ncbi], samples: 100}
  social_media: {datasets: [broadtweet], samples: 100}
  stem: {datasets: [wlpc], samples: 100}
targets:
  science: {dataset: crossner-science, sentences: 50}
  politics: {dataset: crossner-politics, sentences: 60}
train: {r: 8, learning_rate: 1.0e-3}
)";

Inputs inputs() {
    return {"base-hash",
            "encoder-hash",
            {{"bc5cdr/train", "a"},
             {"ncbi/train", "b"},
             {"broadtweet/train", "c"},
             {"wlpc/train", "d"},
             {"crossner-science/test", "e"},
             {"crossner-politics/test", "f"}},
            {{"science", 50}, {"politics", 60}}};
}

class Planning : public testing::Test {
protected:
    RunFile run(std::vector<std::string> const& overrides = {}) {
        write_atomically(folder / "run.yaml", run_text);
        return load_run_file(folder / "run.yaml", overrides);
    }
    Plan plan(std::string const& rows, std::vector<std::string> const& overrides = {},
              std::string const& name = "demo") {
        write_atomically(
            folder / "experiment.yaml",
            "experiment: " + name +
                "\ntargets: [science, politics]\nlet:\n  ours: pool(biomedical, social_media, stem)\nrows:\n" + rows);
        return Plan{{load_experiment(folder / "experiment.yaml")}, run(overrides), inputs()};
    }
    static std::map<std::string, int> kinds(Plan const& plan) {
        std::map<std::string, int> counts;
        for (auto const& [key, task] : plan.tasks()) ++counts[task.kind];
        return counts;
    }
    /// Finishes every known task; selections take the first m experts in the pool's order, or the last.
    static void finish_all(Plan& plan, bool first = true) {
        for (auto tasks = plan.take_new(); !tasks.empty(); tasks = plan.take_new()) {
            for (auto const& task : tasks) {
                Json result = nullptr;
                if (task.kind == "select") {
                    result = {{"chosen", Json::array()}, {"metrics", Json::object()}};
                    auto experts = task.payload["experts"];
                    if (!first) std::reverse(experts.begin(), experts.end());
                    for (std::size_t i = 0; i < task.payload["m"].get<std::size_t>(); ++i) {
                        result["chosen"].push_back(experts[i]["name"]);
                        result["metrics"][experts[i]["name"].get<std::string>()] = 0.9 - 0.1 * static_cast<double>(i);
                    }
                }
                plan.finished(task.key, result);
            }
        }
    }
    TemporaryFolder folder;
};

TEST_F(Planning, TrainsAnExpertOnceWhateverRowsNeedIt) {
    auto const made = plan("  a: expert(ours, stem)\n  b: merge(ours)\n  c: best_by_gold(ours)\n  base: base\n");
    // Three experts; one merge of all; on each of two targets: three experts, the merge, the base.
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"train", 3}, {"merge", 1}, {"infer", 10}}));
    auto const totals = made.totals();
    EXPECT_EQ(totals.passes_asked, 2 * (1 + 1 + 3 + 1));
    EXPECT_EQ(totals.passes_run, 10);
    EXPECT_EQ(totals.sentences_asked, 6 * 110);
    EXPECT_EQ(totals.sentences_run, 5 * 110);
}

TEST_F(Planning, HasTheNumbersOfAModelInItsKeysAndNotInThoseOfAnEncoder) {
    auto const keys = [&](std::string const& dtype) {
        std::map<std::string, std::set<std::string>> by_kind;
        auto const made =
            plan("  a: merge(select(ours, similarity, 2))\n  b: expert(ours, stem)\n", {"dtype=" + dtype});
        for (auto const& [key, task] : made.tasks()) by_kind[task.kind].insert(key);
        return by_kind;
    };
    auto const fp32 = keys("fp32");
    auto const bf16 = keys("bf16");
    EXPECT_EQ(bf16.at("encode"), fp32.at("encode"));
    for (auto const* kind : {"train", "infer"})
        for (auto const& key : bf16.at(kind)) EXPECT_FALSE(fp32.at(kind).contains(key)) << kind;
}

TEST_F(Planning, ReleasesAMergeWhenItsSelectionIsKnownAndSharesEqualOnes) {
    auto made = plan(
        "  ds: merge(select(ours, similarity, 2))\n  se: merge(select(ours, sampling, 2))\n  sam: "
        "union(merge(select(ours, similarity, 2)), merge(select(ours, sampling, 2)))\n");
    // Per target two selections; three encoded experts and two targets; sampling on ten sentences by three experts a
    // target.
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"train", 3}, {"encode", 5}, {"infer", 6}, {"select", 4}}));
    EXPECT_EQ(made.totals().open, 6);
    finish_all(made);
    // Both strategies chose the same two on both targets: one merge, one pass a target.
    EXPECT_EQ(kinds(made)["merge"], 1);
    EXPECT_EQ(kinds(made)["infer"], 6 + 2);
    for (auto const& cell : made.cells()) {
        EXPECT_EQ(cell.status, Cell::Status::done);
        EXPECT_EQ(cell.predictions->keys().size(), 1U);
    }
}

TEST_F(Planning, OfOneChosenExpertIsThatExpertAndNoMerge) {
    auto made = plan("  one: merge(select(ours, similarity, 1))\n  expert: expert(ours, biomedical)\n");
    finish_all(made);
    EXPECT_EQ(kinds(made)["merge"], 0);
    EXPECT_EQ(made.cells()[0].predictions->key, made.cells()[2].predictions->key);
}

TEST_F(Planning, GivesWeightsInTheOrderOfTheSelectionOrByMetric) {
    auto made = plan(
        "  fixed: merge(select(ours, similarity, 3), weights=[1.5, 1, 0.5])\n  metric: merge(select(ours, similarity, "
        "3), weights=metric)\n");
    finish_all(made);
    std::vector<double> sums;
    for (auto const& [key, task] : made.tasks()) {
        if (task.kind != "merge") continue;
        auto weights = task.payload["weights"].get<std::vector<double>>();
        std::ranges::sort(weights);
        sums.push_back(weights.back());
    }
    std::ranges::sort(sums);
    EXPECT_THAT(sums, testing::ElementsAre(testing::DoubleNear(0.9 / 0.8, 1e-12), 1.5));
}

TEST_F(Planning, RepeatsEverythingForEachSeedButTheTargetsOwnTasks) {
    auto const made =
        plan("  unified: unified(ours)\n  base: base\n  ds: merge(select(ours, similarity, 2))\n", {"seeds=[0, 1]"});
    auto const counts = kinds(made);
    EXPECT_EQ(counts.at("train"), 2);
    EXPECT_EQ(counts.at("infer"), 2 * 2 + 2);  // the base model draws nothing at random
    EXPECT_EQ(counts.at("encode"), 2 * 3 + 2);
    EXPECT_EQ(made.cells().size(), 12U);
}

TEST_F(Planning, FailsTheCellsOfAFailedTaskAndNoOthers) {
    auto made = plan("  a: expert(ours, stem)\n  b: expert(ours, biomedical)\n");
    auto const tasks = made.take_new();
    auto const broken = std::ranges::find_if(
        tasks, [](Task const& task) { return task.kind == "train" && task.payload["parts"][0]["expert"] == "stem"; });
    made.failed(broken->key);
    for (auto const& task : tasks) {
        if (task.key != broken->key && std::ranges::find(task.after, broken->key) == task.after.end())
            made.finished(task.key, nullptr);
    }
    for (auto const& cell : made.cells())
        EXPECT_EQ(cell.status, cell.system == "a" ? Cell::Status::failed : Cell::Status::done);
}

TEST_F(Planning, FailsTheCellsThatWaitForALostSelection) {
    auto made = plan("  a: merge(select(ours, similarity, 2))\n  b: base\n");
    for (auto const& task : made.take_new()) {
        if (task.kind == "encode") made.failed(task.key);
        if (task.kind == "infer") made.finished(task.key, nullptr);
    }
    for (auto const& cell : made.cells())
        EXPECT_EQ(cell.status, cell.system == "a" ? Cell::Status::failed : Cell::Status::done);
}

TEST_F(Planning, RefusesWhatIsNotThereYetAndUnknownNames) {
    EXPECT_THAT([&] { plan("  a: split(target, 2, merge(ours))\n"); },
                ThrowsMessage<InputError>(HasSubstr("'split' is not there yet")));
    EXPECT_THAT([&] { plan("  a: vote(sample(unified(ours)))\n"); },
                ThrowsMessage<InputError>(HasSubstr("'sample' is not there yet")));
    EXPECT_THAT([&] { plan("  a: merge(unite(select(ours, similarity, 2), select(ours, sampling, 2)))\n"); },
                ThrowsMessage<InputError>(HasSubstr("'unite' is not there yet")));
    try {
        plan("  a: expert(pool(stem, biomedcal), stem)\n");
        FAIL();
    } catch (InputError const& error) {
        EXPECT_THAT(error.what(), HasSubstr("names the expert 'biomedcal'"));
        EXPECT_EQ(error.remedy(), "did you mean 'biomedical'?");
    }
}

TEST_F(Planning, KeysChangeWithWhatIsAskedAndWithNothingElse) {
    auto const key = [&](std::vector<std::string> const& overrides, std::string const& kind) {
        auto const made = plan("  b: merge(ours)\n", overrides);
        for (auto const& [hash, task] : made.tasks()) {
            if (task.kind == kind) return hash;
        }
        return std::string{};
    };
    for (auto const* kind : {"train", "merge", "infer"}) {
        EXPECT_EQ(key({}, kind), key({"threads=7", "infer.num_slots=3", "infer.max_kept_tokens=0", "infer.fold=never",
                                      "train.checkpoint_every=9"},
                                     kind));
        EXPECT_NE(key({}, kind), key({"train.learning_rate=2.0e-3"}, kind)) << kind;
    }
    EXPECT_EQ(key({}, "train"), key({"infer.fold=auto"}, "train"));
    EXPECT_NE(key({}, "infer"), key({"infer.fold=auto"}, "infer"));
    EXPECT_NE(key({"infer.fold=always"}, "infer"), key({"infer.fold=auto"}, "infer"));
    EXPECT_THAT([&] { key({"infer.fold=yes"}, "infer"); }, ThrowsMessage<InputError>(HasSubstr("fold is 'yes'")));
    EXPECT_THAT([&] { key({"infer.max_kept_tokens=-1"}, "infer"); }, ThrowsMessage<InputError>(HasSubstr("-1")));
    EXPECT_EQ(key({}, "train"), key({"merge.density=0.7"}, "train"));
    EXPECT_NE(key({}, "merge"), key({"merge.density=0.7"}, "merge"));
}

TEST_F(Planning, KeysOfAMergeChangeOnlyWithSettingsOfItsMethod) {
    auto const key = [&](std::string const& how, std::vector<std::string> const& overrides) {
        auto const made = plan(fmt::format("  b: merge(ours, {})\n", how), overrides);
        for (auto const& [hash, task] : made.tasks())
            if (task.kind == "merge") return hash;
        return std::string{};
    };
    for (auto const* irrelevant : {"merge.gamma=0.05", "merge.epsilon=0.1", "merge.rank=4"})
        EXPECT_EQ(key("ties", {}), key("ties", {irrelevant})) << irrelevant;
    EXPECT_NE(key("breadcrumbs", {}), key("breadcrumbs", {"merge.gamma=0.05"}));
    EXPECT_NE(key("della", {}), key("della", {"merge.epsilon=0.1"}));
    EXPECT_NE(key("ties_svd", {}), key("ties_svd", {"merge.rank=4"}));
    EXPECT_NE(key("ties", {}), key("ties", {"merge.follow=ties-original"}));
    EXPECT_THAT([&] { key("slerp", {}); }, ThrowsMessage<InputError>(HasSubstr("slerp of 3 experts")));
    // A density that leaves no room for the default epsilon matters to della only.
    EXPECT_NE(key("ties", {"merge.density=0.9"}), key("ties", {}));
    EXPECT_THAT([&] { key("della", {"merge.density=0.9"}); }, ThrowsMessage<InputError>(HasSubstr("epsilon")));
    EXPECT_THAT([&] { key("ties", {"merge.follow=pefd"}); }, ThrowsMessage<InputError>(HasSubstr("pefd")));
}

/// A key is a promise to the artifacts of every earlier run. When this fails, results have changed: raise the
/// operator's revision and put the new hash here. When results have not changed, keep the key as it was.
TEST_F(Planning, KeysOfARevisionStayAsTheyAre) {
    auto made = plan("  sam: union(merge(select(ours, similarity, 2)), merge(select(ours, sampling, 2)))\n");
    finish_all(made);
    std::map<std::string, std::string> least;
    for (auto const& [key, task] : made.tasks()) {
        auto& known = least[task.kind];
        if (known.empty() || key < known) known = key.substr(0, 16);
    }
    EXPECT_EQ(least, (std::map<std::string, std::string>{{"encode", "710dda58631e8bca"},
                                                         {"infer", "14db0412a4b9dec9"},
                                                         {"merge", "d46473a17544e3e0"},
                                                         {"select", "453051756ce033a1"},
                                                         {"train", "1f86164033a09007"}}));
}

TEST_F(Planning, OfAFewThousandCellsKeepsUpWithSelections) {
    std::string seeds = "seeds=[0";
    for (int i = 1; i < 100; ++i) seeds += ", " + std::to_string(i);
    auto made =
        plan("  sam: union(merge(select(ours, similarity, 2)), merge(select(ours, sampling, 2)))\n  all: merge(ours)\n",
             {seeds + "]"});
    finish_all(made, false);
    EXPECT_EQ(made.cells().size(), 400U);
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
}

TEST_F(Planning, FreezesEveryDefaultAndNamesWhatDiffers) {
    auto const experiment = [&] {
        plan("  b: merge(ours)\n");
        return load_experiment(folder / "experiment.yaml");
    }();
    auto const text = frozen({experiment}, run());
    EXPECT_THAT(text, HasSubstr("max_new_tokens: 256"));
    EXPECT_THAT(text, HasSubstr("density: 0.5"));
    EXPECT_EQ(text, frozen({experiment}, run({"threads=3"})));
    EXPECT_EQ(text, frozen({experiment}, run({"train.checkpoint_every=3"})));
    EXPECT_THAT(differences(text, frozen({experiment}, run({"merge.density=0.7", "seeds=[1]"}))),
                testing::ElementsAre("run.merge.density", "run.seeds"));
    EXPECT_TRUE(differences(text, text).empty());
}

TEST_F(Planning, ReadsAFrozenConfigurationBack) {
    plan(
        "  sam: union(merge(select(ours, similarity, 2), weights=[1.5, 1]), merge(select(ours, sampling, 2)))\n  base: "
        "base\n  best: best_by_gold(without(ours, stem))\n");
    auto const text = frozen({load_experiment(folder / "experiment.yaml")}, run());
    write_atomically(folder / "frozen.yaml", text);
    auto const back = load_frozen(folder / "frozen.yaml");
    EXPECT_EQ(frozen(back.experiments, back.run), text);
    EXPECT_EQ(back.experiments[0].rows[0].name, "sam");
}

TEST_F(Planning, RefusesARunFileWithUnknownKeysOrValuesOutOfRange) {
    EXPECT_THAT([&] { run({"merge.densty=0.5"}); }, ThrowsMessage<InputError>(HasSubstr("unknown key merge.densty")));
    EXPECT_THROW(run({"merge.density=0"}), InputError);
    EXPECT_THROW(run({"experts.stem.samples=0"}), InputError);
    EXPECT_THROW(run({"experts.stem.datasets=[]"}), InputError);
    EXPECT_THROW(run({"seeds=[1, 1]"}), InputError);
    EXPECT_THROW(run({"dtype=fp16"}), InputError);
    EXPECT_THROW(run({"targets.science.sentences=-1"}), InputError);
    EXPECT_THROW(run({"samples_between=[5, 4]"}), InputError);
    EXPECT_THROW(run({"samples_between=[0, 4]"}), InputError);
    EXPECT_THROW(run({"samples_between=[4]"}), InputError);
    EXPECT_THROW(run({"experts.stem.samples=automatic"}), InputError);
    EXPECT_THAT([&] { run({"experts.stem.datasets=['wlpc:']"}); },
                ThrowsMessage<InputError>(HasSubstr("'wlpc:' names no data set (")));
    EXPECT_THROW(run({"experts.stem.datasets=[':train']"}), InputError);
    EXPECT_THROW(run({"experts.stem.datasets=['wlpc:train+train']"}), InputError);
    EXPECT_THROW(run({"experts.stem.datasets=['wlpc:train', 'wlpc:dev']"}), InputError);
}

TEST_F(Planning, NamesDataSetsWithTheirSplits) {
    auto const of = [](std::string const& text) {
        auto const ref = parse_data_ref(text);
        return std::pair{ref.id, ref.splits};
    };
    using Splits = std::vector<std::string>;
    EXPECT_EQ(of("bc5cdr"), std::pair(std::string{"bc5cdr"}, Splits{"train"}));
    EXPECT_EQ(of("gmb-news:all"), std::pair(std::string{"gmb-news"}, Splits{"all"}));
    EXPECT_EQ(of("ncbi:train+dev"), std::pair(std::string{"ncbi"}, Splits{"train", "dev"}));
}

TEST_F(Planning, KeysOfTrainingChangeWithWhatItsSamplesAndPromptsAreDrawnFrom) {
    auto const keys = [&](std::vector<std::string> const& overrides) {
        std::map<std::string, std::string> result;
        auto made = plan("  a: merge(select(pool(stem), fused, 1))\n  b: expert(pool(stem), stem)\n", overrides);
        for (auto const& [key, task] : made.tasks()) {
            if (task.kind == "train" || (task.kind == "encode" && task.payload.contains("parts")))
                result[task.kind] = key;
        }
        return result;
    };
    auto const plain = keys({});
    EXPECT_EQ(plain, keys({"experts.stem.datasets=['wlpc:train']"}));
    EXPECT_EQ(plain, keys({"prompt.parts=none"}));
    EXPECT_EQ(plain, keys({"samples_between=[1, 9]"}));  // the size is given
    auto const automatic = keys({"experts.stem.samples=auto"});
    EXPECT_NE(plain, automatic);
    EXPECT_NE(automatic, keys({"experts.stem.samples=auto", "samples_between=[1, 9]"}));
    auto const parts = keys({"prompt.parts=paper"});
    EXPECT_NE(plain.at("train"), parts.at("train"));
    EXPECT_EQ(plain.at("encode"), parts.at("encode"));  // of the input texts alone
}

TEST_F(Planning, FreezesAutomaticSizesAndPartsSoThatTheyReadBack) {
    std::vector<std::string> const overrides{"experts.stem.samples=auto", "prompt.parts={source: 0.5, pairs: [1, 2]}"};
    plan("  b: merge(ours)\n");
    auto const text = frozen({load_experiment(folder / "experiment.yaml")}, run(overrides));
    write_atomically(folder / "frozen.yaml", text);
    auto const back = load_frozen(folder / "frozen.yaml");
    EXPECT_EQ(frozen(back.experiments, back.run), text);
    EXPECT_EQ(back.run.experts.at("stem").samples, 0);
    EXPECT_EQ(back.run.prompt.parts, Json::parse(R"({"source": 0.5, "pairs": [1, 2]})"));
}

TEST_F(Planning, ExpectsAutomaticSizesWithinTheirBoundsForItsCosts) {
    write_atomically(folder / "e.yaml", "experiment: e\ntargets: [science]\nrows:\n  b: expert(pool(stem), stem)\n");
    auto const cost = [&](std::int64_t there) {
        auto given = inputs();
        given.to_draw_from["stem"] = there;
        Plan const made{{load_experiment(folder / "e.yaml")}, run({"experts.stem.samples=auto"}), given};
        for (auto const& [key, task] : made.tasks()) {
            if (task.kind == "train") return task.cost;
        }
        return 0.0;
    };
    EXPECT_DOUBLE_EQ(2 * cost(0), cost(20'000));
    EXPECT_DOUBLE_EQ(5 * cost(0), cost(70'000));
}

TEST_F(Planning, ClustersEachDomainOnceForAllMixedExpertsAndTrainsEachOnOneClusterOfEveryDomain) {
    auto made = plan(
        "  a: expert(pool(mix(ours, 4)), 1)\n  b: expert(pool(mix(ours, 4)), 4)\n  c: merge(pool(mix(ours, 4)))\n");
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"cluster", 3}, {"train", 4}, {"merge", 1}, {"infer", 6}}));
    std::set<std::string> clusters;
    std::set<std::int64_t> indices;
    for (auto const& [key, task] : made.tasks()) {
        if (task.kind == "cluster") {
            clusters.insert(key);
            EXPECT_EQ(task.payload["clusters"], 4);
            EXPECT_EQ(task.payload["parts"].size(), 1U);
        }
    }
    for (auto const& [key, task] : made.tasks()) {
        if (task.kind != "train") continue;
        EXPECT_EQ((std::set<std::string>{task.after.begin(), task.after.end()}), clusters);
        ASSERT_EQ(task.payload["parts"].size(), 3U);
        for (auto const& part : task.payload["parts"]) {
            EXPECT_TRUE(clusters.contains(part["cluster"]["labels"]));
            EXPECT_EQ(part["cluster"]["index"], task.payload["parts"][0]["cluster"]["index"]);
        }
        indices.insert(task.payload["parts"][0]["cluster"]["index"].get<std::int64_t>());
    }
    EXPECT_EQ(indices, (std::set<std::int64_t>{0, 1, 2, 3}));
    EXPECT_THAT([&] { plan("  a: merge(pool(mix(pool(mix(ours, 2)), 2)))\n"); },
                ThrowsMessage<InputError>(HasSubstr("a mix of mixed experts")));
}

TEST_F(Planning, SelectsAmongMixedExperts) {
    auto made = plan("  a: merge(select(pool(mix(ours, 4)), similarity, 2))\n");
    finish_all(made);
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
    EXPECT_EQ(kinds(made)["train"], 2);
    EXPECT_EQ(kinds(made)["encode"], 6);  // four experts, two targets
}

/// What a run file names, as if it were there.
Inputs inputs_for(RunFile const& run, corpus::Catalogue const& catalogue) {
    Inputs inputs{"base-hash", "encoder-hash", {}, {}};
    auto const add = [&](std::string const& dataset, std::string const& split) {
        EXPECT_TRUE(catalogue.at(dataset).splits.contains(split)) << dataset << ":" << split;
        inputs.data[dataset + "/" + split] = dataset + split;
    };
    for (auto const& [name, expert] : run.experts) {
        for (auto const& dataset : expert.datasets) {
            auto const ref = parse_data_ref(dataset);
            for (auto const& split : ref.splits) add(ref.id, split);
        }
    }
    for (auto const& [name, target] : run.targets) {
        add(target.dataset, target.split);
        inputs.sentences[name] = 100;
    }
    return inputs;
}

TEST(PaperConfigurations, PlanTheirTables) {
    fs::path const source = SAMNER_SOURCE_DIR;
    corpus::Catalogue const catalogue{{source / "configs/data"}};
    struct Table {
        std::string file, run;
        int rows, trained;
    };
    for (auto const& table : {Table{"table04", "paper", 2, 6}, Table{"table04_nine", "paper_nine", 1, 9},
                              Table{"table09", "paper", 6, 5}, Table{"table10", "paper_languages", 7, 6}}) {
        auto const run = load_run_file(source / "configs/runs" / (table.run + ".yaml"), {});
        Plan plan{
            {load_experiment(source / "experiments/paper" / (table.file + ".yaml"))}, run, inputs_for(run, catalogue)};
        EXPECT_EQ(plan.cells().size(), static_cast<std::size_t>(table.rows) * run.targets.size()) << table.file;
        std::map<std::string, int> kinds;
        for (auto const& [key, task] : plan.tasks()) ++kinds[task.kind];
        EXPECT_EQ(kinds["train"], table.trained) << table.file;
        EXPECT_EQ(kinds["cluster"], table.file == "table09" ? 6 : 0);
    }
}

/// The quotas that Table 11's sizes follow from.
TEST(PaperConfigurations, AskForThePapersSizes) {
    fs::path const source = SAMNER_SOURCE_DIR;
    auto const run = load_run_file(source / "configs/runs/paper.yaml", {});
    auto const printed = corpus::read_printed_table(source / "experiments/paper/table11.yaml");
    ASSERT_EQ(run.experts.size(), printed.quotas.size());
    for (auto const& [domain, quota] : printed.quotas) EXPECT_EQ(run.experts.at(domain).samples, quota) << domain;
}

}  // namespace
}  // namespace samner::plan
