#include "plan/planner.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"
#include "corpus/dataset.h"
#include "corpus/slice.h"
#include "corpus/table11.h"
#include "temporary_folder.h"
#include "work/cost.h"

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

/// What a run file names, as if it were there.
/// @param hash  of a data set's split
Inputs inputs_of(RunFile const& run, std::function<std::string(std::string const&, std::string const&)> const& hash) {
    Inputs inputs;
    inputs.base = "base-hash";
    inputs.encoder = "encoder-hash";
    inputs.arithmetic = {run.device, run.dtype};
    if (!run.exact()) inputs.arithmetic.libtorch = "2.0";
    auto const hashed = [&](work::DatasetRef const& ref) {
        work::DatasetSource source{ref.id, {}};
        for (auto const& split : ref.splits) source.splits.push_back({split, hash(ref.id, split)});
        return source;
    };
    for (auto const& [name, expert] : run.experts) {
        auto& corpora = inputs.experts[name];
        for (auto const& ref : expert.refs()) corpora.sources.push_back(hashed(ref));
        if (!expert.adapter.empty()) corpora.adapter = "hash of " + expert.adapter;
    }
    for (auto const& [name, given] : run.targets) {
        auto& target = inputs.targets[name];
        target.texts.sources.emplace_back(hashed({given.dataset, {given.split}}));
        if (given.sentences > 0) target.texts.views.emplace_back(work::First{given.sentences});
        target.sentences = given.sentences > 0 ? given.sentences : 100;
    }
    inputs.types = {{"bc5cdr", {"disease: an illness", "chemical: a compound"}},
                    {"ncbi", {"disease: an illness"}},
                    {"broadtweet", {"person: a human being"}},
                    {"crossner-science", {"person: a human being", "chemical: a compound"}},
                    {"crossner-politics", {"party: a party"}}};
    for (auto const& [name, expert] : run.experts) {
        auto& domain = inputs.domains[name];
        for (auto const& ref : expert.test_refs()) domain.texts.sources.emplace_back(hashed(ref));
        domain.sentences = 100;
    }
    return inputs;
}

Inputs inputs_of(RunFile const& run) {
    static std::map<std::string, std::string> const hashes{
        {"bc5cdr/train", "a"},          {"ncbi/train", "b"},
        {"broadtweet/train", "c"},      {"wlpc/train", "d"},
        {"crossner-science/test", "e"}, {"crossner-politics/test", "f"},
        {"bc5cdr/test", "g"},           {"ncbi/test", "h"},
        {"broadtweet/test", "i"},       {"wlpc/test", "j"}};
    return inputs_of(run, [](auto const& dataset, auto const& split) { return hashes.at(dataset + "/" + split); });
}

/// The task of a plan as the one of its kind that it is.
template <class Kind>
Kind const* as(PlannedTask const& planned) {
    return std::get_if<Kind>(&planned.task);
}

/// The key of the first task of a kind; empty when there is none.
std::string key_of_kind(Plan const& plan, std::string_view kind) {
    for (auto const& [key, planned] : plan.tasks()) {
        if (work::kind_of(planned.task) == kind) return key;
    }
    return {};
}

/// What a task of the kind gives, without anything in it.
work::Result nothing(work::Task const& task) {
    return std::visit([]<class Kind>(Kind const&) { return work::Result{typename Kind::Result{}}; }, task);
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
        auto const file = run(overrides);
        return Plan{{load_experiment(folder / "experiment.yaml")}, file, inputs_of(file)};
    }
    static std::map<std::string, int> kinds(Plan const& plan) {
        std::map<std::string, int> counts;
        for (auto const& [key, planned] : plan.tasks()) ++counts[std::string{work::kind_of(planned.task)}];
        return counts;
    }
    /// Finishes every known task; selections take the first m experts in the pool's order, or the last.
    static void finish_all(Plan& plan, bool first = true) {
        finish(plan, [&](work::Select const&) { return !first; });
    }
    /// @param last  of which selections take the last m experts
    static void finish(Plan& plan, std::function<bool(work::Select const&)> const& last) {
        for (auto keys = plan.take_new(); !keys.empty(); keys = plan.take_new()) {
            for (auto const& key : keys) {
                auto const task = plan.task(key).task;
                auto result = nothing(task);
                if (auto const* const select = std::get_if<work::Select>(&task)) {
                    auto experts = select->experts;
                    if (last(*select)) std::ranges::reverse(experts);
                    auto& selection = std::get<work::Selection>(result);
                    for (std::size_t i = 0; std::cmp_less(i, select->m); ++i) {
                        selection.chosen.push_back(experts[i].name);
                        selection.metrics[experts[i].name] = 0.9 - 0.1 * static_cast<double>(i);
                    }
                }
                plan.finished(key, result);
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
        for (auto const& [key, planned] : made.tasks()) by_kind[std::string{work::kind_of(planned.task)}].insert(key);
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
        EXPECT_FALSE(cell.answer.open());
        EXPECT_EQ(cell.answer.keys().size(), 1U);
    }
}

TEST_F(Planning, OfOneChosenExpertIsThatExpertAndNoMerge) {
    auto made = plan("  one: merge(select(ours, similarity, 1))\n  expert: expert(ours, biomedical)\n");
    finish_all(made);
    EXPECT_EQ(kinds(made)["merge"], 0);
    EXPECT_EQ(made.cells()[0].answer.key, made.cells()[2].answer.key);
}

TEST_F(Planning, InDeltaSpaceMergesInThePassesThatDecodeAndStoresNoMergedModel) {
    auto made = plan("  factor: merge(ours)\n  delta: merge(ours, space=delta)\n");
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"train", 3}, {"merge", 1}, {"infer", 4}}));
    std::vector<std::string> experts;
    for (auto const& [key, planned] : made.tasks())
        if (work::kind_of(planned.task) == "train") experts.push_back(key);
    auto const& key = made.cells()[2].answer.key;
    auto const& pass = std::get<work::Infer>(made.task(key).task);
    ASSERT_TRUE(pass.delta.has_value());
    EXPECT_FALSE(pass.adapter.has_value());
    EXPECT_EQ(made.task(key).after, experts);
    EXPECT_EQ(pass.model, "ties(biomedical, social_media, stem, space=delta)");
    auto const file = plan("  delta: merge(ours)\n  factor: merge(ours, space=factor)\n", {"merge.space=delta"});
    EXPECT_EQ(file.cells()[0].answer.key, key);
    EXPECT_EQ(file.cells()[2].answer.key, made.cells()[0].answer.key);
    auto const other = plan("  delta: merge(ours, space=delta, density=0.2)\n");
    EXPECT_NE(other.cells()[0].answer.key, key);
    work::Rates const rates;  // a pass merges three adapters before it decodes
    EXPECT_NEAR(rates.of(made.task(key).task).seconds,
                rates.of(made.task(made.cells()[0].answer.key).task).seconds + 3 * rates.of("merge").seconds, 1e-9);
}

TEST_F(Planning, InDeltaSpaceSeedsARandomMergeByThePass) {
    auto const passes = [&](std::string const& how) {
        return kinds(plan(fmt::format("  a: merge(ours, {}, space=delta)\n", how), {"seeds={merge: [0, 1]}"}))["infer"];
    };
    EXPECT_EQ(passes("dare_ties"), 4);
    EXPECT_EQ(passes("ties"), 2);
}

TEST_F(Planning, InDeltaSpaceTakesOneExpertAsItIsUnlessSettingsChangeIt) {
    auto const made = plan(
        "  one: merge(pool(stem), space=delta)\n  expert: expert(ours, stem)\n  twice: merge(pool(stem), space=delta, "
        "lambda=2)\n");
    EXPECT_EQ(made.cells()[0].answer.key, made.cells()[2].answer.key);
    EXPECT_TRUE(std::get<work::Infer>(made.task(made.cells()[4].answer.key).task).delta.has_value());
}

TEST_F(Planning, RefusesMethodsThatTheSpaceDoesNotHaveBeforeAnySelectionIsMade) {
    auto const refused = [&](std::string const& arguments, std::vector<std::string> const& overrides = {}) {
        try {
            plan(fmt::format("  a: merge(select(ours, similarity, 2), {})\n", arguments), overrides);
        } catch (InputError const& error) {
            return describe(error);
        }
        return std::string{"accepted"};
    };
    EXPECT_THAT(refused("ties_svd, space=delta"),
                AllOf(HasSubstr("ties_svd"), HasSubstr("experiment.yaml:6:57"), HasSubstr("use ties,")));
    EXPECT_THAT(refused("svd, space=delta"), HasSubstr("use linear,"));
    EXPECT_THAT(refused("cat, space=delta"), HasSubstr("use linear,"));
    EXPECT_THAT(refused("cat", {"merge.space=delta"}), HasSubstr("experiment.yaml:6:41"));
    EXPECT_THAT(refused("model_stock"), AllOf(HasSubstr("experiment.yaml:6:41"), HasSubstr("space=delta")));
    EXPECT_THAT(refused("space=deltas"), HasSubstr("did you mean 'delta'"));
    for (auto const* taken : {"model_stock, space=delta", "model_stock_svd", "linear, space=delta"})
        EXPECT_EQ(refused(taken), "accepted") << taken;
}

TEST_F(Planning, GivesWeightsInTheOrderOfTheSelectionOrByMetric) {
    auto made = plan(
        "  fixed: merge(select(ours, similarity, 3), weights=[1.5, 1, 0.5])\n  metric: merge(select(ours, similarity, "
        "3), weights=metric)\n");
    finish_all(made);
    std::vector<double> sums;
    for (auto const& [key, planned] : made.tasks()) {
        auto const* const merge = as<work::Merge>(planned);
        if (!merge) continue;
        auto weights = merge->recipe.weights;
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

TEST_F(Planning, RepeatsOnlyWhatASeedOfAMapHasAnInfluenceOn) {
    auto made = plan("  se: merge(select(ours, sampling, 2))\n", {"seeds={train: 0, sample: [1, 2, 3]}"});
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"train", 3},
                                                       {"encode", 3 + 2},
                                                       {"infer", 3 * 3 * 2},  // seeds, experts, targets
                                                       {"select", 3 * 2}}));
    std::set<std::uint64_t> drawn;
    for (auto const& [key, planned] : made.tasks()) {
        auto const* const infer = as<work::Infer>(planned);
        if (infer) drawn.insert(std::get<work::Sample>(infer->texts.views.back()).seed);
    }
    EXPECT_EQ(drawn, (std::set<std::uint64_t>{1, 2, 3}));
    std::set<std::int64_t> labels;
    for (auto const& cell : made.cells()) {
        labels.insert(cell.repeat.label);
        EXPECT_EQ(cell.repeat.seeds.train, 0U);
    }
    EXPECT_EQ(labels, (std::set<std::int64_t>{0, 1, 2}));
    finish_all(made);
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
}

TEST_F(Planning, CallsARepeatByItsSeedOrNumbersThemWhereOneIsAMap) {
    auto const repeats = [&](std::string const& seeds) {
        std::vector<std::pair<std::int64_t, Seeds>> all;
        for (auto const& repeat : run({"seeds=" + seeds}).repeats) all.emplace_back(repeat.label, repeat.seeds);
        return all;
    };
    using Repeats = std::vector<std::pair<std::int64_t, Seeds>>;
    EXPECT_EQ(repeats("[0, 1]"), (Repeats{{0, {0, 0, 0, 0}}, {1, {1, 1, 1, 1}}}));
    EXPECT_EQ(repeats("[7, 3]"), (Repeats{{7, {7, 7, 7, 7}}, {3, {3, 3, 3, 3}}}));
    EXPECT_EQ(repeats("5"), (Repeats{{5, {5, 5, 5, 5}}}));
    EXPECT_EQ(repeats("{train: 4}"), (Repeats{{0, {4, 0, 0, 0}}}));
    EXPECT_EQ(repeats("[{train: 1, sample: 2, merge: 3, cluster: 4}, 9]"),
              (Repeats{{0, {1, 2, 3, 4}}, {1, {9, 9, 9, 9}}}));
    // Of every combination the seed of the sample varies fastest.
    EXPECT_EQ(repeats("{sample: [1, 2], train: [5, 6]}"),
              (Repeats{{0, {5, 1, 0, 0}}, {1, {5, 2, 0, 0}}, {2, {6, 1, 0, 0}}, {3, {6, 2, 0, 0}}}));
    EXPECT_EQ(run().repeats.size(), 1U);
}

TEST_F(Planning, RefusesSeedsThatAreUnknownRepeatedOrNone) {
    EXPECT_THAT([&] { run({"seeds={trian: 0}"}); }, ThrowsMessage<InputError>(HasSubstr("unknown seed trian")));
    try {
        run({"seeds={sampel: [1, 2]}"});
        FAIL();
    } catch (InputError const& error) {
        EXPECT_THAT(error.remedy(), HasSubstr("did you mean sample?"));
    }
    for (auto const* twice :
         {"[1, 1]", "{train: 0, sample: [1, 1]}", "[{train: 1}, {train: 1, merge: 0}]", "[0, {train: 0}]"}) {
        EXPECT_THAT([&] { run({std::string{"seeds="} + twice}); },
                    ThrowsMessage<InputError>(HasSubstr("a seed stands twice")))
            << twice;
    }
    for (auto const* bad : {"[]", "{sample: []}", "[-1]", "[1.5]", "one", "{train: [[1]]}", "{train: -1}"})
        EXPECT_THROW(run({std::string{"seeds="} + bad}), InputError) << bad;
}

TEST_F(Planning, FreezesSeedsSoThatTheyReadBackAsTheyWereNamed) {
    plan("  b: merge(ours)\n");
    auto const experiment = load_experiment(folder / "experiment.yaml");
    for (auto const* seeds : {"[3, 1]", "{train: 0, sample: [1, 2]}", "[{train: 1}, 4]"}) {
        auto const before = run({std::string{"seeds="} + seeds});
        write_atomically(folder / "frozen.yaml", frozen({experiment}, before));
        auto const after = load_frozen(folder / "frozen.yaml").run;
        ASSERT_EQ(after.repeats.size(), before.repeats.size());
        for (std::size_t i = 0; i < before.repeats.size(); ++i) {
            EXPECT_EQ(after.repeats[i].label, before.repeats[i].label) << seeds;
            EXPECT_EQ(after.repeats[i].seeds, before.repeats[i].seeds) << seeds;
        }
    }
}

TEST_F(Planning, HasTheSlotsOfADecodingPassInItsKeyWhereTheyChangeItsBits) {
    auto const key = [&](std::string const& dtype, std::string const& slots) {
        return key_of_kind(plan("  a: base\n", {"dtype=" + dtype, "infer.num_slots=" + slots}), "infer");
    };
    EXPECT_EQ(key("fp32", "3"), key("fp32", "4"));
    EXPECT_NE(key("bf16", "3"), key("bf16", "4"));
}

TEST_F(Planning, FailsTheCellsOfAFailedTaskAndNoOthers) {
    auto made = plan("  a: expert(ours, stem)\n  b: expert(ours, biomedical)\n");
    auto const keys = made.take_new();
    auto const broken = *std::ranges::find_if(keys, [&](std::string const& key) {
        auto const* const train = as<work::Train>(made.task(key));
        return train && train->recipe.parts.front().expert == "stem";
    });
    made.failed(broken);
    for (auto const& key : keys) {
        auto const after = made.task(key).after;
        if (key != broken && std::ranges::find(after, broken) == after.end())
            made.finished(key, nothing(made.task(key).task));
    }
    for (auto const& cell : made.cells())
        EXPECT_EQ(cell.status, cell.system == "a" ? Cell::Status::failed : Cell::Status::done);
}

TEST_F(Planning, FailsTheCellsThatWaitForALostSelection) {
    auto made = plan("  a: merge(select(ours, similarity, 2))\n  b: base\n");
    for (auto const& key : made.take_new()) {
        if (as<work::Encode>(made.task(key))) made.failed(key);
        if (as<work::Infer>(made.task(key))) made.finished(key, work::Pass{});
    }
    for (auto const& cell : made.cells())
        EXPECT_EQ(cell.status, cell.system == "a" ? Cell::Status::failed : Cell::Status::done);
}

TEST_F(Planning, RefusesWhatIsNotThereYetAndUnknownNames) {
    EXPECT_THAT([&] { plan("  a: split(pooled, 2, merge(ours))\n"); },
                ThrowsMessage<InputError>(HasSubstr("is not pooled")));
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
        return key_of_kind(plan("  b: merge(ours)\n", overrides), kind);
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
        return key_of_kind(plan(fmt::format("  b: merge(ours, {})\n", how), overrides), "merge");
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

/// The least key of each kind of task, cut to 16 digits.
std::map<std::string, std::string> least_keys(Plan const& plan) {
    std::map<std::string, std::string> least;
    for (auto const& [key, planned] : plan.tasks()) {
        auto const* const infer = as<work::Infer>(planned);
        auto& known = least[infer && infer->sampled() ? "infer of a sample" : std::string{work::kind_of(planned.task)}];
        if (known.empty()) known = key.substr(0, 16);  // they come in their order
    }
    return least;
}

/// A key is a promise to the artifacts of every earlier run. When this fails, results have changed: raise the task's
/// revision and put the new hash here. When results have not changed, keep the key as it was.
TEST_F(Planning, KeysOfARevisionStayAsTheyAre) {
    auto made = plan("  sam: union(merge(select(ours, similarity, 2)), merge(select(ours, sampling, 2)))\n");
    finish_all(made);
    EXPECT_EQ(least_keys(made), (std::map<std::string, std::string>{{"encode", "6bb5c61a2542303c"},
                                                                    {"infer", "2924d87561c6faa3"},
                                                                    {"infer of a sample", "1cd7cb1bdde583e3"},
                                                                    {"merge", "94da30908b35f3c1"},
                                                                    {"select", "1310880ab624b8dc"},
                                                                    {"train", "4c836b7a1eabd8d4"}}));
    EXPECT_EQ(least_keys(plan("  a: expert(pool(mix(ours, 4)), 1)\n")),
              (std::map<std::string, std::string>{
                  {"cluster", "5c80b4e42211642a"}, {"infer", "8c015db01e5325e6"}, {"train", "82acc77af90441cb"}}));
}

TEST_F(Planning, KeysOfATrainingAreThoseWithEveryDefaultWrittenOut) {
    auto const keys = [&](std::vector<std::string> const& overrides) {
        std::set<std::string> all;
        auto const made = plan("  b: merge(ours)\n", overrides);
        for (auto const& [key, planned] : made.tasks()) all.insert(key);
        return all;
    };
    EXPECT_EQ(
        keys({}),
        keys({"train={r: 8, lora_alpha: 64, use_rslora: false, target_modules: all-linear, learning_rate: 1.0e-3, "
              "lr_scheduler_type: cosine, warmup_ratio: 0.05, weight_decay: 0, max_grad_norm: 1, "
              "num_train_epochs: 3, max_steps: -1, batch_size: 16, micro_batch_size: 8, max_length: 2048, "
              "dtype: fp32, shuffle: true, seed: 0, checkpoint_every: 50}"}));
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

TEST_F(Planning, FreezesExperimentsInTheirOrderWhichIsNoDifference) {
    plan("  b: merge(ours)\n");
    auto first = load_experiment(folder / "experiment.yaml");
    auto second = first;
    first.name = "zebra";
    second.name = "ape";
    auto const text = frozen({first, second}, run());
    write_atomically(folder / "frozen.yaml", text);
    auto const back = load_frozen(folder / "frozen.yaml").experiments;
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[0].name, "zebra");
    EXPECT_EQ(back[1].name, "ape");
    auto const by_name = frozen({second, first}, run());  // as records of earlier versions have them
    EXPECT_NE(by_name, text);
    EXPECT_TRUE(differences(by_name, text).empty());
}

TEST_F(Planning, FreezesTheArithmeticOfALibraryAndNotThatOfItsOwnKernels) {
    plan("  b: merge(ours)\n");
    auto const experiment = load_experiment(folder / "experiment.yaml");
    work::Arithmetic const exact;
    EXPECT_EQ(frozen({experiment}, run(), {exact, exact}), frozen({experiment}, run()));
    work::Arithmetic const bf16{"cpu", Precision::bf16, "2.0", "CPU"};
    auto const text = frozen({experiment}, run({"dtype=bf16"}), {bf16, exact});
    write_atomically(folder / "frozen.yaml", text);
    auto const back = load_frozen(folder / "frozen.yaml");
    ASSERT_TRUE(back.arithmetic);
    EXPECT_EQ(back.arithmetic->model, bf16);
    EXPECT_EQ(back.arithmetic->encoder, exact);
    auto other = bf16;
    other.libtorch = "2.1";
    EXPECT_THAT(differences(text, frozen({experiment}, run({"dtype=bf16"}), {other, exact})),
                testing::ElementsAre("arithmetic.model.libtorch"));
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

TEST_F(Planning, TakesPathsInAFileRelativeToItAndThoseOfTheCommandLineToTheWorkingFolder) {
    fs::create_directories(folder / "runs");
    write_atomically(folder / "runs/x.yaml",
                     "base: ../models/m\nencoder: /models/e/\ndata: .\nstore: ../store\ndatasets: [mine, ../others]\n"
                     "experts: {zoo: {adapter: zoo}, bio: {datasets: [ncbi]}}\n"
                     "targets: {t: {texts: ../t.jsonl, types: [a], gold: t.gold.jsonl}, s: {dataset: ncbi}}\n");
    auto const at = [&](char const* name) { return (folder / name).string(); };
    auto const here = [](char const* name) { return (fs::current_path() / name).string(); };
    auto const read = load_run_file(folder / "runs/x.yaml");
    EXPECT_EQ(read.base, at("models/m"));
    EXPECT_EQ(read.encoder, "/models/e");
    EXPECT_EQ(read.data, at("runs"));
    EXPECT_EQ(read.store, at("store"));
    EXPECT_THAT(read.datasets, testing::ElementsAre(at("runs/mine"), at("others")));
    EXPECT_EQ(read.experts.at("zoo").adapter, at("runs/zoo"));
    EXPECT_THAT(read.experts.at("bio").datasets, testing::ElementsAre("ncbi"));
    EXPECT_EQ(read.targets.at("t").texts, at("t.jsonl"));
    EXPECT_EQ(read.targets.at("t").gold, at("runs/t.gold.jsonl"));
    auto const given = load_run_file(folder / "runs/x.yaml", {"base=m", "datasets=[d]", "experts.zoo.adapter=z",
                                                              "targets.u={texts: u, types: [a]}"});
    EXPECT_EQ(given.base, here("m"));
    EXPECT_EQ(given.encoder, "/models/e");
    EXPECT_THAT(given.datasets, testing::ElementsAre(here("d")));
    EXPECT_EQ(given.experts.at("zoo").adapter, here("z"));
    EXPECT_EQ(given.targets.at("u").texts, here("u"));
    EXPECT_EQ(given.targets.at("t").texts, at("t.jsonl"));
    // What is written of it can be read in any folder.
    EXPECT_EQ(to_yaml(parse_run_file(to_yaml(read), "x.yaml", {}, "/another")), to_yaml(read));
}

TEST_F(Planning, RefusesAPathThatIsThereOnlyRelativeToTheWorkingFolder) {
    TemporaryFolder const working;
    write_atomically(working / "m.gguf", "");
    fs::create_directories(working / "descriptions");
    auto const before = fs::current_path();
    fs::current_path(working.path());
    EXPECT_THAT(
        [&] {
            write_atomically(folder / "x.yaml", "encoder: e\nbase: m.gguf\n");
            load_run_file(folder / "x.yaml");
        },
        ThrowsMessage<InputError>(testing::AllOf(HasSubstr("base is 'm.gguf'"), HasSubstr("x.yaml:2:7"))));
    EXPECT_THAT(
        [&] {
            write_atomically(folder / "x.yaml", "encoder: e\nbase: m\ndatasets: [descriptions]\n");
            load_run_file(folder / "x.yaml");
        },
        ThrowsMessage<InputError>(HasSubstr("datasets is 'descriptions'")));
    write_atomically(folder / "x.yaml", "encoder: e\nbase: m\n");
    EXPECT_NO_THROW(load_run_file(folder / "x.yaml", {"base=m.gguf"}));
    fs::current_path(before);
}

TEST_F(Planning, RefusesARunFileWithUnknownKeysOrValuesOutOfRange) {
    EXPECT_THAT([&] { run({"merge.densty=0.5"}); }, ThrowsMessage<InputError>(HasSubstr("unknown key merge.densty")));
    EXPECT_THROW(run({"merge.density=0"}), InputError);
    EXPECT_THAT([&] { run({"merge.sign=totl"}); },
                ThrowsMessage<InputError>(HasSubstr("sign is 'totl' (command line: merge.sign=totl)")));
    EXPECT_THAT([&] { run({"merge.density=much"}); }, ThrowsMessage<InputError>(HasSubstr("'density' is \"much\"")));
    EXPECT_THAT([&] { run({"merge.space=deltas"}); }, ThrowsMessage<InputError>(HasSubstr("space is 'deltas'")));
    EXPECT_THROW(run({"merge=5"}), InputError);
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

/// What a run file is refused with: message and remedy.
std::string refusal(std::string const& text, std::vector<std::string> const& settings = {}) {
    try {
        parse_run_file(text, "run.yaml", settings);
    } catch (InputError const& error) {
        return describe(error);
    }
    return "accepted";
}

std::string refusal_of_setting(std::string const& setting) {
    return refusal(run_text, {setting});
}

TEST_F(Planning, NamesTheWordOfTheCommandLineWhereItIsWrong) {
    for (auto const* setting : {"merge.density=2",
                                "merge.sign=totl",
                                "merge.densty=1",
                                "merge=5",
                                "merge.space=deltas",
                                "train.r=0",
                                "train.r=abc",
                                "train.lr=1",
                                "train=3",
                                "train.max_steps=0",
                                "train.dtype=bf16",
                                "train.rank_pattern={q_proj: 0}",
                                "infer.num_slots=0",
                                "infer.num_slots=x",
                                "infer.slots=1",
                                "infer.fold=yes",
                                "experts.zoo={}",
                                "experts.zoo.samples=3",
                                "experts.zoo={datasets: ncbi}",
                                "experts.stem.datasets=[]",
                                "experts.stem.datasets=[a, a]",
                                "experts.stem.samples=0",
                                "targets.x={}",
                                "targets.science.sentences=-1",
                                "seeds=[-1]",
                                "prompt.parts={source: 2}",
                                "prompt.parts.mask=2",
                                "prompt.parts=x",
                                "prompt.layout=x",
                                "dtype=fp8",
                                "keep_empty=2",
                                "samples_between=[3, 1]",
                                "trian.r=1",
                                "max_steps=1"}) {
        EXPECT_THAT(refusal_of_setting(setting), HasSubstr(fmt::format("(command line: {})", setting)));
    }
}

TEST_F(Planning, NamesTheLineOfTheRunFileThatIsWrongNotThatOfItsMap) {
    auto const head = std::string{"base: b\nencoder: e\n"};
    for (auto const& [section, place] : std::map<std::string, std::string>{
             {"train:\n  seed: 1\n  r: 0\n", "r is 0 (run.yaml:5:6)"},
             {"train:\n  seed: 1\n  r: abc\n", "(run.yaml:5:6)"},
             {"train:\n  seed: 1\n  lr: 1\n", "unknown training option lr (run.yaml:5:7)"},
             {"train:\n  seed: 1\n  rank_pattern: {q_proj: 0}\n", "(run.yaml:5:17)"},
             {"train:\n  seed: 1\n  dtype: bf16\n", "(run.yaml:5:10)"},
             {"merge:\n  sign: total\n  density: 2\n", "(run.yaml:5:12)"},
             {"infer:\n  fold: auto\n  num_slots: 0\n", "(run.yaml:5:14)"},
             {"prompt:\n  parts:\n    source: 1\n    mask: 2\n", "(run.yaml:6:11)"},
             {"experts:\n  a:\n    samples: 1\n    datasets: [x, x]\n", "(run.yaml:6:15)"}}) {
        EXPECT_THAT(refusal(head + section), HasSubstr(place)) << section;
    }
}

TEST_F(Planning, TellsWhichKeyIsMeant) {
    for (auto const& [setting, remedy] :
         std::map<std::string, std::string>{{"train.lr=1", "did you mean learning_rate?"},
                                            {"train.epochs=1", "did you mean num_train_epochs?"},
                                            {"train.bs=1", "did you mean batch_size?"},
                                            {"train.alpha=1", "did you mean lora_alpha?"},
                                            {"train.dropout=1", "did you mean lora_dropout?"},
                                            {"train.rank=1", "did you mean r?"},
                                            {"infer.max_tokens=1", "did you mean infer.max_new_tokens?"},
                                            {"max_steps=1", "did you mean train.max_steps?"},
                                            {"lr=1", "did you mean train.learning_rate?"},
                                            {"density=1", "did you mean merge.density?"},
                                            {"num_slots=1", "did you mean infer.num_slots?"},
                                            {"layout=short", "did you mean prompt.layout?"},
                                            {"seed=1", "did you mean seeds?"},
                                            {"model=x", "did you mean base?"},
                                            {"target.x=1", "did you mean targets?"},
                                            {"experts.zoo.adaptor=x", "did you mean experts.zoo.adapter?"},
                                            {"experts.zoo.dataset=[x]", "did you mean experts.zoo.datasets?"}}) {
        EXPECT_THAT(refusal_of_setting(setting), HasSubstr(remedy)) << setting;
    }
    EXPECT_THAT(refusal("bas: b\nencoder: e\n"), HasSubstr("unknown key bas (run.yaml:1:1) — did you mean base?"));
    EXPECT_THAT(refusal("encoder: e\n"), HasSubstr("give it a text: The base model"));
}

TEST_F(Planning, TellsAnExpertWithoutDataWhatItNeeds) {
    for (auto const* expert : {"{}", "{samples: 3}"})
        EXPECT_THAT(refusal_of_setting(fmt::format("experts.zoo={}", expert)),
                    testing::AllOf(HasSubstr("expert 'zoo' has neither datasets nor adapter"),
                                   HasSubstr("name the data sets")));
    EXPECT_THAT(refusal_of_setting("experts.stem.datasets=wlpc"), HasSubstr("give it a list of texts"));
}

TEST_F(Planning, NamesDataSetsWithTheirSplits) {
    auto const of = [](std::string const& text) {
        ExpertRecipe recipe{{text}};
        auto const ref = recipe.refs().front();
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
        for (auto const& [key, planned] : made.tasks()) {
            if (as<work::Train>(planned)) result["train"] = key;
            auto const* const encode = as<work::Encode>(planned);
            if (encode && std::holds_alternative<work::Recipe>(encode->of)) result["encode"] = key;
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
    auto const& parts = back.run.prompt.parts;
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->source, 0.5);
    EXPECT_EQ(std::pair(parts->min_pairs, parts->max_pairs), std::pair(std::int64_t{1}, std::int64_t{2}));
}

TEST_F(Planning, ExpectsAutomaticSizesWithinTheirBoundsForItsCosts) {
    write_atomically(folder / "e.yaml", "experiment: e\ntargets: [science]\nrows:\n  b: expert(pool(stem), stem)\n");
    auto const cost = [&](std::int64_t there) {
        auto const file = run({"experts.stem.samples=auto"});
        auto given = inputs_of(file);
        given.experts["stem"].sentences = there;
        Plan const made{{load_experiment(folder / "e.yaml")}, file, given};
        for (auto const& [key, planned] : made.tasks()) {
            if (as<work::Train>(planned)) return work::Rates{}.of(planned.task).seconds;
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
    for (auto const& [key, planned] : made.tasks()) {
        if (auto const* const cluster = as<work::Cluster>(planned)) {
            clusters.insert(key);
            EXPECT_EQ(cluster->clusters, 4);
            EXPECT_EQ(cluster->recipe.parts.size(), 1U);
        }
    }
    for (auto const& [key, planned] : made.tasks()) {
        auto const* const train = as<work::Train>(planned);
        if (!train) continue;
        EXPECT_EQ((std::set<std::string>{planned.after.begin(), planned.after.end()}), clusters);
        auto const& parts = train->recipe.parts;
        ASSERT_EQ(parts.size(), 3U);
        for (auto const& part : parts) {
            ASSERT_TRUE(part.cluster);
            EXPECT_TRUE(clusters.contains(part.cluster->labels.key));
            EXPECT_EQ(part.cluster->index, parts.front().cluster->index);
        }
        indices.insert(parts.front().cluster->index);
    }
    EXPECT_EQ(indices, (std::set<std::int64_t>{0, 1, 2, 3}));
    EXPECT_THAT([&] { plan("  a: merge(pool(mix(pool(mix(ours, 2)), 2)))\n"); },
                ThrowsMessage<InputError>(HasSubstr("a mix of mixed experts")));
}

/// Similarity takes the first, sampling the last of a pool.
bool samples(work::Select const& select) {
    return select.metric == work::Metric::sampling;
}

std::vector<std::vector<std::string>> merged_names(Plan const& plan) {
    std::vector<std::vector<std::string>> all;
    for (auto const& [key, planned] : plan.tasks())
        if (auto const* const merge = as<work::Merge>(planned)) all.push_back(merge->recipe.names);
    return all;
}

TEST_F(Planning, UnitesSetsByTheBestRankInEither) {
    std::string const sets = "select(ours, similarity, 2), select(ours, sampling, 2)";
    auto made = plan("  all: merge(unite(" + sets + "))\n");
    EXPECT_EQ(made.totals().open, 2);
    finish(made, samples);
    using Names = std::vector<std::vector<std::string>>;
    EXPECT_EQ(merged_names(made), (Names{{"biomedical", "stem", "social_media"}}));
    auto cut = plan("  two: merge(unite(" + sets + ", cut=2))\n");
    finish(cut, samples);
    EXPECT_EQ(merged_names(cut), (Names{{"biomedical", "stem"}}));
    auto pools = plan("  pools: merge(unite(pool(stem), ours))\n");
    EXPECT_EQ(merged_names(pools), (Names{{"stem", "biomedical", "social_media"}}));
}

/// The experts that are merged for a row on a target, in the order of their names.
std::vector<std::string> merged_for(Plan const& plan, std::string const& target, std::string const& row = "a",
                                    std::int64_t repeat = 0) {
    for (auto const& cell : plan.cells()) {
        if (cell.target != target || cell.system != row || cell.repeat.label != repeat) continue;
        auto const& pass = std::get<work::Infer>(plan.task(cell.answer.key).task);
        auto names = std::get<work::Merge>(plan.task(pass.adapter->key).task).recipe.names;
        std::ranges::sort(names);
        return names;
    }
    return {};
}

TEST_F(Planning, DrawsRandomExpertsByTheSampleSeedTheTargetAndTheDraw) {
    std::vector<std::string> const names{"biomedical", "social_media", "stem"};
    auto const drawn = [&](std::uint64_t seed, std::string const& purpose) {
        auto const order = RandomStream{seed, purpose}.permutation(3);
        std::vector<std::string> two{names[order[0]], names[order[1]]};
        std::ranges::sort(two);
        return two;
    };
    for (int draw = 1; draw <= 6; ++draw) {
        auto const made =
            plan(fmt::format("  a: merge(random(ours, 2, draw={}))\n", draw), {"seeds={train: 0, sample: [0, 5]}"});
        EXPECT_EQ(made.totals().open, 0) << "nothing has to be known before";
        EXPECT_EQ(merged_for(made, "science"), drawn(0, fmt::format("random experts/crossner-science/{}", draw)));
        EXPECT_EQ(merged_for(made, "politics"), drawn(0, fmt::format("random experts/crossner-politics/{}", draw)));
        EXPECT_EQ(merged_for(made, "science", "a", 1),
                  drawn(5, fmt::format("random experts/crossner-science/{}", draw)));
    }
}

TEST_F(Planning, DrawsTheSameRandomExpertsWhateverTheOrderOfThePool) {
    auto const made = plan(
        "  a: merge(random(ours, 2, draw=3))\n  b: merge(random(pool(stem, social_media, biomedical), 2, draw=3))\n");
    EXPECT_EQ(kinds(made)["train"], merged_for(made, "science") == merged_for(made, "politics") ? 2 : 3);
    for (auto const* target : {"science", "politics"})
        EXPECT_EQ(merged_for(made, target, "a"), merged_for(made, target, "b"));
}

TEST_F(Planning, TakesTheFirstOfARandomDrawForASmallerOne) {
    auto const made = plan("  a: merge(random(ours, 2))\n  b: merge(random(ours, 1))\n  c: merge(random(ours, 3))\n");
    EXPECT_EQ(merged_for(made, "science", "c").size(), 3U);
    for (auto const& cell : made.cells()) {
        if (cell.system != "b") continue;
        auto const& alone = std::get<work::Infer>(made.task(cell.answer.key).task).model;
        EXPECT_THAT(merged_for(made, cell.target), testing::Contains(alone));
    }
}

TEST_F(Planning, RefusesRandomDrawsThatThePoolDoesNotHave) {
    auto const refused = [&](std::string const& row, std::string const& what) {
        EXPECT_THAT([&] { plan("  a: " + row + "\n"); },
                    ThrowsMessage<InputError>(AllOf(HasSubstr(what), HasSubstr("experiment.yaml:6:"))));
    };
    refused("merge(random(ours, 4))", "m is 4, but the pool has 3 experts");
    refused("merge(random(ours, 0))", "m is 0");
    refused("merge(random(ours, 2, draw=0))", "draw is 0");
    refused("merge(random(ours, 2, draw=1.5))", "draw is 1.5");
}

TEST_F(Planning, MergesAsManyExpertsAsARuleHasChosen) {
    auto made = plan("  a: merge(select(ours, similarity, gap), weights=metric)\n");
    EXPECT_EQ(made.totals().open, 2);
    for (auto keys = made.take_new(); !keys.empty(); keys = made.take_new()) {
        for (auto const& key : keys) {
            auto const task = made.task(key).task;
            auto result = nothing(task);
            if (auto const* const select = std::get_if<work::Select>(&task)) {
                EXPECT_EQ(select->rule, work::Rule::gap);
                bool const science = select->target == made.inputs().targets.at("science").texts;
                std::vector<std::string> const two{"stem", "biomedical"};
                result = work::Selection{science ? two : std::vector{two.front()},
                                         {{"stem", 0.5}, {"biomedical", 0.25}, {"social_media", 0.125}}};
            }
            made.finished(key, result);
        }
    }
    EXPECT_EQ(merged_for(made, "science"), (std::vector<std::string>{"biomedical", "stem"}));
    for (auto const& cell : made.cells()) {
        if (cell.target == "politics") {
            auto const& pass = std::get<work::Infer>(made.task(cell.answer.key).task);
            EXPECT_EQ(pass.model, "stem") << "one alone is that expert";
        }
    }
}

TEST_F(Planning, SelectsByARuleUnderAKeyOfItsOwn) {
    std::set<std::string> keys;
    for (auto const* m : {"3", "gap", "mean"}) {
        auto const made = plan(fmt::format("  a: merge(select(ours, similarity, {}))\n", m));
        for (auto const& [key, planned] : made.tasks())
            if (as<work::Select>(planned)) keys.insert(key);
    }
    EXPECT_EQ(keys.size(), 3U * 2) << "on two targets";
}

TEST_F(Planning, RefusesRulesThatAreNotThereAndWeightsListedForOne) {
    auto const refused = [&](std::string const& row, std::string const& what, std::string const& remedy) {
        EXPECT_THAT([&] { plan("  a: " + row + "\n"); },
                    ThrowsMessage<InputError>(AllOf(HasSubstr(what), HasSubstr("experiment.yaml:6:"))));
        try {
            plan("  a: " + row + "\n");
        } catch (InputError const& error) {
            EXPECT_THAT(error.remedy(), HasSubstr(remedy));
        }
    };
    refused("merge(select(ours, similarity, gaps))", "'m' of 'select' is 'gaps'", "did you mean 'gap'?");
    refused("merge(select(ours, similarity, m=4))", "m is 4, but the pool has 3 experts", "smaller m");
    refused("merge(select(ours, similarity, mean), weights=[1, 2])", "weights are listed for a set whose size",
            "weigh by metric or equal");
    refused("merge(random(ours, mean))", "'m' of 'random' is a name ('mean')", "give a number");
}

TEST_F(Planning, SelectsByTheTypesOfTheTargetAndOfAnExpertsCorpora) {
    auto made = plan("  a: merge(select(pool(biomedical, social_media), types, 1))\n");
    // Two domains, two experts' types, and of each of two targets texts and types; nothing is sampled.
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"encode", 8}, {"select", 2}}));
    auto const types_of = [&](work::Input const& input) {
        return std::get<work::Types>(std::get<work::Encode>(made.task(input.key).task).of).texts;
    };
    for (auto const& [key, planned] : made.tasks()) {
        auto const* const select = as<work::Select>(planned);
        if (!select) continue;
        using Texts = std::vector<std::string>;
        EXPECT_EQ(types_of(*select->experts[0].type_centroid), (Texts{"chemical: a compound", "disease: an illness"}))
            << "each once";
        EXPECT_EQ(types_of(*select->experts[1].type_centroid), (Texts{"person: a human being"}));
        bool const science = select->target == made.inputs().targets.at("science").texts;
        EXPECT_EQ(types_of(*select->target_type_centroid),
                  science ? (Texts{"chemical: a compound", "person: a human being"}) : Texts{"party: a party"});
    }
}

TEST_F(Planning, SelectsBySimilarityAndTypesWithoutSampling) {
    auto const made = plan("  a: merge(select(pool(biomedical, social_media), similarity_types, 1))\n");
    EXPECT_EQ(kinds(made), (std::map<std::string, int>{{"encode", 8}, {"select", 2}}));
}

TEST_F(Planning, KeysOfTypesChangeWithTheirDefinitionsAndNotWithWhoseTheyAre) {
    auto const keys = [&](std::string const& definition) {
        auto const file = run();
        write_atomically(folder / "experiment.yaml",
                         "experiment: e\ntargets: [science]\nrows:\n  a: merge(select(pool(biomedical, social_media), "
                         "types, 1))\n");
        auto inputs = inputs_of(file);
        inputs.types["broadtweet"] = {definition};
        Plan const made{{load_experiment(folder / "experiment.yaml")}, file, inputs};
        std::set<std::string> found;
        for (auto const& [key, planned] : made.tasks()) {
            auto const* const encode = as<work::Encode>(planned);
            if (encode && std::holds_alternative<work::Types>(encode->of)) found.insert(key);
        }
        return found;
    };
    EXPECT_EQ(keys("person: a human being").size(), 3U);
    EXPECT_NE(keys("person: somebody"), keys("person: a human being"));
    EXPECT_EQ(keys("disease: an illness").size(), 3U);
}

TEST_F(Planning, RefusesToSelectByTypesThatAreNotKnown) {
    EXPECT_THAT([&] { plan("  a: merge(select(ours, types, 1))\n"); },
                ThrowsMessage<InputError>(HasSubstr("no types are known of stem")));
}

TEST_F(Planning, IntersectsSetsAndTakesTheFusedFirstForNone) {
    auto made = plan(
        "  both: merge(intersect(select(ours, similarity, 2), select(ours, sampling, 2)))\n  it: expert(ours, "
        "social_media)\n");
    finish(made, samples);
    EXPECT_EQ(made.cells()[0].answer.key, made.cells()[2].answer.key);
    // With one each there is none in both: another selection, on as many sentences, decides.
    auto none = plan(
        "  both: merge(intersect(select(ours, similarity, 1), select(ours, sampling, 1, k=7)))\n  it: expert(ours, "
        "biomedical)\n");
    EXPECT_EQ(kinds(none)["select"], 4);
    finish(none, samples);
    EXPECT_EQ(kinds(none)["select"], 6);
    EXPECT_EQ(none.cells()[0].answer.key, none.cells()[2].answer.key);
    for (auto const& [key, planned] : none.tasks()) {
        auto const* const select = as<work::Select>(planned);
        if (!select || select->metric != work::Metric::fused) continue;
        EXPECT_EQ(select->m, 1);
        auto const& votes = std::get<work::Infer>(none.task(select->experts.front().predictions->key).task);
        EXPECT_EQ(std::get<work::Sample>(votes.texts.views.back()).k, 7);
    }
}

TEST_F(Planning, SplitsATargetAndEvaluatesASystemForEachCluster) {
    std::string const system = "merge(select(ours, similarity, 2))";
    auto made = plan("  two: split(target, 2, " + system + ")\n  one: split(target, 1, " + system +
                     ")\n  it: " + system + "\n");
    EXPECT_EQ(kinds(made)["cluster"], 2) << "one a target";
    EXPECT_EQ(kinds(made)["select"], 2 * (2 + 1));
    EXPECT_EQ(made.totals().passes_asked, 2 * (2 + 1 + 1));
    EXPECT_EQ(made.totals().sentences_asked, 3 * 110) << "clusters are parts of a target";
    finish_all(made);
    auto const& two = made.cells()[0].answer;
    EXPECT_EQ(two.kind, work::Answer::Kind::clusters);
    ASSERT_EQ(two.parts.size(), 2U);
    EXPECT_NE(two.parts[0].key, two.parts[1].key);
    for (std::int64_t i = 0; i < 2; ++i) {
        auto const& pass = std::get<work::Infer>(made.task(two.parts[static_cast<std::size_t>(i)].key).task);
        EXPECT_EQ(std::get<work::OfCluster>(pass.texts.views.back()), (work::OfCluster{{two.key}, i}));
        EXPECT_THAT(made.task(two.parts[static_cast<std::size_t>(i)].key).after, testing::Contains(two.key));
    }
    EXPECT_EQ(made.cells()[2].answer.key, made.cells()[4].answer.key) << "one cluster is the target";
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
    EXPECT_THAT([&] { plan("  a: split(target, 51, merge(ours))\n"); },
                ThrowsMessage<InputError>(HasSubstr("51 clusters of 50 sentences of 'science'")));
}

TEST_F(Planning, DrawsTheAnswersOfAModelSeveralTimes) {
    auto const passes = [&](std::string const& rows, std::vector<std::string> const& overrides = {}) {
        auto const made = plan(rows, overrides);
        auto keys = made.cells()[0].answer.passes();
        keys.merge(made.cells()[1].answer.passes());
        return keys;
    };
    auto const three = passes("  a: vote(sample(base, n=3, temperature=0.7))\n");
    EXPECT_EQ(three.size(), 2U * 3);
    auto const more = passes("  a: vote(sample(base, n=4, temperature=0.7))\n");
    EXPECT_TRUE(std::ranges::includes(more, three)) << "a further answer leaves the others as they are";
    auto const none_of = [&](std::set<std::string> const& others) {
        return std::ranges::none_of(others, [&](auto const& key) { return three.contains(key); });
    };
    EXPECT_TRUE(none_of(passes("  a: vote(sample(base, n=3, temperature=0.8))\n")));
    EXPECT_TRUE(none_of(passes("  a: vote(sample(base, n=3))\n", {"seeds={train: 0, sample: 5}"})));
    EXPECT_TRUE(none_of(passes("  a: base\n")));
}

TEST_F(Planning, LetsExpertsAnswerASampleSeveralTimesForASelection) {
    auto const keys = [&](std::string const& arguments, std::string const& kind) {
        auto const made = plan(fmt::format("  a: merge(select(ours, sampling, 2{}))\n", arguments));
        std::set<std::string> all;
        for (auto const& [key, planned] : made.tasks())
            if (work::kind_of(planned.task) == kind) all.insert(key);
        return all;
    };
    auto const usual = keys("", "select");
    EXPECT_EQ(keys(", answers=1", "select"), usual);
    EXPECT_EQ(keys(", answers=1", "infer"), keys("", "infer"));
    EXPECT_EQ(keys(", answers=3", "infer").size(), 3 * 3 * 2U) << "answers, experts, targets";
    EXPECT_EQ(keys(", answers=3, temperature=0.7", "select"), keys(", answers=3", "select"));
    std::set<std::set<std::string>> const distinct{usual, keys(", answers=2", "select"), keys(", answers=3", "select"),
                                                   keys(", answers=3, temperature=0.9", "select")};
    EXPECT_EQ(distinct.size(), 4U);
    auto const made = plan("  a: merge(select(ours, fused, 2, k=5, answers=2))\n", {"seeds=[4]"});
    auto const& select = std::get<work::Select>(made.task(key_of_kind(made, "select")).task);
    for (auto const& expert : select.experts) {
        auto const answers = expert.answers();
        ASSERT_EQ(answers.size(), 2U);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            auto const& pass = std::get<work::Infer>(made.task(answers[i].key).task);
            EXPECT_EQ(pass.sampling, (work::Sampling{0.7, 4, i}));
            EXPECT_EQ(pass.sentences, 5);
            EXPECT_TRUE(pass.sampled());
        }
    }
    EXPECT_EQ(made.totals().passes_run, 0) << "a sampling evaluation is no pass over a target";
    // What stands in for an empty intersection goes by the same answers.
    auto none = plan("  a: merge(intersect(select(ours, similarity, 1), select(ours, sampling, 1, answers=2)))\n");
    finish(none, [](work::Select const& task) { return task.metric == work::Metric::sampling; });
    for (auto const& [key, planned] : none.tasks()) {
        auto const* const task = as<work::Select>(planned);
        if (!task || task->metric != work::Metric::fused) continue;
        EXPECT_EQ(task->experts.front().answers().size(), 2U);
    }
}

TEST_F(Planning, RefusesAnswersOfASelectionThatMakeNoSense) {
    for (auto const& [arguments, message] : std::map<std::string, std::string>{
             {"sampling, answers=0", "answers is 0"},
             {"sampling, answers=2.5", "answers is 2.5"},
             {"sampling, answers=2, temperature=0", "the temperature is not above 0"},
             {"sampling, temperature=0.7", "'temperature' has no influence on a single answer"},
             {"similarity, answers=2", "'answers' has no influence on similarity"},
             {"types, answers=2", "'answers' has no influence on types"}}) {
        EXPECT_THAT([&] { plan(fmt::format("  a: merge(select(ours, {}))\n", arguments)); },
                    ThrowsMessage<InputError>(AllOf(HasSubstr(message), HasSubstr("experiment.yaml:6:"))))
            << arguments;
    }
}

TEST_F(Planning, BoundsThePassesOfOpenSelectionsFromBothSides) {
    auto made = plan(
        "  base: base\n  a: merge(select(ours, similarity, 2))\n  sam: union(merge(select(ours, similarity, 2)), "
        "merge(select(ours, sampling, 2)))\n");
    auto const before = made.totals();
    EXPECT_EQ(before.passes_run, 2);
    // Two rows wait for the same merge.
    EXPECT_EQ(before.passes_most, 2 + 2 * 2);
    EXPECT_EQ(before.sentences_most, 110 + 2 * 110);
    finish_all(made);
    auto const after = made.totals();
    EXPECT_GE(after.passes_run, before.passes_run);
    EXPECT_LE(after.passes_run, before.passes_most);
    EXPECT_EQ(after.passes_most, after.passes_run);
}

class PlannedTargets : public Planning {
protected:
    Plan plan_on(std::string const& targets, std::string const& rows, std::string const& more = "",
                 std::vector<std::string> const& overrides = {"targets.politics.sentences=50"}) {
        write_atomically(folder / "experiment.yaml",
                         fmt::format("experiment: e\ntargets: {}\nlet: {{ours: 'pool(biomedical, social_media, stem)'}}"
                                     "\n{}rows:\n{}",
                                     targets, more, rows));
        auto const file = run(overrides);
        return Plan{{load_experiment(folder / "experiment.yaml")}, file, inputs_of(file)};
    }
    static std::vector<work::Infer> passes(Plan const& plan) {
        std::vector<work::Infer> all;
        for (auto const& [key, planned] : plan.tasks())
            if (auto const* const infer = as<work::Infer>(planned); infer && !infer->sampled()) all.push_back(*infer);
        return all;
    }
};

TEST_F(PlannedTargets, OfOneSentenceAreDrawnAnewInEachTrialAndRepeat) {
    auto const made =
        plan_on("{one_sentence: {of: [science, politics], trials: 3}}", "  b: base\n", "", {"seeds=[0, 1]"});
    EXPECT_EQ(made.cells().size(), 2U * 3 * 2);
    std::set<std::uint64_t> drawn;
    for (auto const& pass : passes(made)) {
        EXPECT_EQ(pass.sentences, 1);
        drawn.insert(std::get<work::OneSentence>(pass.texts.views.back()).trial);
    }
    EXPECT_THAT(drawn, testing::ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_EQ(passes(made).size(), 2U * 6);
    EXPECT_EQ(made.totals().sentences_asked, 12);
}

TEST_F(PlannedTargets, OfOneSentenceAreAllThatSelectionsSee) {
    auto made = plan_on("{one_sentence: [science]}", "  a: merge(select(ours, fused, 2, k=10))\n");
    EXPECT_EQ(made.cells().size(), 5U) << "trials";
    for (auto const& [key, planned] : made.tasks()) {
        auto const* const select = as<work::Select>(planned);
        if (!select) continue;
        EXPECT_TRUE(std::holds_alternative<work::OneSentence>(select->target.views.back()));
    }
    EXPECT_THAT(warnings(made.experiments(), made.run(), made.inputs()), testing::IsEmpty());
}

TEST_F(PlannedTargets, ThatArePooledAreOneTargetWithAColumnForEach) {
    auto made = plan_on("{pooled: [science, politics]}",
                        "  one: split(pooled, 1, merge(select(ours, similarity, 2)))\n"
                        "  two: split(pooled, 2, merge(select(ours, similarity, 2)))\n");
    ASSERT_EQ(made.cells().size(), 2U * 3);
    std::vector<std::string> columns;
    for (auto const& cell : made.cells()) columns.push_back(cell.target);
    EXPECT_THAT(columns, testing::ElementsAre("science", "politics", "pooled", "science", "politics", "pooled"));
    EXPECT_EQ(made.cells()[1].source, 1U);
    EXPECT_FALSE(made.cells()[2].source);
    finish_all(made);
    for (auto const& pass : passes(made)) EXPECT_EQ(pass.texts.sources.size(), 2U);
    EXPECT_EQ(passes(made).size(), 1U + 2) << "all columns read the same passes";
    EXPECT_EQ(made.totals().passes_asked, 1 + 2);
    EXPECT_THAT([&] { plan_on("{pooled: [science, politics]}", "  b: base\n", "", {}); },
                ThrowsMessage<InputError>(HasSubstr("other `sentences`")));
}

TEST_F(PlannedTargets, ThatAreDomainsAreTheTestSetsOfExperts) {
    auto made = plan_on("{domains: [biomedical, stem]}", "  b: base\n  s: expert(without(ours, target), 1)\n");
    for (auto const& pass : passes(made))
        EXPECT_EQ(pass.texts.sources.size(), pass.texts.name().starts_with("bc5cdr") ? 2U : 1U);
    EXPECT_EQ(passes(made).size(), 2U * 2);
    EXPECT_THAT([&] { plan_on("{domains: [biomed]}", "  b: base\n"); },
                ThrowsMessage<InputError>(HasSubstr("which the run file has no expert of")));
}

TEST_F(PlannedTargets, ThatAreExcludedAreNeitherComputedNorPending) {
    auto made = plan_on("{domains: [biomedical, social_media, stem]}", "  'e_{d}': 'expert(ours, {d})'\n  b: base\n",
                        "for: {d: [biomedical, stem]}\nexclude: d == target and d != stem\n");
    std::vector<std::string> excluded;
    for (auto const& cell : made.cells())
        if (cell.status == Cell::Status::excluded) excluded.push_back(cell.system + " on " + cell.target);
    EXPECT_THAT(excluded, testing::ElementsAre("e_biomedical on biomedical"));
    EXPECT_EQ(passes(made).size(), 2U * 3 - 1 + 3);
    finish_all(made);
    EXPECT_EQ(std::ranges::count(made.cells(), Cell::Status::done, &Cell::status), std::ssize(made.cells()) - 1);
    for (std::string const wrong : {"d = target", "d ==", "'a == b'", "d == target or d == stem"})
        EXPECT_THROW(plan_on("[science]", "  'e_{d}': 'expert(ours, {d})'\n",
                             fmt::format("for: {{d: [stem]}}\nexclude: {}\n", wrong)),
                     InputError)
            << wrong;
}

TEST_F(PlannedTargets, ThatAreFrozenAreReadAsTheyWere) {
    write_atomically(folder / "values.yaml",
                     "rows:\n  - {system: old, base: n/a, cells: {stem: 12.5, biomedical: null}, average: 12.5}\n"
                     "  - {system: b, base: llama, cells: {stem: 20}, doubtful_columns: [stem]}\n");
    auto const made = plan_on("{domains: [biomedical, stem]}", "  'e_{d}': 'expert(ours, {d})'\n",
                              "for: {d: [biomedical, stem]}\nexclude: d == target\npublished: [old]\naverage: mean\n"
                              "paper: {table: 9, values: values.yaml}\n");
    auto const text = frozen(made.experiments(), made.run());
    write_atomically(folder / "frozen.yaml", text);
    auto const again = load_frozen(folder / "frozen.yaml");
    EXPECT_EQ(frozen(again.experiments, again.run), text);
    auto const& experiment = again.experiments.front();
    EXPECT_EQ(experiment.targets.kind, Targets::Kind::domains);
    EXPECT_THAT(experiment.published, testing::ElementsAre("old"));
    EXPECT_EQ(experiment.paper, made.experiments().front().paper);
    EXPECT_EQ(experiment.paper->place, "Table 9");
    EXPECT_THAT(experiment.rows[0].excluded, testing::ElementsAre("biomedical"));
}

TEST_F(PlannedTargets, SaySoWhereARowMergesAnEmptySet) {
    auto made = plan_on(
        "[science]", "  m: merge(intersect(select(ours, similarity, 1), select(ours, sampling, 1), if_empty=none))\n");
    finish(made, [](work::Select const& select) { return select.metric == work::Metric::sampling; });
    EXPECT_EQ(made.cells().front().status, Cell::Status::empty_set);
    EXPECT_TRUE(passes(made).empty());
}

TEST_F(PlannedTargets, LeaveADataSetToTheExpertOfThePoolThatHasItAlone) {
    std::vector<std::string> const narrower{"experts.disease={datasets: [ncbi], samples: 50}",
                                            "targets.politics.sentences=50"};
    auto const parts = [&](std::string const& rows) {
        auto const made = plan_on("[science]", rows, "", narrower);
        std::map<std::string, std::vector<std::string>> data;
        for (auto const& [key, planned] : made.tasks())
            if (auto const* const train = as<work::Train>(planned))
                for (auto const& part : train->recipe.parts)
                    for (auto const& source : part.data) data[part.expert].push_back(source.dataset);
        return std::pair{data, warnings(made.experiments(), made.run(), made.inputs())};
    };
    auto const [apart, notes] = parts("  u: unified(pool(biomedical, disease, stem))\n");
    EXPECT_THAT(apart.at("biomedical without ncbi"), testing::ElementsAre("bc5cdr"));
    EXPECT_THAT(apart.at("disease"), testing::ElementsAre("ncbi"));
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_THAT(notes.front(), HasSubstr("'biomedical' is trained without ncbi"));
    auto const [together, none] = parts("  u: unified(pool(biomedical, stem))\n");
    EXPECT_THAT(together.at("biomedical"), testing::ElementsAre("bc5cdr", "ncbi"));
    EXPECT_TRUE(none.empty());
}

TEST_F(Planning, TakesExpertsThatExistAsTheyAre) {
    std::vector<std::string> const existing{"experts.zoo={adapter: some/zoo, texts: [wlpc]}",
                                            "experts.sea={adapter: some/sea}"};
    auto made = plan("  a: merge(select(pool(stem, zoo), similarity, 1))\n  b: merge(pool(zoo, sea))\n", existing);
    finish_all(made, false);
    EXPECT_EQ(kinds(made),
              (std::map<std::string, int>{{"encode", 4}, {"import", 2}, {"infer", 4}, {"merge", 1}, {"select", 2}}));
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
    auto const text = frozen(made.experiments(), made.run());
    write_atomically(folder / "frozen.yaml", text);
    auto const back = load_frozen(folder / "frozen.yaml");
    EXPECT_EQ(frozen(back.experiments, back.run), text);
    for (auto const& [row, message] :
         std::map<std::string, std::string>{{"merge(select(pool(stem, sea), similarity, 1))", "no texts of its domain"},
                                            {"unified(pool(stem, zoo))", "there is nothing to train on"},
                                            {"merge(pool(mix(pool(stem, zoo), 2)))", "there is nothing to train on"}}) {
        EXPECT_THAT([&] { plan(fmt::format("  a: {}\n", row), existing); },
                    ThrowsMessage<InputError>(HasSubstr(message)))
            << row;
    }
    EXPECT_THAT([&] { run({"experts.zoo={adapter: some/zoo, datasets: [wlpc]}"}); },
                ThrowsMessage<InputError>(HasSubstr("has an adapter, and data to train on")));
}

TEST_F(Planning, TakesTheSettingsOfAMergeFromTheRowAndTheRestFromTheRunFile) {
    auto const row =
        plan("  a: merge(ours, ties, density=0.2, sign=frequency, follow=peft-0.18)\n", {"merge.lambda=2"});
    auto const file = plan("  a: merge(ours)\n",
                           {"merge.lambda=2", "merge.density=0.2", "merge.sign=frequency", "merge.follow=peft-0.18"});
    EXPECT_EQ(key_of_kind(row, "merge"), key_of_kind(file, "merge"));
    EXPECT_NE(key_of_kind(row, "merge"), key_of_kind(plan("  a: merge(ours)\n"), "merge"));
    auto const swept = plan("  d1: merge(ours, density=0.2)\n  d2: merge(ours, density=0.5)\n  d3: merge(ours)\n");
    EXPECT_EQ(kinds(swept)["merge"], 2);
    write_atomically(folder / "frozen.yaml", frozen(row.experiments(), row.run()));
    auto const back = load_frozen(folder / "frozen.yaml");
    EXPECT_EQ(back.experiments[0].rows[0].term->text(), row.experiments()[0].rows[0].term->text());
}

TEST_F(Planning, RefusesSettingsOfAMergeThatItDoesNotHaveOrThatHaveNoInfluence) {
    for (auto const& [arguments, message] :
         std::map<std::string, std::string>{{"densty=0.2", "no parameter 'densty'"},
                                            {"gamma=0.1", "'gamma' has no influence on ties"},
                                            {"rank=4", "'rank' has no influence on ties"},
                                            {"density=2", "merge density is 2"},
                                            {"sign=most", "'sign' of 'merge' is 'most'"},
                                            {"density=total", "'density' of 'merge' is a name"},
                                            {"how=ties_svd, rank=2.5", "'rank' is 2.5"}}) {
        EXPECT_THAT([&] { plan(fmt::format("  a: merge(ours, {})\n", arguments)); },
                    ThrowsMessage<InputError>(HasSubstr(message)))
            << arguments;
    }
}

TEST_F(Planning, TakesAnExpertForItsMergeOnlyWhereTheSettingsLeaveItAsItIs) {
    EXPECT_EQ(kinds(plan("  a: merge(pool(stem))\n"))["merge"], 0);
    EXPECT_EQ(kinds(plan("  a: merge(pool(stem), density=0.2)\n"))["merge"], 0);
    EXPECT_EQ(kinds(plan("  a: merge(pool(stem), lambda=2)\n"))["merge"], 1);
    EXPECT_EQ(kinds(plan("  a: merge(pool(stem), follow=peft)\n"))["merge"], 1);
    EXPECT_EQ(kinds(plan("  a: merge(pool(stem), svd, rank=2)\n"))["merge"], 1);
}

TEST_F(Planning, TakesAMixOfOneClusterForAMixedExpert) {
    auto made = plan("  a: expert(pool(mix(ours, 1)), 1)\n");
    EXPECT_EQ(kinds(made)["cluster"], 3);
    EXPECT_THAT([&] { plan("  a: merge(pool(mix(pool(mix(ours, 1)), 2)))\n"); },
                ThrowsMessage<InputError>(HasSubstr("a mix of mixed experts")));
}

TEST_F(Planning, RefusesAPoolThatIsEmptyForOneTarget) {
    for (auto const* row :
         {"merge(without(pool(science), target))", "merge(without(pool(science), target), ties, metric)",
          "best_by_gold(without(pool(science), target))", "vote(each(without(pool(science), target)))"}) {
        EXPECT_THAT([&] { plan(fmt::format("  a: {}\n", row), {"experts.science.datasets=[wlpc]"}); },
                    ThrowsMessage<InputError>(HasSubstr("the pool is empty for the target 'science'")))
            << row;
    }
}

TEST_F(Planning, SelectsAmongMixedExperts) {
    auto made = plan("  a: merge(select(pool(mix(ours, 4)), similarity, 2))\n");
    finish_all(made);
    for (auto const& cell : made.cells()) EXPECT_EQ(cell.status, Cell::Status::done);
    EXPECT_EQ(kinds(made)["train"], 2);
    EXPECT_EQ(kinds(made)["encode"], 6);  // four experts, two targets
}

/// Whose data sets have to be in the catalogue.
Inputs inputs_of(RunFile const& run, corpus::Catalogue const& catalogue) {
    auto inputs = inputs_of(run, [&](auto const& dataset, auto const& split) {
        auto const name = corpus::parse_slice(split).split;
        EXPECT_TRUE(catalogue.at(dataset).splits.contains(name)) << dataset << ":" << split;
        return dataset + split;
    });
    for (auto const& [id, dataset] : catalogue.all()) inputs.types[id] = dataset.type_texts();
    return inputs;
}

TEST_F(Planning, WarnsOfAMergeWhoseFactorsAreAddedUpWithWeightsFarAboveOne) {
    auto const warned = [&](std::string const& row, std::vector<std::string> const& overrides = {}) {
        auto const made = plan(fmt::format("  a: {}\n", row), overrides);
        return warnings(made.experiments(), made.run(), made.inputs());
    };
    for (auto const* row :
         {"merge(ours, linear)", "merge(ours, task_arithmetic, weights=[0.5, 0.5, 0.7])",
          "merge(ours, magnitude_prune)", "merge(select(ours, similarity, 2), dare_linear)",
          "merge(select(ours, similarity, 2), linear, weights=metric)", "union(merge(ours, linear), base)",
          "merge(ours, linear, weights=[0.2, 0.2, 0.2], lambda=4)"}) {
        auto const all = warned(row);
        ASSERT_EQ(all.size(), 1U) << row;
        EXPECT_THAT(all[0], AllOf(HasSubstr("experiment.yaml:6:"), HasSubstr("normalize=weights"))) << row;
    }
    EXPECT_THAT(warned("merge(ours, linear)")[0], HasSubstr("weights that sum to 3"));
    for (auto const* row :
         {"merge(ours)", "merge(ours, linear, normalize=weights)", "merge(ours, linear, follow=mergekit)",
          "merge(ours, linear, weights=[0.3, 0.3, 0.4])", "merge(ours, linear, lambda=0.3)", "merge(ours, cat)",
          "merge(ours, svd)", "merge(pool(stem), linear)", "merge(ours, linear, space=delta)", "merge(ours, karcher)"})
        EXPECT_THAT(warned(row), testing::IsEmpty()) << row;
    EXPECT_THAT(warned("merge(ours, linear)", {"merge.normalize=weights"}), testing::IsEmpty());
    EXPECT_EQ(warned("merge(ours)\n  b: merge(ours, linear)\n  c: merge(ours, linear, lambda=2)").size(), 2U);
}

TEST_F(Planning, WarnsOfTargetsWithFewerSentencesThanAreAskedFor) {
    auto const made =
        plan("  a: merge(select(ours, sampling, 2, k=70))\n  b: merge(select(ours, similarity, 2, k=70))\n",
             {"targets.science.sentences=100000"});
    auto inputs = made.inputs();
    inputs.targets.at("science").sentences = 52;
    EXPECT_THAT(warnings(made.experiments(), made.run(), inputs),
                testing::UnorderedElementsAre(
                    AllOf(HasSubstr("targets.science.sentences is 100000"), HasSubstr("52 sentences")),
                    AllOf(HasSubstr("k is 70"), HasSubstr("'science' has 52 sentences")),
                    AllOf(HasSubstr("k is 70"), HasSubstr("'politics' has 60 sentences"))));
    inputs.targets.at("science").sentences = 100000;
    inputs.targets.at("politics").sentences = 70;
    EXPECT_THAT(warnings(made.experiments(), made.run(), inputs), testing::IsEmpty());
}

/// The experiments that a file stands for, with the paper's settings and the numbers of sentences of the real targets.
class Paper {
public:
    explicit Paper(std::string const& run_name = "paper-qwen2.5-7b")
        : run{load_run_file(source / "configs/runs" / (run_name + ".yaml"), {})}, inputs{inputs_of(run, catalogue)} {
        // Counted in the corpora (experiments/paper/values/setup.yaml).
        for (auto const& [name, sentences] : sizes) inputs.targets.at(name).sentences = sentences;
    }
    Plan plan(std::vector<Experiment> experiments) const { return {std::move(experiments), run, inputs}; }
    static std::vector<Experiment> all() { return load_experiments({source / "experiments/paper.yaml"}); }

    static inline fs::path const source = SAMNER_SOURCE_DIR;
    static inline std::map<std::string, std::int64_t> const sizes{
        {"ai", 431},      {"literature", 416}, {"music", 465},      {"politics", 651},
        {"science", 543}, {"movie", 2443},     {"restaurant", 1521}};
    corpus::Catalogue const catalogue{{source / "configs/data"}};
    RunFile run;
    Inputs inputs;
};

TEST(PaperConfigurations, PlanEveryTableAndFigureWithOneRunFile) {
    struct Table {
        int rows, columns, trained, clusters;
    };
    // Trained: the six experts, and where a row has it the unified model; by similarity alone nobody knows yet.
    // Clusters: of the domains' samples, or of each target, or all of them, in two, three, four and five.
    std::map<std::string, Table> const expected{
        {"table01", {2, 7, 7, 0}},   {"table02", {5, 7, 6, 0}},     {"table03", {4, 7, 6, 0}},
        {"table04", {3, 7, 12, 0}},  {"table05", {2, 7 * 5, 7, 0}}, {"table06", {3, 7, 6, 0}},
        {"table07", {4, 7, 6, 0}},   {"table08", {3, 7, 7, 0}},     {"table09", {6, 7, 5, 6}},
        {"table10", {7, 6, 6, 0}},   {"table11", {0, 0, 0, 0}},     {"table12", {8, 6, 7, 0}},
        {"table13", {8, 7, 7, 0}},   {"table14", {3, 7, 7, 0}},     {"table15", {4, 7, 6, 0}},
        {"figure03", {7, 7, 6, 0}},  {"figure04", {5, 7, 6, 28}},   {"figure05", {15, 8, 6, 4}},
        {"figure06", {0, 0, 0, 0}},  {"figure09", {6, 7, 0, 0}},    {"figure10", {6, 7, 6, 0}},
        {"figure11", {5, 7, 0, 28}}, {"figure12", {5, 7, 6, 28}}};
    for (std::string const name : {"paper-qwen2.5-7b", "paper-llama3.1-8b", "small"}) {
        Paper const paper{name};
        std::map<std::string, Table> found;
        for (auto const& experiment : Paper::all()) {
            auto const plan = paper.plan({experiment});
            std::map<std::string, int> kinds;
            for (auto const& [key, planned] : plan.tasks()) ++kinds[std::string{work::kind_of(planned.task)}];
            auto const& table = expected.at(experiment.name);
            EXPECT_EQ(std::ssize(plan.cells()), table.rows * table.columns) << experiment.name;
            EXPECT_EQ(kinds["train"], table.trained) << experiment.name;
            EXPECT_EQ(kinds["cluster"], table.clusters) << experiment.name;
            found[experiment.name] = table;
        }
        EXPECT_EQ(found.size(), expected.size());
    }
}

/// The values of the paper stand beside the rows that compute the same.
TEST(PaperConfigurations, HavePrintedValuesForEveryRowThatThePaperPrints) {
    for (auto const& experiment : Paper::all()) {
        ASSERT_TRUE(experiment.paper) << experiment.name;
        std::set<std::string> rows{experiment.published.begin(), experiment.published.end()};
        for (auto const& row : experiment.rows) rows.insert(row.name);
        for (auto const& row : experiment.paper->rows) {
            EXPECT_TRUE(rows.contains(row.system)) << experiment.name << " lacks " << row.system;
            auto const columns = experiment.targets.columns();
            for (auto const& [target, cell] : row.cells)
                EXPECT_THAT(columns, testing::Contains(target)) << experiment.name << " " << row.system;
        }
    }
}

/// Every sentence that is decoded for the paper, counted by hand: on a target once a model, where all selections choose
/// differently. A set of experts is named by what it is chosen by.
TEST(PaperConfigurations, DecodeLittleMoreThanHalfOfWhatTheRowsAskFor) {
    std::int64_t asked = 0;
    std::int64_t decoded = 0;
    auto const add = [&](std::int64_t sentences, std::int64_t rows_ask, std::int64_t models) {
        asked += sentences * rows_ask;
        decoded += sentences * models;
    };
    std::int64_t all = 0;
    for (auto const& [name, sentences] : Paper::sizes) all += sentences;
    // Rows of tables 1, 14: unified, SaM (two models), SaM eco; 2: six experts, two, one merge of all, SaM;
    // 3, 15: three single merges, SaM; 4: three times SaM; 6: three; 7: four; 8: five samples, six experts, SaM;
    // 9: five, SaM; 13: six, unified, all merged; figures 3, 9, 10: SaM of 1 to 6 and six experts, six, six;
    // figures 4, 11, 12: five times two, one, one.
    std::int64_t const table01 = 1 + 2;
    std::int64_t const table14 = 1 + 2 + 1;
    std::int64_t const table02 = 6 + 1 + 1 + 1 + 2;
    std::int64_t const table03 = 1 + 1 + 1 + 2;
    std::int64_t const tables04_06_07 = 2 * (3 + 3 + 4);
    std::int64_t const tables08_09_13 = (5 + 6 + 2) + (5 + 2) + (6 + 1 + 1);
    std::int64_t const figures03_09_10 = (6 * 2 + 6) + 6 + 6;
    std::int64_t const figures04_11_12 = 5 * (2 + 1 + 1);
    // Once each: unified, six experts, the merge of all six; TIES of both strategies, m = 1 to 6, of which m = 1 is the
    // chosen expert and m = 6 the merge of all; single intersection, fused and union; three and nine sources; fixed
    // and metric weights; three methods; five samples; five mixed experts and SaM of them; four splits by both.
    std::int64_t const models = 1 + 6 + 1 + 2 * 4 + 3 + 2 * (2 + 2 + 3) + 5 + (5 + 2) + 4 * 2;
    // m = 1 and m = 6 of either strategy are counted as models of their own until it is known what they are.
    std::int64_t const not_known = 2 + 2;
    add(all,
        table01 + table14 + table02 + 2 * table03 + tables04_06_07 + tables08_09_13 + figures03_09_10 + figures04_11_12,
        models + not_known);
    add(all, 5 * (2 + 1 + 1), 5 * 2);        // figure 5, all targets as one
    add(7 * 5, 1 + 2, 1 + 2);                // table 5, five sentences of each
    add(100, 6 * 8 + 6 * 0, 6 * 8);          // table 12, as the test has its domains
    add(100, 6 * 5 + 6 * 2, 6 * 5 + 6 * 2);  // table 10
    Paper const paper;
    auto const totals = paper.plan(Paper::all()).totals();
    EXPECT_EQ(totals.sentences_asked, asked);
    EXPECT_EQ(totals.sentences_most, decoded);
    EXPECT_GE(static_cast<double>(totals.sentences_asked) / static_cast<double>(totals.sentences_most), 1.8);
}

TEST(PaperConfigurations, PlanWhatGoesBeyondThePaper) {
    fs::path const source = SAMNER_SOURCE_DIR;
    corpus::Catalogue const catalogue{{source / "configs/data"}};
    for (std::string const name : {"paper-qwen2.5-7b", "paper-llama3.1-8b", "small"}) {
        auto const run = load_run_file(source / "configs/runs" / (name + ".yaml"), {});
        std::map<std::string, std::size_t> rows;
        for (auto const& entry : fs::directory_iterator{source / "experiments/beyond"}) {
            Plan const plan{{load_experiment(entry.path())}, run, inputs_of(run, catalogue)};
            rows[entry.path().stem()] = plan.cells().size() / run.targets.size();
            EXPECT_GT(plan.totals().open, 0) << entry.path();
        }
        EXPECT_EQ(rows, (std::map<std::string, std::size_t>{{"adaptive_m", 7},
                                                            {"density", 9},
                                                            {"m1", 5},
                                                            {"methods", 14},
                                                            {"one_per_corpus", 8},
                                                            {"one_sentence", 10},
                                                            {"pool_size", 5},
                                                            {"random", 13},
                                                            {"sentences", 4},
                                                            {"space", 9},
                                                            {"types", 6}}))
            << name;
        EXPECT_EQ(load_experiments({source / "experiments/beyond.yaml"}).size(), rows.size());
    }
}

/// The quotas that Table 11's sizes follow from.
TEST(PaperConfigurations, AskForThePapersSizes) {
    fs::path const source = SAMNER_SOURCE_DIR;
    auto const run = load_run_file(source / "configs/runs/paper-qwen2.5-7b.yaml", {});
    auto const printed = corpus::read_printed_table(source / "experiments/paper/values/table11.yaml");
    ASSERT_EQ(printed.quotas.size(), 6U);
    for (auto const& [domain, quota] : printed.quotas) EXPECT_EQ(run.experts.at(domain).samples, quota) << domain;
}

}  // namespace
}  // namespace samner::plan
