#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "golden_training.h"

namespace samner::train {
namespace {

class LoraDropout : public testing::Test {
protected:
    void SetUp() override {
        auto const all = golden_examples();
        examples = {all.begin(), all.begin() + 5};
        for (auto const& one : examples) pointers.push_back(&one);
    }
    Loss loss_of(LoraParameters& lora, Dropout const& dropout, model::Ops const& with) {
        lora.gradients.zero_();
        return add_gradients(model, with, lora, pointers, dropout);
    }
    std::unique_ptr<model::Ops> ops = model::make_cpu_ops();
    model::LanguageModel const model = golden_model(*ops);
    std::vector<Example> examples;
    std::vector<Example const*> pointers;
    Dropout const third{0.3, 5, {11, 12, 13, 14, 15}};
};

TEST_F(LoraDropout, HasTheGradientOfCentralDifferencesWithItsMaskFixed) {
    LoraParameters lora{nonzero_adapter(), model.config, *ops};
    loss_of(lora, third, *ops);
    auto const gradient = lora.gradients.clone();
    auto const start = lora.values.clone();
    // Along the gradient, and along random directions of the factors of one kind.
    auto const count = gradient.numel();
    RandomStream const random{3, "directions"};
    for (int direction = 0; direction < 6; ++direction) {
        auto along = gradient.clone();
        if (direction > 0) {
            for (std::int64_t i = 0; i < count; ++i)
                along.mutable_data_ptr<float>()[i] =
                    static_cast<float>(random.normal(static_cast<std::uint64_t>(direction * count + i)));
        }
        double norm = 0;
        double slope = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            auto const d = static_cast<double>(along.const_data_ptr<float>()[i]);
            norm += d * d;
            slope += d * static_cast<double>(gradient.const_data_ptr<float>()[i]);
        }
        norm = std::sqrt(norm);
        constexpr double h = 2e-3;
        auto const at = [&](double distance) {
            for (std::int64_t i = 0; i < count; ++i)
                lora.values.mutable_data_ptr<float>()[i] =
                    start.const_data_ptr<float>()[i] +
                    static_cast<float>(distance / norm) * along.const_data_ptr<float>()[i];
            return loss_of(lora, third, *ops).sum;
        };
        // The loss of some hundred nats is known to about 1e-5; the third derivative gives the rest.
        EXPECT_NEAR((at(h) - at(-h)) / (2 * h), slope / norm, 2e-2 + 2e-2 * std::abs(slope / norm)) << direction;
        lora.values.copy_(start);
    }
}

TEST_F(LoraDropout, DoesNotDependOnTheMicroBatch) {
    LoraParameters lora{nonzero_adapter(), model.config, *ops};
    auto const together = loss_of(lora, third, *ops);
    auto const gradient = lora.gradients.clone();
    lora.gradients.zero_();
    double sum = 0;
    for (std::size_t i = pointers.size(); i-- > 0;)  // one by one, in another order
        sum += add_gradients(model, *ops, lora, std::span{pointers}.subspan(i, 1), {0.3, 5, {third.sequences[i]}}).sum;
    EXPECT_NEAR(sum, together.sum, 1e-9 * together.sum);
    for (std::int64_t i = 0; i < gradient.numel(); ++i)
        ASSERT_NEAR(lora.gradients.const_data_ptr<float>()[i], gradient.const_data_ptr<float>()[i], 2e-4) << i;
}

TEST_F(LoraDropout, DropsTheSameElementsWithLibtorch) {
    auto const reference = model::make_aten_ops("cpu");
    auto const other = golden_model(*reference);
    LoraParameters lora{nonzero_adapter(), model.config, *ops};
    LoraParameters lora_there{nonzero_adapter(), model.config, *reference};
    auto const here = loss_of(lora, third, *ops);
    auto const there = add_gradients(other, *reference, lora_there, pointers, third);
    EXPECT_NEAR(here.sum, there.sum, 1e-3);
    for (std::int64_t i = 0; i < lora.gradients.numel(); ++i)
        ASSERT_NEAR(lora.gradients.const_data_ptr<float>()[i], lora_there.gradients.const_data_ptr<float>()[i], 2e-4);
}

TEST_F(LoraDropout, ChangesWithSeedAndTurnAndIsNoneAtZero) {
    LoraParameters lora{nonzero_adapter(), model.config, *ops};
    auto const without = loss_of(lora, {}, *ops).sum;
    EXPECT_EQ(loss_of(lora, {0, 5, third.sequences}, *ops).sum, without);
    auto const with = loss_of(lora, third, *ops).sum;
    EXPECT_NE(with, without);
    EXPECT_EQ(loss_of(lora, third, *ops).sum, with);
    EXPECT_NE(loss_of(lora, {0.3, 6, third.sequences}, *ops).sum, with);
    EXPECT_NE(loss_of(lora, {0.3, 5, {21, 22, 23, 24, 25}}, *ops).sum, with);
}

TEST_F(LoraDropout, OfATrainingTakesAnotherMaskInEachEpochAndStandsInTheAdapter) {
    Options options;
    options.lora_dropout = 0.5;
    options.learning_rate = 0;  // so that nothing but the mask changes
    options.batch_size = 5;
    options.shuffle = false;
    options.num_train_epochs = 3;
    std::vector<double> losses;
    Context context;
    context.on_step = [&](Step const& step) { losses.push_back(step.loss); };
    train(model, *ops, options, examples, nonzero_adapter(), context);
    ASSERT_EQ(losses.size(), 3U);
    EXPECT_NE(losses[0], losses[1]);
    EXPECT_NE(losses[1], losses[2]);
    EXPECT_EQ(initial_adapter(model.config, options.lora(), 1).settings.lora_dropout, 0.5);
    EXPECT_THROW(Options::from_json({{"lora_dropout", 1.0}}, "run.yaml"), InputError);
    EXPECT_THROW(Options::from_json({{"lora_dropout", -0.1}}, "run.yaml"), InputError);
}

TEST(LoraTargets, RanksAndAlphasFollowPeftsPatterns) {
    auto const ops = model::make_cpu_ops();
    auto const config = golden_model(*ops).config;
    auto const options = Options::from_json({{"r", 8},
                                             {"lora_alpha", 16},
                                             {"target_modules", ".*\\.(q_proj|down_proj)"},
                                             {"rank_pattern", {{"layers.0.self_attn.q_proj", 4}, {"down_proj", 2}}},
                                             {"alpha_pattern", {{"down_proj", 6}}}},
                                            "test");
    EXPECT_EQ(Options::from_json(options.settings(), "again").settings(), options.settings());
    auto const adapter = initial_adapter(config, options.lora(), 1);
    EXPECT_EQ(std::ssize(adapter.modules), 2 * config.num_layers);
    for (auto const& module : adapter.modules) {
        bool const down = module.name.ends_with("mlp.down_proj");
        auto const rank = down ? 2 : module.name == "model.layers.0.self_attn.q_proj" ? 4 : 8;
        EXPECT_EQ(module.rank, rank) << module.name;
        EXPECT_DOUBLE_EQ(module.scaling, (down ? 6.0 : 16.0) / rank) << module.name;
        EXPECT_EQ(std::ssize(module.a), rank * module.in);
        EXPECT_EQ(std::ssize(module.b), rank * module.out);
    }
    EXPECT_EQ(Options::from_json({{"target_modules", "all-linear"}}, "test").settings(), Options{}.settings());
    auto const targets = [&](Json const& value) {
        return initial_adapter(config, Options::from_json({{"target_modules", value}}, "test").lora(), 1)
            .modules.size();
    };
    EXPECT_EQ(targets({"q_proj", "mlp.up_proj"}), static_cast<std::size_t>(2 * config.num_layers));
    EXPECT_EQ(targets({"layers.0.self_attn.v_proj"}), 1U);
    EXPECT_THAT([&] { targets("q_proj"); },
                testing::ThrowsMessage<InputError>(testing::HasSubstr("matches no module")));
    EXPECT_THAT(
        [&] {
            targets({"q_proj", "w_pack"});
        },
        testing::ThrowsMessage<InputError>(testing::HasSubstr("'w_pack'")));
    EXPECT_THROW(targets("(q_proj"), InputError);
    EXPECT_THROW(Options::from_json({{"rank_pattern", {{"q_proj", 0}}}}, "test"), InputError);
}

}  // namespace
}  // namespace samner::train
