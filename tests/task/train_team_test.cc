#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/parallel.h"
#include "golden.h"
#include "mpi_test.h"
#include "task/engine.h"
#include "temporary_folder.h"
#include "train/trainer.h"

// Several ranks train llama-tiny together; each also trains it alone, to compare with.
namespace samner::task {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<Engine::Tokens> golden_examples() {
    std::vector<Engine::Tokens> examples;
    auto const data = read_json(golden("training/llama-tiny/data.json"));
    for (auto const& step : data["steps"]) {
        for (auto const& micro_batch : step) {
            for (auto const& one : micro_batch)
                examples.push_back(
                    {one["ids"].get<std::vector<std::int32_t>>(), one["labels"].get<std::vector<std::int32_t>>()});
        }
    }
    return examples;
}

class TrainTeam : public testing::Test {
protected:
    void SetUp() override {
        options.learning_rate = 1e-2;
        options.max_steps = 5;
        options.batch_size = 10;  // of 36 examples: the last batch of an epoch is short
        options.micro_batch_size = 1;
        options.r = 4;
        options.lora_dropout = 0.2;
    }
    weights::Adapter run(train::Team const* with, std::filesystem::path const& checkpoint = {},
                         std::int64_t die_after = 0) {
        Engine::Training training;
        training.team = with;
        training.checkpoint = checkpoint;
        training.on_step = [&](train::Step const& step) {
            losses.push_back(step.loss);
            if (step.step == die_after) throw StorageError{"the disk is gone"};
        };
        losses.clear();
        return engine.train(options, examples, training);
    }

    comm::Comm const& ranks = mpi_session().teams();
    train::Team const team = team_of(ranks);
    std::vector<Engine::Tokens> examples = golden_examples();
    train::Options options;
    Engine engine{golden("models/llama-tiny"), "cpu"};
    std::vector<double> losses;
};

TEST_F(TrainTeam, GivesTheSameAdapterAndLossesBitForBitOnAnyNumberOfRanks) {
    for (std::int64_t const micro_batch_size : {1, 2, 3, 8}) {  // ten, five, four and two micro-batches
        options.micro_batch_size = micro_batch_size;
        auto const alone = run(nullptr);
        auto const expected = losses;
        set_num_threads(1 + ranks.rank() % 2);
        auto const together = run(&team);
        set_num_threads(1);
        EXPECT_EQ(together.modules, alone.modules) << micro_batch_size;
        EXPECT_EQ(losses, ranks.rank() == 0 ? expected : std::vector<double>{});
    }
}

TEST_F(TrainTeam, GoesOnFromACheckpointOfAnyNumberOfRanks) {
    auto const wanted = run(nullptr);
    options.checkpoint_every = 2;
    TemporaryFolder const folder;  // rank 0's counts
    auto const path = folder / "checkpoint";
    // A death of rank 0 in step 3 ends all ranks.
    if (ranks.rank() == 0) {
        EXPECT_THROW(run(&team, path, 3), StorageError);
    } else {
        EXPECT_THAT([&] { run(&team, path); }, ThrowsMessage<Error>(HasSubstr("rank 0: the disk is gone")));
    }
    EXPECT_EQ(run(&team, path).modules, wanted.modules);
    // The checkpoint of step 4, which that left, serves one rank too, and the other way round.
    if (ranks.rank() == 0) {
        EXPECT_EQ(run(nullptr, path).modules, wanted.modules);
    }
}

TEST_F(TrainTeam, FailsOnAllRanksWhenOneHasOtherExamples) {
    if (ranks.size() == 1) GTEST_SKIP() << "needs two ranks";
    if (ranks.rank() == 1) examples.pop_back();
    EXPECT_THAT([&] { run(&team); }, ThrowsMessage<InputError>(HasSubstr("were given different trainings")));
    if (ranks.rank() == 1) examples.back().labels.pop_back();
    EXPECT_THROW(run(&team), Error) << "one rank's error reaches the others";
}

}  // namespace
}  // namespace samner::task
