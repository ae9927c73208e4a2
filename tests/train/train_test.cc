#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/parallel.h"
#include "golden_training.h"
#include "operators.h"
#include "train/flops.h"
#include "train/trainer.h"

namespace samner::train {
namespace {

double square_distance(weights::Adapter const& a, weights::Adapter const& b, double& largest, std::size_t& count) {
    double sum = 0;
    for (std::size_t i = 0; i < a.modules.size(); ++i) {
        auto const add = [&](std::vector<float> const& x, std::vector<float> const& y) {
            for (std::size_t j = 0; j < x.size(); ++j) {
                auto const difference = std::abs(static_cast<double>(x[j]) - static_cast<double>(y[j]));
                largest = std::max(largest, difference);
                sum += difference * difference;
                ++count;
            }
        };
        add(a.modules[i].a, b.modules[i].a);
        add(a.modules[i].b, b.modules[i].b);
    }
    return sum;
}

/// Model name and operators.
class PeftReference : public testing::TestWithParam<std::tuple<char const*, char const*>> {
protected:
    void SetUp() override {
        set_num_threads(2);
        name = std::get<0>(GetParam());
        auto const* const kind = std::get<1>(GetParam());
        if (auto const why = obstacle(kind); !why.empty()) GTEST_SKIP() << why;
        ops = operators(kind);
        language_model = model::load_language_model(weights::Checkpoint::open(golden("models/" + name)), *ops, true);
        folder = "training/" + name;
    }
    std::string name;
    std::string folder;
    std::unique_ptr<model::Ops> ops;
    model::LanguageModel language_model;
};

TEST_P(PeftReference, GivesTheLossAndGradientsOfPeft) {
    auto const data = read_json(golden(folder + "/data.json"));
    auto const expected = read_json(golden(folder + "/expected.json"))["loss"];
    weights::SafetensorsFile const tensors{golden(folder + "/gradients.expected.safetensors")};
    std::vector<Example> batch;
    for (auto const& sequence : data["batch"]) batch.push_back(example(sequence));
    std::vector<Example const*> pointers;
    for (auto const& one : batch) pointers.push_back(&one);
    for (std::string const start : {"init", "nonzero"}) {
        LoraParameters lora{weights::read_adapter(golden(folder + "/" + start)), language_model.config, *ops};
        auto const loss = add_gradients(language_model, *ops, lora, pointers);
        EXPECT_NEAR(loss.sum, expected[start]["sum"].get<double>(), 1e-3);
        EXPECT_EQ(loss.answer, expected[start]["answer_tokens"].get<std::int64_t>());
        ops->scale(1.0F / static_cast<float>(loss.answer), lora.gradients);
        auto const norm = expected[start]["gradient_norm"].get<double>();
        EXPECT_NEAR(std::sqrt(ops->sum_of_squares(lora.gradients)), norm, 1e-4 * norm);
        for (int layer = 0; layer < language_model.config.num_layers; ++layer) {
            for (int p = 0; p < model::num_projections; ++p) {
                auto const* module = lora.find(layer, static_cast<model::Projection>(p));
                ASSERT_TRUE(module);
                auto const prefix =
                    start + "/base_model.model." + model::module_name(layer, static_cast<model::Projection>(p));
                for (auto const& [suffix, gradient] :
                     {std::pair{".lora_A.weight", module->da}, std::pair{".lora_B.weight", module->db}}) {
                    auto const wanted = golden_tensor(tensors, prefix + suffix);
                    auto const got = gradient.cpu().contiguous();
                    ASSERT_EQ(static_cast<std::size_t>(got.numel()), wanted.size());
                    for (std::size_t i = 0; i < wanted.size(); ++i) {
                        ASSERT_NEAR(got.const_data_ptr<float>()[i], wanted[i], 1e-5 + 1e-4 * std::abs(wanted[i]))
                            << prefix << suffix << " " << i;
                    }
                }
            }
        }
    }
}

TEST_P(PeftReference, TakesTheSixStepsOfPeft) {
    auto const data = read_json(golden(folder + "/data.json"));
    std::vector<Example> examples;
    for (auto const& step : data["steps"]) {
        for (auto const& micro_batch : step) {
            for (auto const& sequence : micro_batch) examples.push_back(example(sequence));
        }
    }
    for (auto const& [run, decay] : {std::pair{"weight-decay-0", 0.0}, std::pair{"weight-decay-0.01", 0.01}}) {
        auto const expected = read_json(golden(folder + "/expected.json"))["runs"][run]["steps"];
        Options options;
        options.learning_rate = 1e-3;
        options.warmup_ratio = 2.0 / 6.0;
        options.weight_decay = decay;
        options.max_steps = 6;
        options.batch_size = static_cast<std::int64_t>(examples.size() / 6);
        options.micro_batch_size = options.batch_size / 2;
        options.shuffle = false;
        std::vector<Step> steps;
        auto const trained =
            train(language_model, *ops, options, examples, weights::read_adapter(golden(folder + "/init")),
                  {.on_step = [&](Step const& step) { steps.push_back(step); }});
        ASSERT_EQ(steps.size(), expected.size());
        for (std::size_t i = 0; i < steps.size(); ++i) {
            auto const norm = expected[i]["gradient_norm"].get<double>();
            EXPECT_NEAR(steps[i].loss, expected[i]["loss"].get<double>(), 1e-4) << i;
            EXPECT_NEAR(steps[i].grad_norm, norm, 1e-4 * norm) << i;
            EXPECT_NEAR(steps[i].lr, expected[i]["learning_rate"].get<double>(), 1e-12) << i;
        }
        double largest = 0;
        std::size_t count = 0;
        auto const square =
            square_distance(trained, weights::read_adapter(golden(folder + "/final-" + run)), largest, count);
        EXPECT_LE(largest, 5e-5);
        EXPECT_LE(std::sqrt(square / static_cast<double>(count)), 2e-7);
    }
}

INSTANTIATE_TEST_SUITE_P(Models, PeftReference,
                         testing::Combine(testing::Values("llama-tiny", "qwen2-tiny"),
                                          testing::Values("kernel", "libtorch", "cuda")),
                         [](auto const& parameter) {
                             std::string label =
                                 std::string{std::get<0>(parameter.param)} + "_" + std::get<1>(parameter.param);
                             std::ranges::replace(label, '-', '_');
                             return label;
                         });

TEST(Gradients, OfMistralAndQwen3AreThoseOfPeft) {
    auto const folder = std::filesystem::path{SAMNER_TEST_DATA} / "models";
    for (std::string const name : {"mistral-tiny", "qwen3-tiny"}) {
        for (bool const own_kernels : {true, false}) {
            auto const ops = own_kernels ? model::make_cpu_ops() : model::make_aten_ops("cpu");
            auto const language_model =
                model::load_language_model(weights::Checkpoint::open(folder / name), *ops, true);
            auto const expected = read_json(folder / (name + ".expected.json"));
            weights::SafetensorsFile const tensors{folder / (name + ".expected.safetensors")};
            std::vector<Example> batch;
            for (std::size_t i = 0; i < expected["sequences"].size(); ++i) {
                auto const begin = expected["answer_from"][i].get<std::size_t>();
                if (begin == 0) continue;
                auto& one = batch.emplace_back();
                one.ids = expected["sequences"][i].get<std::vector<std::int32_t>>();
                one.labels = one.ids;
                std::fill_n(one.labels.begin(), begin, not_trained_on);
            }
            std::vector<Example const*> pointers;
            for (auto const& one : batch) pointers.push_back(&one);
            LoraParameters lora{weights::read_adapter(folder / name / "adapter"), language_model.config, *ops};
            auto const loss = add_gradients(language_model, *ops, lora, pointers);
            EXPECT_NEAR(loss.sum, expected["loss_sum"].get<double>(), 1e-3);
            EXPECT_EQ(loss.answer, expected["answer_tokens"].get<std::int64_t>());
            for (int layer = 0; layer < language_model.config.num_layers; ++layer) {
                for (int p = 0; p < model::num_projections; ++p) {
                    auto const module = model::module_name(layer, static_cast<model::Projection>(p));
                    auto const* found = lora.find(layer, static_cast<model::Projection>(p));
                    ASSERT_TRUE(found);
                    for (auto const& [suffix, gradient] : {std::pair{"lora_A", found->da}, {"lora_B", found->db}}) {
                        auto const wanted = tensors.floats("gradient." + module + "." + suffix + ".weight");
                        auto const values = gradient.contiguous();
                        ASSERT_EQ(static_cast<std::size_t>(values.numel()), wanted.size());
                        for (std::size_t i = 0; i < wanted.size(); ++i)
                            ASSERT_NEAR(values.const_data_ptr<float>()[i], wanted[i], 2e-4) << name << module << suffix;
                    }
                }
            }
        }
    }
}

class TrainingInBf16 : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        if (auto const why = obstacle(GetParam()); !why.empty()) GTEST_SKIP() << why;
    }
};

Loss gradients_in(std::string const& kind, Precision precision, at::Tensor& gradients) {
    auto const ops = operators(kind, precision);
    auto const language_model = golden_model(*ops);
    auto examples = golden_examples();
    examples.resize(4);
    std::vector<Example const*> batch;
    for (auto const& one : examples) batch.push_back(&one);
    LoraParameters lora{nonzero_adapter(), language_model.config, *ops};
    auto const loss = add_gradients(language_model, *ops, lora, batch);
    gradients = lora.gradients.cpu();
    return loss;
}

TEST_P(TrainingInBf16, HasTheGradientOfFp32UpToItsRoundings) {
    set_num_threads(2);
    at::Tensor exact;
    at::Tensor rounded;
    auto const loss = gradients_in(GetParam(), Precision::fp32, exact);
    auto const loss_rounded = gradients_in(GetParam(), Precision::bf16, rounded);
    ASSERT_EQ(rounded.scalar_type(), at::kFloat);
    double norm = 0;
    double distance = 0;
    for (std::int64_t i = 0; i < exact.numel(); ++i) {
        auto const a = static_cast<double>(exact.const_data_ptr<float>()[i]);
        auto const b = static_cast<double>(rounded.const_data_ptr<float>()[i]);
        norm += a * a;
        distance += (a - b) * (a - b);
    }
    // A rounding to bf16 is wrong by at most 2^-8 of the value. A layer has in each pass 6 for each of its 7 modules
    // (weight, product, two factors, their two products) and 10 more (norms, rope, attention, SwiGLU, sums): 52. Errors
    // of either sign add up by the root of their number; there are two layers and two passes.
    auto const roundings = 52.0 * 2 * 2;
    EXPECT_LE(std::sqrt(distance / norm), std::sqrt(roundings) / 256);
    EXPECT_GT(distance, 0);
    EXPECT_NEAR(loss_rounded.sum, loss.sum, loss.sum * std::sqrt(roundings) / 256);
}

TEST_P(TrainingInBf16, LearnsAsFp32Does) {
    set_num_threads(2);
    auto const losses = [](Precision precision) {
        auto const ops = operators(GetParam(), precision);
        auto const language_model = golden_model(*ops);
        Options options;
        options.dtype = precision;
        options.learning_rate = 1e-2;
        options.max_steps = 12;
        options.batch_size = 6;
        options.micro_batch_size = 3;
        options.shuffle = false;
        std::vector<double> result;
        train(language_model, *ops, options, golden_examples(), nonzero_adapter(),
              {.on_step = [&](Step const& step) { result.push_back(step.loss); }});
        return result;
    };
    auto const exact = losses(Precision::fp32);
    auto const rounded = losses(Precision::bf16);
    EXPECT_LT(rounded.back(), 0.9 * rounded.front());
    EXPECT_NEAR(rounded.front() - rounded.back(), exact.front() - exact.back(), 0.1 * (exact.front() - exact.back()));
}

INSTANTIATE_TEST_SUITE_P(Ops, TrainingInBf16, testing::Values("libtorch", "cuda"),
                         [](auto const& parameter) { return std::string{parameter.param}; });

TEST(TrainedAdapter, IsTheSameBitsOnAnyNumberOfThreads) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    auto const examples = golden_examples();
    Options options;
    options.r = 4;
    options.learning_rate = 1e-3;
    options.max_steps = 5;
    options.batch_size = 6;
    options.micro_batch_size = 2;
    weights::LoraSettings settings;
    settings.r = 4;
    settings.lora_alpha = 8;
    settings.target_modules = options.target_modules.names;
    auto const run = [&](int threads) {
        set_num_threads(threads);
        return train(language_model, *ops, options, examples, initial_adapter(language_model.config, settings, 7));
    };
    auto const first = run(1);
    auto const second = run(3);
    set_num_threads(1);
    for (std::size_t i = 0; i < first.modules.size(); ++i) {
        EXPECT_EQ(first.modules[i].a, second.modules[i].a);
        EXPECT_EQ(first.modules[i].b, second.modules[i].b);
    }
    // The fresh adapter's B is zero; training has moved it.
    EXPECT_NE(first.modules[0].b, std::vector<float>(first.modules[0].b.size(), 0.0F));
}

TEST(Rslora, TrainsAsAPlainAdapterOfAlphaTimesTheRootOfTheRank) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    weights::LoraSettings settings;
    settings.r = 4;
    settings.lora_alpha = 8;
    settings.use_rslora = true;
    settings.target_modules = Options{}.target_modules.names;
    auto plain = settings;
    plain.use_rslora = false;
    plain.lora_alpha = 16;  // 16 / 4 = 8 / sqrt(4)
    Options options;
    options.learning_rate = 1e-3;
    options.max_steps = 4;
    options.batch_size = 6;
    auto const run = [&](weights::LoraSettings const& which) {
        return train(language_model, *ops, options, golden_examples(),
                     initial_adapter(language_model.config, which, 7));
    };
    auto const with = run(settings);
    auto const without = run(plain);
    EXPECT_DOUBLE_EQ(with.modules[0].scaling, 4.0);
    EXPECT_EQ(with.modules, without.modules);
    EXPECT_TRUE(with.settings.use_rslora);
    EXPECT_NE(with.modules[0].b, std::vector<float>(with.modules[0].b.size(), 0.0F));
}

TEST(Training, StopsAtALossThatIsNotANumberAndNamesStepAndExamples) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    auto broken = nonzero_adapter();
    for (auto& value : broken.modules[0].a) value = std::numeric_limits<float>::infinity();
    Options options;
    options.max_steps = 2;
    options.batch_size = 4;
    options.micro_batch_size = 2;
    options.shuffle = false;
    EXPECT_THAT([&] { train(language_model, *ops, options, golden_examples(), broken); },
                testing::ThrowsMessage<Error>(
                    testing::HasSubstr("the loss of step 1 is nan in its micro-batch 1 (examples 0, 1)")));
}

TEST(Training, NamesTheMicroBatchThatBrokeTheLoss) {
    auto const ops = model::make_cpu_ops();
    auto language_model = golden_model(*ops);
    auto examples = golden_examples();
    examples.resize(6);
    // One token of the fifth example alone has an embedding that is no number.
    constexpr std::int32_t poison = 3;
    for (auto& one : examples) std::ranges::replace(one.ids, poison, poison + 1);
    examples[4].ids[0] = poison;
    language_model.embeddings.select(0, poison).fill_(std::numeric_limits<float>::quiet_NaN());
    Options options;
    options.max_steps = 2;
    options.batch_size = 3;
    options.micro_batch_size = 2;
    options.shuffle = false;
    EXPECT_THAT([&] { train(language_model, *ops, options, examples, nonzero_adapter()); },
                testing::ThrowsMessage<Error>(
                    testing::HasSubstr("the loss of step 2 is nan in its micro-batch 1 (examples 3, 4)")));
}

TEST(TrainingOptions, RefuseUnknownKeysAndValuesOutOfRange) {
    EXPECT_THROW(Options::from_json({{"learning_rte", 1e-3}}, "run.yaml"), InputError);
    EXPECT_THROW(Options::from_json({{"batch_size", 0}}, "run.yaml"), InputError);
    EXPECT_THROW(Options::from_json({{"lr_scheduler_type", "step"}}, "run.yaml"), InputError);
    auto const options = Options::from_json({{"r", 8}, {"lr_scheduler_type", "linear"}}, "run.yaml");
    EXPECT_EQ(Options::from_json(options.settings(), "again").settings(), options.settings());
    EXPECT_FALSE(options.settings().contains("dtype"));
    auto const bf16 = Options::from_json({{"dtype", "bf16"}}, "run.yaml");
    EXPECT_EQ(bf16.settings()["dtype"], "bf16");
    EXPECT_THROW(Options::from_json({{"dtype", "fp16"}}, "run.yaml"), InputError);
}

TEST(LearningRate, FollowsTheSchedulesOfTransformers) {
    Options options;
    options.learning_rate = 1;
    options.warmup_ratio = 0.25;
    options.lr_scheduler_type = Schedule::linear;
    EXPECT_DOUBLE_EQ(learning_rate(options, 0, 8), 0);
    EXPECT_DOUBLE_EQ(learning_rate(options, 1, 8), 0.5);
    EXPECT_DOUBLE_EQ(learning_rate(options, 2, 8), 1);
    EXPECT_DOUBLE_EQ(learning_rate(options, 5, 8), 0.5);
    options.lr_scheduler_type = Schedule::constant_with_warmup;
    EXPECT_DOUBLE_EQ(learning_rate(options, 1, 8), 0.5);
    EXPECT_DOUBLE_EQ(learning_rate(options, 7, 8), 1);
    options.lr_scheduler_type = Schedule::constant;
    EXPECT_DOUBLE_EQ(learning_rate(options, 0, 8), 1);
    EXPECT_DOUBLE_EQ(learning_rate(options, 7, 8), 1);
}

TEST(TrainingOptions, OfAConstantRateNeverLookLikeThoseThatWarmedUp) {
    auto const plain = Options::from_json({{"lr_scheduler_type", "constant"}, {"warmup_ratio", 0.1}}, "run.yaml");
    EXPECT_EQ(plain.settings().at("warmup_ratio"), 0);
    auto const warmed = Options::from_json({{"lr_scheduler_type", "constant_with_warmup"}, {"warmup_ratio", 0.1}}, "f");
    EXPECT_EQ(warmed.settings().at("lr_scheduler_type"), "constant_with_warmup");
    EXPECT_EQ(warmed.settings().at("warmup_ratio"), 0.1);
}

TEST(TrainingFlops, CountEveryProductForwardAndBackward) {
    weights::ModelConfig config;
    config.vocab_size = 100;
    config.hidden_size = 8;
    config.intermediate_size = 12;
    config.num_layers = 2;
    config.num_heads = 2;
    config.num_kv_heads = 1;
    config.head_dim = 4;
    // A layer: q and o 8 x 8, k and v 4 x 8, gate, up and down 12 x 8.
    constexpr double frozen = 2 * (2 * 64 + 2 * 32 + 3 * 96);
    EXPECT_DOUBLE_EQ(training_flops(config, 50, {.tokens = 10}), 10 * (4 * frozen + 6 * 50));
    // A pair takes two products of 8 values a layer forward, four backward.
    EXPECT_DOUBLE_EQ(training_flops(config, 50, {.pairs = 3}), 3 * 2 * (2 + 4) * 2 * 8);
    EXPECT_DOUBLE_EQ(training_flops(config, 50, {.answer = 7}), 7 * 4 * 100 * 8);
}

TEST(Training, TellsOfEachStepWhichShareOfTheMachinesProductsItReached) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    Options options;
    options.max_steps = 3;
    options.batch_size = 6;
    std::vector<Step> steps;
    Context context;
    context.on_step = [&](Step const& step) { steps.push_back(step); };
    train(language_model, *ops, options, golden_examples(), nonzero_adapter(), context);
    ASSERT_EQ(steps.size(), 3U);
    for (auto const& step : steps) {
        EXPECT_TRUE(std::isfinite(step.mfu));
        EXPECT_GT(step.mfu, 0);
        EXPECT_EQ(Step::from_json(step.to_json(), "again").mfu, step.mfu);
    }
}

TEST(TrainingData, WithoutAnAnswerTokenIsAnError) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    std::vector<Example> const examples{{{1, 2, 3}, {-100, -100, -100}}};
    EXPECT_THROW(train(language_model, *ops, {}, examples, weights::read_adapter(golden("training/llama-tiny/init"))),
                 InputError);
}

/// Whole within 4 tokens, cut in it, all behind it, and without an answer.
std::vector<Example> cut_examples() {
    return {{{1, 2, 3, 4}, {-100, -100, 3, 4}},
            {{1, 2, 3, 4, 5}, {-100, -100, -100, 4, 5}},
            {{1, 2, 3, 4, 5, 6}, {-100, -100, -100, -100, 5, 6}},
            {{1, 2}, {-100, -100}},
            {{1, 2, 3, 4, 5}, {-100, -100, 3, -100, -100}}};
}

TEST(TrainingData, WhoseAnswerIsCutIsLeftOutAndCounted) {
    Options options;
    options.max_length = 4;
    auto examples = cut_examples();
    auto const cuts = leave_out_cut(options, examples);
    EXPECT_EQ(examples.size(), 2U);  // what is cut behind an answer does not matter
    EXPECT_EQ(cuts.nothing, 2);
    EXPECT_EQ(cuts.part, 1);
    EXPECT_EQ(cuts.left_out(), 3);
    EXPECT_EQ(cuts.warning(options),
              "2 of 5 training examples have no answer token within max_length, 4 tokens, and 1 only a part of their "
              "answer: 3 are left out — raise max_length, or set keep_cut_answers to learn the parts");
    options.max_length = 2048;
    EXPECT_EQ(leave_out_cut(options, examples).warning(options), "");
}

TEST(TrainingData, WhoseAnswerIsCutInPartIsKeptWhereAskedFor) {
    auto const options = Options::from_json({{"max_length", 4}, {"keep_cut_answers", true}}, "run.yaml");
    EXPECT_TRUE(options.key().at("keep_cut_answers"));
    EXPECT_FALSE(Options{}.key().contains("keep_cut_answers"));
    auto examples = cut_examples();
    auto const cuts = leave_out_cut(options, examples);
    EXPECT_EQ(examples.size(), 3U);
    EXPECT_EQ(cuts.left_out(), 2);
    EXPECT_THAT(cuts.warning(options), testing::HasSubstr("2 are left out, 1 are learnt without an end"));
}

TEST(TrainingData, OfWhichNothingIsLeftIsAnErrorThatSaysWhy) {
    Options options;
    options.max_length = 4;
    auto const fault = [&](std::vector<Example> examples) {
        try {
            leave_out_cut(options, examples);
        } catch (InputError const& error) {
            return describe(error);
        }
        return std::string{"none"};
    };
    EXPECT_EQ(fault({cut_examples()[1], cut_examples()[2]}),
              "none of 2 training examples has its whole answer within 4 tokens, 1 have a part — raise max_length, or "
              "set keep_cut_answers");
    EXPECT_EQ(fault({cut_examples()[2], cut_examples()[3]}),
              "none of 2 training examples has an answer token within 4 tokens — check the data, or raise max_length");
}

TEST(TrainingData, ThatIsLeftOutTakesNoSteps) {
    auto const ops = model::make_cpu_ops();
    auto const language_model = golden_model(*ops);
    Options options;
    options.max_length = 4;
    options.batch_size = 1;
    options.num_train_epochs = 1;
    std::vector<Step> steps;
    Context context;
    context.on_step = [&](Step const& step) { steps.push_back(step); };
    train(language_model, *ops, options, cut_examples(), nonzero_adapter(), context);
    EXPECT_EQ(steps.size(), 2U);
    for (auto const& step : steps) EXPECT_GT(step.loss, 0);
}

std::string refusal(Json const& settings) {
    try {
        Options::from_json(settings, "run.yaml");
    } catch (InputError const& error) {
        return describe(error);
    }
    return "accepted";
}

TEST(TrainOptions, TrainAsManyStepsAsAskedForAndRefuseAnyOtherNumber) {
    for (std::int64_t const steps : {0, -2, -5}) {
        EXPECT_EQ(refusal({{"max_steps", steps}}),
                  fmt::format("max_steps is {} (run.yaml) — give it -1, or 1 or more", steps));
    }
    EXPECT_EQ(count_steps(Options::from_json({{"max_steps", 7}}, "run.yaml"), 1000), 7);
    EXPECT_EQ(count_steps(Options::from_json({{"max_steps", -1}, {"batch_size", 10}}, "run.yaml"), 1000), 300);
    for (double const epochs : {0.0, -1.0, 1e300})  // 1e300 is more steps than can be counted
        EXPECT_THAT(refusal({{"num_train_epochs", epochs}}), testing::HasSubstr("num_train_epochs is"));
}

TEST(TrainOptions, RefuseScalesWithWhichNothingIsLearnt) {
    EXPECT_THAT(refusal({{"lora_alpha", 0}}), testing::HasSubstr("lora_alpha is 0"));
    EXPECT_THAT(refusal({{"alpha_pattern", {{"q_proj", 0}}}}), testing::HasSubstr("alpha_pattern.q_proj is 0"));
}

TEST(TrainOptions, NameTheKeyThatAUsualNameStandsFor) {
    for (auto const& [name, key] : std::map<std::string, std::string>{{"lr", "learning_rate"},
                                                                      {"epochs", "num_train_epochs"},
                                                                      {"bs", "batch_size"},
                                                                      {"alpha", "lora_alpha"},
                                                                      {"dropout", "lora_dropout"},
                                                                      {"rank", "r"},
                                                                      {"steps", "max_steps"}}) {
        EXPECT_EQ(refusal({{name, 1}}),
                  fmt::format("unknown training option {} (run.yaml) — did you mean {}?", name, key));
    }
    EXPECT_EQ(refusal({{"r", "abc"}}), "'r' is \"abc\" (run.yaml) — give it a whole number");
}

TEST(TrainOptions, HaveAliasesThatAreNoKeysAndStandForOneEach) {
    std::set<std::string> seen;
    for (auto const& key : Options::help()) seen.emplace(key.name);
    for (auto const& key : Options::help()) {
        std::istringstream words{std::string{key.aliases}};
        for (std::string word; words >> word;) EXPECT_TRUE(seen.insert(word).second) << word;
    }
}

TEST(AdaptedModules, RefuseARankThatNoUpdateOfALayerNeeds) {
    auto const config = weights::read_config(golden("models/llama-tiny"));
    auto const side = std::max(config.hidden_size, config.intermediate_size);
    Options options;
    options.target_modules.names = {"down_proj"};
    options.r = static_cast<std::int32_t>(side);
    EXPECT_EQ(adapted_modules(config, options.lora()).size(), static_cast<std::size_t>(config.num_layers));
    options.r += 1;
    EXPECT_THAT([&] { adapted_modules(config, options.lora()); },
                testing::ThrowsMessage<InputError>(testing::HasSubstr(fmt::format("is {}", options.r))));
    options.r = 4;
    options.rank_pattern = {{"down_proj", 100'000}};
    EXPECT_THROW(adapted_modules(config, options.lora()), InputError);
}

TEST(AdaptedModules, RefuseATrainingThatTheMemoryCannotHold) {
    auto const config = weights::read_config(golden("models/llama-tiny"));
    Options options;
    options.r = 4;
    options.target_modules.names = {"down_proj"};
    auto const numbers = config.num_layers * 4 * (config.hidden_size + config.intermediate_size);
    auto const bytes = static_cast<std::uint64_t>(numbers) * 4 * 5;
    EXPECT_NO_THROW(check_memory(options, config, "cpu", bytes));
    EXPECT_THAT([&] { check_memory(options, config, "cpu", bytes - 1); },
                testing::ThrowsMessage<InputError>(testing::HasSubstr("r = 4")));
    EXPECT_NO_THROW(check_memory(options, config, "cuda:0", bytes - 1));
}

}  // namespace
}  // namespace samner::train
