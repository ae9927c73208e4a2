#include "report/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "train/options.h"
#include "weights/architecture.h"

namespace samner::report {
namespace {

weights::ModelConfig config(std::string const& architecture, std::int64_t vocabulary, std::int64_t width,
                            std::int64_t inner, std::int64_t layers, std::int64_t heads, std::int64_t kv_heads) {
    weights::ModelConfig config;
    config.architecture = architecture;
    config.vocab_size = vocabulary;
    config.hidden_size = width;
    config.intermediate_size = inner;
    config.num_layers = layers;
    config.num_heads = heads;
    config.num_kv_heads = kv_heads;
    config.head_dim = width / heads;
    return config;
}

plan::BaseSize size_of(weights::ModelConfig const& config) {
    plan::BaseSize size{config.hidden_size, config.num_layers, config.vocab_size, weights::num_parameters(config)};
    for (auto const& linear : weights::linear_modules(config)) size.linear_parameters += linear.out * linear.in;
    size.adapter_parameters = train::num_factors(train::adapted_modules(config, train::Options{}.lora()));
    return size;
}

plan::BaseSize smollm2() {
    auto smollm2 = config("llama", 49'152, 576, 1'536, 30, 9, 3);
    smollm2.tie_word_embeddings = true;
    return size_of(smollm2);
}

plan::BaseSize qwen() {
    auto qwen = config("qwen2", 152'064, 3'584, 18'944, 28, 28, 4);
    qwen.attention_bias = true;
    return size_of(qwen);
}

/// Formula and measured value by quantity.
std::map<std::string, std::pair<double, double>> by_name(Usage const& usage) {
    std::map<std::string, std::pair<double, double>> values;
    for (auto const& line : resources(usage)) values[line.quantity] = {line.formula, line.measured};
    return values;
}

TEST(Resources, OfSmolLm2AreThoseByHand) {
    // A layer: q and o 576 x 576, k and v 192 x 576, gate, up and down 1536 x 576: 3,538,944 in all. Norms 2 x 576.
    // 30 layers, the embedding of 49,152 x 576 once, the last norm.
    auto const found = by_name({smollm2(), 32});
    EXPECT_EQ(found.at("base_parameters").first, (12.0 * 576 * 576 + 13 * 576) * 30 + 49'152 * 576);
    EXPECT_EQ(found.at("base_parameters").first, 147'975'552);
    EXPECT_EQ(found.at("base_parameters").second, 134'515'008);
    EXPECT_EQ(smollm2().linear_parameters, 30 * 3'538'944);
    // Ins and outs of a layer: 2 x 1152, 2 x 768, 3 x 2112, in all 10,176.
    EXPECT_EQ(found.at("adapter_parameters").first, 18 * 576 * 32 * 30);
    EXPECT_EQ(found.at("adapter_parameters").second, 30 * 32 * 10'176);
}

TEST(Resources, OfQwenAreThoseByHand) {
    // A layer: q and o 3584 x 3584, k and v 512 x 3584, gate, up and down 18944 x 3584; biases 3584 + 2 x 512; norms
    // 2 x 3584. 28 layers, embedding and head of 152,064 x 3584 each, the last norm.
    auto const found = by_name({qwen(), 32});
    EXPECT_EQ(found.at("base_parameters").first, 4'862'240'768);
    EXPECT_EQ(found.at("base_parameters").second, 7'615'616'512);
    EXPECT_EQ(found.at("adapter_parameters").first, 57'802'752);
    EXPECT_EQ(found.at("adapter_parameters").second, 80'740'352);
    EXPECT_NEAR(found.at("adapter_share_of_parameters").first, 0.0119, 5e-5);
    EXPECT_NEAR(found.at("adapter_share_of_parameters").second, 0.0106, 5e-5);
}

TEST(Resources, OfARunAreWhatItUsed) {
    Usage usage{qwen(), 32};
    usage.base.bytes = 1000;
    usage.adapter_bytes = {10, 20, 30};
    usage.trainings = Usage::Trainings{500, 520, 7, 9};
    usage.passes = {{"unified", 1}, {"sam", 1.75}};
    auto const found = by_name(usage);
    EXPECT_EQ(found.at("adapter_bytes").second, 20);
    EXPECT_EQ(found.at("experts").second, 3);
    EXPECT_EQ(found.at("storage_per_expert"), std::pair(0.02, 0.02));
    EXPECT_DOUBLE_EQ(found.at("storage").first, 1.06);
    EXPECT_DOUBLE_EQ(found.at("storage").second, 1.06);
    EXPECT_EQ(found.at("training_tokens_experts"), std::pair(500.0, 520.0));
    EXPECT_EQ(found.at("training_seconds_experts"), std::pair(7.0, 9.0));
    EXPECT_EQ(found.at("training_operations_experts").first, 6 * 4'862'240'768.0 * 500);
    EXPECT_EQ(found.at("training_operations_experts").second, (4 * 6'525'288'448.0 + 6 * 80'740'352.0) * 520);
    EXPECT_EQ(found.at("training_operations_unified").second, (4 * 6'525'288'448.0 + 6 * 80'740'352.0) * 500);
    EXPECT_EQ(found.at("inference_passes_sam"), std::pair(2.0, 1.75));
    EXPECT_EQ(found.at("inference_passes_sam_eco").first, 1);
    EXPECT_TRUE(std::isnan(found.at("inference_passes_sam_eco").second));
}

TEST(Resources, ThatAreNotKnownAreNoNumbers) {
    for (auto const& line : resources({})) EXPECT_TRUE(std::isnan(line.measured)) << line.quantity;
    auto const found = by_name({});
    for (auto const* const name : {"base_parameters", "adapter_parameters", "storage", "training_operations_unified"})
        EXPECT_TRUE(std::isnan(found.at(name).first)) << name;
}

}  // namespace
}  // namespace samner::report
