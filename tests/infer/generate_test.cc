#include "infer/generate.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "golden.h"

namespace samner::infer {
namespace {

using Ids = std::vector<std::int32_t>;

class Decoding : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        set_num_threads(2);
        ops = GetParam() == std::string{"kernel"} ? model::make_cpu_ops() : model::make_aten_ops("cpu");
    }
    std::unique_ptr<model::Ops> ops;
};

TEST_P(Decoding, GivesTheGreedyTokensOfTransformers) {
    for (std::string const name : {"llama-tiny", "llama3rope-tiny", "qwen2-tiny"}) {
        auto const model = model::load_language_model(weights::Checkpoint::open(golden("models/" + name)), *ops, false);
        auto const expected = read_json(golden("models/" + name + ".expected.json"));
        std::vector<Request> requests;
        for (auto const& greedy : expected["greedy"]) requests.push_back({greedy["prompt"].get<Ids>(), nullptr});
        Options options;
        options.max_new_tokens = 24;
        options.num_slots = 3;
        auto const on = generate(model, *ops, requests, options);
        options.end_tokens = expected["end_tokens"].get<Ids>();
        auto const until_end = generate(model, *ops, requests, options);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            EXPECT_EQ(on[i].tokens, expected["greedy"][i]["continuation"].get<Ids>()) << name << i;
            EXPECT_FALSE(on[i].stopped);
            EXPECT_EQ(until_end[i].tokens, expected["greedy"][i]["until_end"].get<Ids>()) << name << i;
        }
    }
}

TEST_P(Decoding, OfSeveralAdaptersInOneBatchGivesTheTokensOfPeft) {
    auto const model = model::load_language_model(weights::Checkpoint::open(golden("models/qwen2-tiny")), *ops, false);
    std::vector<std::unique_ptr<model::PreparedAdapter>> adapters;
    std::vector<Request> requests;
    std::vector<Ids> wanted;
    for (std::string const name : {"all-linear", "qv-only", "rslora-patterns"}) {
        adapters.push_back(std::make_unique<model::PreparedAdapter>(
            weights::read_adapter(golden("adapters/qwen2-tiny/" + name)), model.config, *ops));
        auto const expected = read_json(golden("adapters/qwen2-tiny/" + name + ".expected.json"));
        for (auto const& greedy : expected["greedy"]) {
            requests.push_back({greedy["prompt"].get<Ids>(), adapters.back().get()});
            wanted.push_back(greedy["continuation"].get<Ids>());
        }
    }
    Options options;
    options.max_new_tokens = 24;
    options.num_slots = 5;
    auto const completions = generate(model, *ops, requests, options);
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(completions[i].tokens, wanted[i]) << i;
}

INSTANTIATE_TEST_SUITE_P(Ops, Decoding, testing::Values("kernel", "libtorch"),
                         [](auto const& parameter) { return std::string{parameter.param}; });

class Completions : public testing::Test {
protected:
    std::unique_ptr<model::Ops> ops = model::make_cpu_ops();
    model::LanguageModel model =
        model::load_language_model(weights::Checkpoint::open(golden("models/llama-tiny")), *ops, false);

    /// Prompts of many lengths behind one instruction of 70 tokens.
    std::vector<Request> requests() const {
        RandomStream const random{1, "prompts"};
        Ids instruction;
        for (std::uint64_t i = 0; i < 70; ++i) instruction.push_back(static_cast<std::int32_t>(random.below(300, i)));
        std::vector<Request> all;
        for (std::uint64_t i = 0; i < 24; ++i) {
            auto prompt = instruction;
            for (std::uint64_t j = 0; j <= i; ++j)
                prompt.push_back(static_cast<std::int32_t>(random.below(300, 1000 * (i + 1) + j)));
            all.push_back({prompt, nullptr});
        }
        return all;
    }
};

TEST_F(Completions, AreTheSameAloneAndInAnyCompanyOnAnyNumberOfThreads) {
    auto const all = requests();
    Options options;
    options.max_new_tokens = 20;
    options.end_tokens = {2, 253};
    std::vector<Ids> alone;
    set_num_threads(1);
    for (auto const& request : all) alone.push_back(generate(model, *ops, {&request, 1}, options)[0].tokens);
    for (int const threads : {1, 3}) {
        set_num_threads(threads);
        for (std::int64_t const slots : {1, 7, 64}) {
            for (std::int64_t const rows : {16, 512}) {
                options.num_slots = slots;
                options.max_rows = rows;
                auto const together = generate(model, *ops, all, options);
                for (std::size_t i = 0; i < all.size(); ++i)
                    EXPECT_EQ(together[i].tokens, alone[i]) << i << " slots " << slots << " rows " << rows;
            }
        }
    }
    set_num_threads(1);
}

TEST_F(Completions, EndWithTheModelsContext) {
    model.config.max_position_embeddings = 80;
    auto all = requests();
    all.resize(5);
    Options options;
    options.max_new_tokens = 100;
    auto const completions = generate(model, *ops, all, options);
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].prompt.size() + completions[i].tokens.size(), 80U);
        EXPECT_FALSE(completions[i].stopped);
    }
    EXPECT_THROW(generate(model, *ops, std::vector<Request>{{Ids(80, 1), nullptr}}, options), InputError);
}

TEST_F(Completions, OfNothingAreNothingAndOfEmptyOrUnknownTokensAreErrors) {
    EXPECT_TRUE(generate(model, *ops, {}, {}).empty());
    EXPECT_THROW(generate(model, *ops, std::vector<Request>{{{}, nullptr}}, {}), InputError);
    EXPECT_THROW(generate(model, *ops, std::vector<Request>{{{300}, nullptr}}, {}), InputError);
}

}  // namespace
}  // namespace samner::infer
