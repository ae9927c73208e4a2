#include "task/load_together.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "comm/comm.h"
#include "core/error.h"
#include "golden.h"
#include "mpi_test.h"
#include "task/engine.h"
#include "temporary_folder.h"

// Several ranks load a model together; each also loads it alone, to compare with.
namespace samner::task {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

comm::Comm const& ranks() {
    return mpi_session().teams();
}

std::vector<std::int32_t> const ids{1, 5, 9, 2, 40, 17, 8, 3};

std::uint64_t sum(std::uint64_t value) {
    auto total = static_cast<std::int64_t>(value);
    ranks().sum({&total, 1});
    return static_cast<std::uint64_t>(total);
}

class LoadTogether : public testing::Test {
protected:
    std::unique_ptr<model::Ops> ops = model::make_cpu_ops();
};

TEST_F(LoadTogether, GivesTheLogitsOfAModelLoadedAloneBitForBitOnAnyNumberOfNodes) {
    for (auto const* name : {"models/llama-tiny", "models/qwen2-tiny", "gguf/llama-tiny.Q8_0.gguf"}) {
        auto const checkpoint = weights::Checkpoint::open(golden(name));
        auto const alone = model::load_language_model(checkpoint, *ops, false);
        auto const expected = sequence_logits(alone, *ops, ids, nullptr);
        for (int const ranks_a_node : {0, 1, 2}) {
            auto const loaded = load_together(checkpoint, *ops, false, ranks(), {.ranks_a_node = ranks_a_node});
            EXPECT_EQ(loaded.nodes, ranks_a_node == 0 ? 1 : (ranks().size() + ranks_a_node - 1) / ranks_a_node);
            auto const found = sequence_logits(loaded.model, *ops, ids, nullptr);
            EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0) << name;
        }
    }
}

TEST_F(LoadTogether, KeepsOneCopyANodeToWhichItsRanksContributeEqualParts) {
    auto const checkpoint = weights::Checkpoint::open(golden("models/llama-tiny"));
    for (bool const with_backward : {false, true}) {
        std::uint64_t least = 0;  // without padding
        for (auto const& name : checkpoint.names()) {
            auto const& shape = checkpoint.shape(name);
            std::uint64_t bytes = sizeof(float);
            for (auto const size : shape) bytes *= static_cast<std::uint64_t>(size);
            least += bytes * (with_backward && shape.size() > 1 && name.find("embed") == std::string::npos ? 2 : 1);
        }
        auto const loaded = load_together(checkpoint, *ops, with_backward, ranks());
        EXPECT_GE(loaded.bytes, least);
        EXPECT_EQ(sum(loaded.filled), loaded.bytes) << "one copy is written by all ranks of the node together";
        constexpr std::uint64_t largest = 8192 * 8 * sizeof(float);  // the rotary tables
        EXPECT_LE(loaded.filled, loaded.bytes / static_cast<std::uint64_t>(ranks().size()) + largest);
    }
}

TEST_F(LoadTogether, ReadsTheTensorsOfTheFileOnTheFirstNodeAlone) {
    if (ranks().size() == 1) GTEST_SKIP() << "needs two ranks";
    // Each rank has files of its own; those of every node but the first hold other values.
    TemporaryFolder const folder;
    std::filesystem::copy(golden("models/llama-tiny"), folder / "model");
    auto const expected = sequence_logits(
        model::load_language_model(weights::Checkpoint::open(folder / "model"), *ops, false), *ops, ids, nullptr);
    if (ranks().rank() > 0) {
        auto const weights = folder / "model/model.safetensors";
        std::filesystem::permissions(weights, std::filesystem::perms::owner_all);
        std::fstream file{weights, std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(-4096, std::ios::end);
        file << std::string(4096, '\0');
    }
    auto const checkpoint = weights::Checkpoint::open(folder / "model");
    auto const found =
        sequence_logits(load_together(checkpoint, *ops, false, ranks(), {.ranks_a_node = 1}).model, *ops, ids, nullptr);
    EXPECT_EQ(found, expected);
}

TEST_F(LoadTogether, FailsOnAllRanksWhenOneHasAnotherModel) {
    if (ranks().size() == 1) GTEST_SKIP() << "needs two ranks";
    auto const last = ranks().rank() == ranks().size() - 1;
    auto const checkpoint = weights::Checkpoint::open(golden(last ? "models/qwen2-tiny" : "models/llama-tiny"));
    EXPECT_THAT([&] { load_together(checkpoint, *ops, false, ranks()); },
                ThrowsMessage<InputError>(HasSubstr("has another model at")));
}

TEST_F(LoadTogether, LeavesWeightsThatNobodyCanWriteTo) {
    auto const loaded = load_together(weights::Checkpoint::open(golden("models/llama-tiny")), *ops, false, ranks());
    auto* const shared = loaded.model.final_norm.mutable_data_ptr<float>();
    // MPI's signal handlers would print a trace: the child takes the default.
    auto const child = ::fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        *shared = 0;
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST_F(LoadTogether, ServesTrainingAndLogitsOfAnEngine) {
    Engine alone{golden("models/llama-tiny"), "cpu"};
    Engine shared{golden("models/llama-tiny"), "cpu"};
    shared.load_together(ranks(), true);
    EXPECT_EQ(shared.logits(ids, {}), alone.logits(ids, {}));
}

}  // namespace
}  // namespace samner::task
