#include "task/engine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.h"
#include "infer/generate.h"
#include "task/merge_adapters.h"
#include "temporary_folder.h"
#include "weights/architecture.h"
#include "weights/checkpoint.h"

namespace samner::task {
namespace {

/// Writes an adapter of all linear layers of a model, with factors drawn from `seed`.
void write_expert(std::filesystem::path const& folder, weights::ModelConfig const& config, std::uint64_t seed) {
    weights::Adapter adapter;
    adapter.settings.r = 4;
    adapter.settings.lora_alpha = 8;
    for (auto const& linear : weights::linear_modules(config)) {
        weights::LoraModule module{linear.name, 4, 2.0, linear.in, linear.out, {}, {}};
        auto const draw = [&](char const* factor, std::int64_t count) {
            RandomStream const stream{seed, linear.name + factor};
            std::vector<float> values;
            for (std::int64_t i = 0; i < count; ++i)
                values.push_back(static_cast<float>(stream.uniform(static_cast<std::uint64_t>(i)) - 0.5));
            return values;
        };
        module.a = draw("A", 4 * linear.in);
        module.b = draw("B", 4 * linear.out);
        adapter.settings.target_modules.push_back(linear.name);
        adapter.modules.push_back(std::move(module));
    }
    std::ranges::sort(adapter.modules, {}, &weights::LoraModule::name);
    weights::write_adapter(folder, adapter);
}

AdapterSource in_delta_space(AdapterMerge merge) {
    return {.delta = std::make_shared<AdapterMerge const>(std::move(merge))};
}

/// A folder, and a file of quantised weights.
class EngineOn : public testing::TestWithParam<std::string> {
protected:
    EngineOn() {
        for (std::uint64_t i = 0; i < 3; ++i)
            write_expert(folder / fmt::format("e{}", i), engine.checkpoint().config(), i);
    }
    static std::filesystem::path base() { return std::filesystem::path{SAMNER_TEST_DATA} / GetParam(); }
    AdapterMerge merge_of(std::vector<std::string> const& names, std::string_view method) const {
        AdapterMerge merge;
        for (auto const& name : names) merge.adapters.push_back(folder / name);
        merge.options.method = merge::parse_method(method);
        return merge;
    }
    static std::vector<std::vector<std::int32_t>> answers(Engine& engine, AdapterSource const& source) {
        std::vector<Engine::Prompt> prompts;
        for (auto const* text : {"Alice met Bob in Paris.", "the of and", "12 34 56"})
            prompts.push_back({text, source});
        infer::Options options;
        options.max_new_tokens = 24;
        std::vector<std::vector<std::int32_t>> tokens;
        for (auto const& completion : engine.generate(prompts, options)) tokens.push_back(completion.tokens);
        return tokens;
    }
    std::vector<std::vector<std::int32_t>> answers(AdapterSource const& source) { return answers(engine, source); }
    TemporaryFolder const folder;
    Engine engine{base(), "cpu"};
};

TEST_P(EngineOn, DecodesWithASumInDeltaSpaceAsWithTheFactorsSideBySide) {
    std::vector<std::string> const experts{"e0", "e1", "e2"};
    auto const beside = std::make_shared<weights::Adapter const>(merge_adapters(merge_of(experts, "cat")).adapter);
    auto const sum = answers(in_delta_space(merge_of(experts, "linear")));
    EXPECT_EQ(sum, answers({.values = beside}));
    EXPECT_NE(sum, answers({}));
    EXPECT_NE(sum, answers(in_delta_space(merge_of({"e0", "e1"}, "linear"))));
    EXPECT_EQ(answers({}).size(), 3U);
}

TEST_P(EngineOn, DoesNotTakeKeptBeginningsOfOneMergeForThoseOfAnother) {
    auto merge = merge_of({"e0", "e1", "e2"}, "dare_linear");
    auto const first = answers(in_delta_space(merge));
    merge.options.seed = 5;
    auto const second = answers(in_delta_space(merge));
    Engine fresh{base(), "cpu"};
    EXPECT_EQ(answers(fresh, in_delta_space(merge)), second);
    EXPECT_NE(first, second);
}

INSTANTIATE_TEST_SUITE_P(Bases, EngineOn, testing::Values("tiny", "golden/gguf/llama-tiny.Q4_0.gguf"),
                         [](auto const& each) { return each.index == 0 ? "Folder" : "Quantised"; });

}  // namespace
}  // namespace samner::task
