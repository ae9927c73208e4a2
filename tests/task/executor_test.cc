#include "task/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
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

class TeamOfAllRanks : public testing::Test {
protected:
    static void SetUpTestSuite() {
        fs::current_path(SAMNER_SOURCE_DIR);
        run = plan::load_run_file("configs/runs/tiny.yaml", {"train.max_steps=3", "train.micro_batch_size=2"});
        auto const experiments = plan::load_experiments({"experiments/tiny.yaml"});
        auto const inputs = examine_inputs(experiments, run);
        tasks = plan::Plan{experiments, run, inputs}.take_new();
    }
    static std::vector<plan::Task> of(std::string const& kind) {
        std::vector<plan::Task> found;
        std::ranges::copy_if(tasks, std::back_inserter(found), [&](auto const& task) { return task.kind == kind; });
        return found;
    }
    static plan::Task merge_task() { return of("merge").front(); }
    static std::vector<plan::Task> evaluations_of(std::string const& adapter) {
        auto found = of("infer");
        std::erase_if(found, [&](auto const& task) { return task.payload["adapter"] != adapter; });
        return found;
    }
    static std::vector<plan::Task> sampling() {
        auto found = of("infer");
        std::erase_if(found, [&](auto const& task) { return task.batch != of_sample().batch; });
        return found;
    }
    static plan::Task of_sample() {
        auto const all = of("infer");
        return *std::ranges::find_if(all, [](auto const& task) { return !task.batch.empty(); });
    }

    TeamOfAllRanks() {
        auto name = folder.path().string();
        ranks.broadcast(name);
        shared.emplace(fs::path{name} / "team");
        checkpoints = fs::path{name} / "checkpoints";
        if (ranks.rank() == 0) fs::create_directories(checkpoints);
        ranks.barrier();
    }
    ~TeamOfAllRanks() override { ranks.barrier(); }

    /// Trains what the merge takes.
    void train(Executor& executor, comm::Comm const* team, std::map<std::string, std::string>& hashes) const {
        for (auto const& task : of("train")) {
            auto const needed = merge_task().after;
            if (std::ranges::find(needed, task.key) != needed.end()) hashes[task.key] = executor.run(task, team).first;
        }
    }

    static plan::RunFile run;
    static std::vector<plan::Task> tasks;
    comm::Comm const& ranks = mpi_session().teams();
    TemporaryFolder const folder;
    std::optional<store::Artifacts> shared;
    fs::path checkpoints;
};
plan::RunFile TeamOfAllRanks::run;
std::vector<plan::Task> TeamOfAllRanks::tasks;

TEST_F(TeamOfAllRanks, TrainsAndMergesToTheBytesOfOneRankAndEvaluatesWithoutReadingTheMerge) {
    store::Artifacts const own{folder / "own"};
    fs::create_directories(folder / "own-checkpoints");
    Executor alone{run, own, folder / "own-checkpoints"};
    Executor executor{run, *shared, checkpoints};
    std::map<std::string, std::string> wanted;
    std::map<std::string, std::string> found;
    train(alone, nullptr, wanted);
    train(executor, &ranks, found);
    ASSERT_EQ(wanted.size(), 3U);
    wanted["merge"] = alone.run(merge_task()).first;
    ranks.barrier();
    found["merge"] = executor.run(merge_task(), &ranks).first;
    for (auto const& [key, hash] : wanted) EXPECT_EQ(found[key], ranks.rank() == 0 ? hash : "") << key;

    ranks.barrier();
    if (ranks.rank() == 0) fs::remove_all(shared->path(merge_task().key));
    ranks.barrier();
    auto const evaluations = evaluations_of(merge_task().key);
    ASSERT_FALSE(evaluations.empty());
    for (auto const& task : evaluations) EXPECT_EQ(executor.run(task).first, alone.run(task).first);
    Executor other{run, *shared, checkpoints};
    EXPECT_THROW(other.run(evaluations.front()), Error) << "one that did not merge has to read it";
}

TEST_F(TeamOfAllRanks, DecodesABatchToTheSameBytesAndFailsAnAdapterThatCannotBeReadAlone) {
    Executor executor{run, *shared, checkpoints};
    std::map<std::string, std::string> trained;
    train(executor, &ranks, trained);
    ranks.barrier();
    auto const batch = sampling();
    ASSERT_EQ(batch.size(), 3U);
    store::Artifacts const own{folder / "own"};
    for (auto const& task : batch) {
        auto const adapter = task.payload["adapter"].get<std::string>();
        fs::copy(shared->path(adapter), own.path(adapter), fs::copy_options::recursive);
    }
    std::map<std::string, std::string> wanted;
    {
        Executor alone{run, own, checkpoints};
        for (auto const& task : batch) wanted[task.key] = alone.run(task).first;
    }
    fs::remove_all(own.path(batch[1].payload["adapter"].get<std::string>()));
    Executor together{run, own, checkpoints};
    together.decode_ahead(batch);
    EXPECT_EQ(together.run(batch[0]).first, wanted[batch[0].key]);
    EXPECT_THROW(together.run(batch[1]), Error);
    EXPECT_EQ(together.run(batch[2]).first, wanted[batch[2].key]);
}

}  // namespace
}  // namespace samner::task
