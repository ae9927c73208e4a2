#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/file.h"
#include "core/stop.h"
#include "golden_training.h"
#include "temporary_folder.h"
#include "train/checkpoint.h"

namespace samner::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Killed : std::runtime_error {
    using runtime_error::runtime_error;
};

class Resume : public testing::Test {
protected:
    void SetUp() override {
        options.learning_rate = 1e-2;
        options.weight_decay = 0.01;
        options.max_steps = 7;
        options.batch_size = 4;
        options.micro_batch_size = 2;
        options.checkpoint_every = 2;
    }
    void TearDown() override { clear_stop(); }

    /// Trains, and dies after step `last` (0: never).
    weights::Adapter run(std::int64_t last = 0) {
        Context context;
        context.checkpoint = checkpoint;
        context.inputs = "base";
        curve.clear();
        context.on_step = [&](Step const& step) {
            curve.push_back(step);
            if (step.step == last && (last > kept())) throw Killed{"killed"};
        };
        return train(model, *ops, options, examples, nonzero_adapter(), context);
    }
    weights::Adapter uninterrupted() {
        auto const trained = run();
        fs::remove(checkpoint);
        return trained;
    }
    /// Steps that the checkpoint on the disk holds.
    std::int64_t kept() const {
        if (!fs::exists(checkpoint)) return 0;
        weights::SafetensorsFile const file{checkpoint};
        return std::ssize(Json::parse(file.metadata().at("curve")));
    }

    TemporaryFolder folder;
    fs::path const checkpoint = folder / "training.checkpoint";
    std::unique_ptr<model::Ops> ops = model::make_cpu_ops();
    model::LanguageModel const model = golden_model(*ops);
    std::vector<Example> examples = golden_examples();
    Options options;
    std::vector<Step> curve;
};

TEST_F(Resume, AfterADeathAtAnyStepGivesTheSameBytesAndTheSameCurve) {
    auto const wanted = uninterrupted();
    auto const wanted_curve = curve;
    for (std::int64_t const every : {1, 2, 3, 50}) {
        options.checkpoint_every = every;
        for (std::int64_t last = 1; last <= options.max_steps; ++last) {
            EXPECT_THROW(run(last), Killed);
            EXPECT_EQ(kept(), (last - 1) / every * every) << "the steps since the last checkpoint are lost, no others";
            EXPECT_EQ(run().modules, wanted.modules) << "every " << every << ", killed at " << last;
            ASSERT_EQ(curve.size(), wanted_curve.size());
            for (std::size_t i = 0; i < curve.size(); ++i) {
                EXPECT_EQ(curve[i].step, wanted_curve[i].step);
                EXPECT_EQ(curve[i].loss, wanted_curve[i].loss);
                EXPECT_EQ(curve[i].grad_norm, wanted_curve[i].grad_norm);
                EXPECT_EQ(curve[i].lr, wanted_curve[i].lr);
            }
            fs::remove(checkpoint);
        }
    }
}

TEST_F(Resume, AfterManyDeathsGivesTheSameBytes) {
    auto const wanted = uninterrupted();
    options.checkpoint_every = 1;
    for (std::int64_t last = 2; last <= options.max_steps; ++last) EXPECT_THROW(run(last), Killed);
    EXPECT_EQ(kept(), options.max_steps - 1);
    EXPECT_EQ(run().modules, wanted.modules);
}

TEST_F(Resume, AfterACleanStopLosesNoStep) {
    auto const wanted = uninterrupted();
    options.checkpoint_every = 0;
    Context context;
    context.checkpoint = checkpoint;
    context.inputs = "base";
    context.on_step = [](Step const& step) {
        if (step.step == 3) request_stop(SIGTERM);
    };
    EXPECT_THROW(train(model, *ops, options, examples, nonzero_adapter(), context), Stopped);
    clear_stop();
    EXPECT_EQ(kept(), 3);
    EXPECT_EQ(run().modules, wanted.modules);
}

TEST_F(Resume, LeavesTheCheckpointOfWhoHasTakenOverAlone) {
    options.checkpoint_every = 1;
    EXPECT_THROW(run(3), Killed);
    auto const others = read_text(checkpoint);
    Context context;
    context.checkpoint = checkpoint;
    context.inputs = "base";
    context.writer = "run-1-0";
    context.guard = [] { throw RunInUseError{"taken over"}; };
    EXPECT_THROW(train(model, *ops, options, examples, nonzero_adapter(), context), RunInUseError);
    EXPECT_EQ(read_text(checkpoint), others);
    EXPECT_EQ(std::distance(fs::directory_iterator{checkpoint.parent_path()}, {}), 1) << "no partial file is left";
    context.guard = {};
    train(model, *ops, options, examples, nonzero_adapter(), context);
    EXPECT_EQ(kept(), options.max_steps);
}

TEST_F(Resume, TakesNoDamagedCheckpointAndSaysSo) {
    auto const wanted = uninterrupted();
    EXPECT_THROW(run(5), Killed);
    auto const good = read_text(checkpoint);
    auto flipped = good;
    flipped[good.size() - 1000] ^= 1;
    for (auto const& bad : {std::string{}, std::string{"no checkpoint"}, good.substr(0, good.size() / 2), flipped}) {
        write_atomically(checkpoint, bad);
        testing::internal::CaptureStdout();
        EXPECT_EQ(run().modules, wanted.modules);
        EXPECT_THAT(testing::internal::GetCapturedStdout(),
                    HasSubstr("is damaged: training starts from its first step"));
        EXPECT_EQ(curve.size(), 7U);
    }
}

TEST_F(Resume, RefusesTheCheckpointOfAnotherTraining) {
    EXPECT_THROW(run(5), Killed);
    auto const before = read_text(checkpoint);
    auto const refused = [&] {
        EXPECT_THAT([&] { run(); }, ThrowsMessage<InputError>(HasSubstr("is the checkpoint of another training")));
        EXPECT_EQ(read_text(checkpoint), before);
    };
    auto const same = options;
    options.learning_rate = 2e-2;
    refused();
    options = same;
    options.max_steps = 8;
    refused();
    options = same;
    examples[3].labels.back() = not_trained_on;
    refused();
    examples = golden_examples();
    {
        Context context;
        context.checkpoint = checkpoint;
        context.inputs = "another base";
        EXPECT_THROW(train(model, *ops, options, examples, nonzero_adapter(), context), InputError);
        context.inputs = "base";
        auto other = nonzero_adapter();
        other.modules[0].a[0] += 1;
        EXPECT_THROW(train(model, *ops, options, examples, other, context), InputError);
    }
    options.checkpoint_every = 1;  // does not make another training of it
    EXPECT_NO_THROW(run());
}

TEST_F(Resume, ReplacesACheckpointWhole) {
    Step step;
    step.step = 1;
    Checkpoint const one{{1, 2}, {3, 4}, {5, 6}, {step}};
    Checkpoint const two{{7, 8}, {9, 10}, {11, 12}, {step, step}};
    write_checkpoint(checkpoint, "id", one);
    write_checkpoint(checkpoint, "id", two);
    auto const read = read_checkpoint(checkpoint, "id", 2);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->values, two.values);
    EXPECT_EQ(read->second_moment, two.second_moment);
    EXPECT_EQ(read->curve.size(), 2U);
    EXPECT_FALSE(read_checkpoint(checkpoint, "id", 3)) << "of a model of another size: damaged";
    EXPECT_FALSE(read_checkpoint(folder / "none", "id", 2));
    EXPECT_THROW(read_checkpoint(checkpoint, "other", 2), InputError);
    EXPECT_EQ(std::distance(fs::directory_iterator{checkpoint.parent_path()}, {}), 1) << "no partial file is left";
}

}  // namespace
}  // namespace samner::train
