#include "task/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "core/error.h"
#include "mpi_test.h"
#include "plan/planner.h"
#include "task/inputs.h"
#include "temporary_folder.h"

// Tasks of experiments/tiny.yaml, done by all ranks as one team and by each alone.
namespace samner::task {
namespace {

namespace fs = std::filesystem;

using Keyed = std::pair<std::string, work::Task>;

class TeamOfAllRanks : public testing::Test {
protected:
    static void SetUpTestSuite() {
        fs::current_path(SAMNER_SOURCE_DIR);
        run = plan::load_run_file("configs/runs/tiny.yaml", {"train.max_steps=3", "train.micro_batch_size=2"});
        auto const experiments = plan::load_experiments({"experiments/tiny.yaml"});
        auto const inputs = examine_inputs(experiments, run);
        files = inputs.files;
        plan::Plan plan{experiments, run, inputs};
        for (auto const& key : plan.take_new()) tasks.emplace_back(key, plan.task(key).task);
    }
    template <class Kind>
    static std::vector<Keyed> of() {
        std::vector<Keyed> found;
        std::ranges::copy_if(tasks, std::back_inserter(found),
                             [](auto const& task) { return std::holds_alternative<Kind>(task.second); });
        return found;
    }
    static Keyed merge_task() { return of<work::Merge>().front(); }
    static std::string adapter_of(Keyed const& task) {
        auto const& adapter = std::get<work::Infer>(task.second).adapter;
        return adapter ? adapter->key : "";
    }
    static std::vector<Keyed> evaluations_of(std::string const& adapter) {
        auto found = of<work::Infer>();
        std::erase_if(found, [&](auto const& task) { return adapter_of(task) != adapter; });
        return found;
    }
    /// The evaluations of one sampling.
    static std::vector<Keyed> sampling() {
        auto found = of<work::Infer>();
        std::erase_if(found, [](auto const& task) { return work::batch_of(task.second).empty(); });
        auto const batch = work::batch_of(found.front().second);
        std::erase_if(found, [&](auto const& task) { return work::batch_of(task.second) != batch; });
        return found;
    }

    TeamOfAllRanks() {
        auto name = folder.path().string();
        ranks.broadcast(name);
        // As ranks of a run: each writes under a name of its own.
        store::Artifacts::Options options;
        options.writer.rank = ranks.rank();
        shared.emplace(fs::path{name} / "team", options);
        checkpoints = fs::path{name} / "checkpoints";
        if (ranks.rank() == 0) fs::create_directories(checkpoints);
        ranks.barrier();
    }
    ~TeamOfAllRanks() override { ranks.barrier(); }

    Executor executor_in(store::Artifacts const& artifacts, fs::path const& folder_of_checkpoints) const {
        return {workplace_of(run, folder_of_checkpoints), artifacts};
    }

    /// Trains what the merge takes.
    void train(Executor& executor, comm::Comm const* team, std::map<std::string, std::string>& hashes) const {
        auto const needed = work::inputs_of(merge_task().second);
        for (auto const& [key, task] : of<work::Train>()) {
            if (std::ranges::find(needed, key) != needed.end()) hashes[key] = executor.run(key, task, team).sha256;
        }
    }

    static plan::RunFile run;
    static plan::ModelFiles files;
    static std::vector<Keyed> tasks;
    comm::Comm const& ranks = mpi_session().teams();
    TemporaryFolder const folder;
    std::optional<store::Artifacts> shared;
    fs::path checkpoints;
};
plan::RunFile TeamOfAllRanks::run;
plan::ModelFiles TeamOfAllRanks::files;
std::vector<Keyed> TeamOfAllRanks::tasks;

TEST_F(TeamOfAllRanks, TrainsAndMergesToTheBytesOfOneRankAndEvaluatesWithoutReadingTheMerge) {
    store::Artifacts const own{folder / "own"};
    fs::create_directories(folder / "own-checkpoints");
    auto alone = executor_in(own, folder / "own-checkpoints");
    auto executor = executor_in(*shared, checkpoints);
    std::map<std::string, std::string> wanted;
    std::map<std::string, std::string> found;
    train(alone, nullptr, wanted);
    train(executor, &ranks, found);
    ASSERT_EQ(wanted.size(), 3U);
    auto const [merge_key, merge] = merge_task();
    auto const merged_alone = alone.run(merge_key, merge);
    wanted["merge"] = merged_alone.sha256;
    ranks.barrier();
    auto const merged = executor.run(merge_key, merge, &ranks);
    found["merge"] = merged.sha256;
    auto const& statistics = std::get<work::Merged>(merged_alone.result).statistics;
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->norms.size(), statistics->cosine.size());
    EXPECT_NEAR(statistics->cosine[0][0], 1, 1e-12);
    EXPECT_LT(std::abs(statistics->cosine[0][1]), 1);
    EXPECT_GT(statistics->sign_conflicts.value_or(0), 0);
    if (ranks.rank() == 0) {
        EXPECT_EQ(work::seal(merged.result), work::seal(merged_alone.result));
    }
    for (auto const& [key, hash] : wanted) EXPECT_EQ(found[key], ranks.rank() == 0 ? hash : "") << key;

    ranks.barrier();
    if (ranks.rank() == 0) fs::remove_all(shared->path(merge_key));
    ranks.barrier();
    auto const evaluations = evaluations_of(merge_key);
    ASSERT_FALSE(evaluations.empty());
    for (auto const& [key, task] : evaluations) EXPECT_EQ(executor.run(key, task).sha256, alone.run(key, task).sha256);
    auto other = executor_in(*shared, checkpoints);
    EXPECT_THROW(other.run(evaluations.front().first, evaluations.front().second), Error)
        << "one that did not merge has to read it";
}

TEST_F(TeamOfAllRanks, DecodesABatchToTheSameBytesAndFailsAnAdapterThatCannotBeReadAlone) {
    auto executor = executor_in(*shared, checkpoints);
    std::map<std::string, std::string> trained;
    train(executor, &ranks, trained);
    ranks.barrier();
    auto const batch = sampling();
    ASSERT_EQ(batch.size(), 3U);
    store::Artifacts const own{folder / "own"};
    for (auto const& task : batch)
        fs::copy(shared->path(adapter_of(task)), own.path(adapter_of(task)), fs::copy_options::recursive);
    std::map<std::string, std::string> wanted;
    {
        auto alone = executor_in(own, checkpoints);
        for (auto const& [key, task] : batch) wanted[key] = alone.run(key, task).sha256;
    }
    fs::remove_all(own.path(adapter_of(batch[1])));
    auto together = executor_in(own, checkpoints);
    together.prepare(batch);
    auto const run_of = [&](Keyed const& task) { return together.run(task.first, task.second).sha256; };
    EXPECT_EQ(run_of(batch[0]), wanted[batch[0].first]);
    EXPECT_THROW(run_of(batch[1]), Error);
    EXPECT_EQ(run_of(batch[2]), wanted[batch[2].first]);
}

TEST_F(TeamOfAllRanks, LoadsABaseTogetherThatOfAllRanksIsTheOneOfThePlan) {
    Executor same{workplace_of(run, checkpoints, files), *shared};
    same.load_base(ranks, true);
    auto planned = files;
    if (ranks.rank() == ranks.size() - 1) {
        planned.base.back().modified += 1;
        planned.base.back().sha256 = std::string(64, '0');
    }
    Executor other{workplace_of(run, checkpoints, planned), *shared};
    EXPECT_THROW(other.load_base(ranks, true), Error) << "on every rank, as one has found another";
}

/// What tasks told, by key.
using Told = std::map<std::string, std::vector<Progress>>;
OnProgress keep_in(Told& told) {
    return [&told](std::string const& key, Progress const& progress) { told[key].push_back(progress); };
}

TEST_F(TeamOfAllRanks, TellsHowFarItsTasksAreInStepsAndAnsweredSentences) {
    auto executor = executor_in(*shared, checkpoints);
    Told told;
    executor.on_progress(keep_in(told));
    std::map<std::string, std::string> trained;
    train(executor, &ranks, trained);
    ranks.barrier();
    for (auto const& [key, hash] : trained) {
        if (ranks.rank() > 0) break;
        auto const& last = told.at(key).back();
        EXPECT_EQ(last.done, 3);
        EXPECT_EQ(last.total, 3);
        EXPECT_TRUE(last.note.starts_with("loss ")) << last.note;
    }
    auto const first = std::ranges::find_if(told, [](auto const& task) {
        return task.second.front().note == "loading the base model" && task.second.front().done == 0;
    });
    EXPECT_NE(first, told.end()) << "nobody said what the first task waits for";

    told.clear();
    store::Artifacts const own{folder / "own"};
    auto const batch = sampling();
    for (auto const& task : batch)
        fs::copy(shared->path(adapter_of(task)), own.path(adapter_of(task)), fs::copy_options::recursive);
    auto together = executor_in(own, checkpoints);
    together.on_progress(keep_in(told));
    together.prepare(batch);
    for (auto const& [key, task] : batch) {
        auto const sentences = std::get<work::Infer>(task).sentences;
        EXPECT_EQ(told.at(key).back().done, sentences);
        EXPECT_EQ(told.at(key).back().total, sentences);
        EXPECT_TRUE(std::ranges::is_sorted(told.at(key), {}, &Progress::done));
    }
    told.clear();
    for (auto const& [key, task] : batch) together.run(key, task);
    EXPECT_TRUE(told.empty()) << "what was decoded ahead is told of once";
}

}  // namespace
}  // namespace samner::task
