#include "infer/generate.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel.h"
#include "core/random.h"
#include "golden.h"
#include "model/recorded_steps.h"
#include "operators.h"

namespace samner::infer {
namespace {

using Ids = std::vector<std::int32_t>;

class Decoding : public testing::TestWithParam<char const*> {
protected:
    void SetUp() override {
        set_num_threads(2);
        if (auto const why = obstacle(GetParam()); !why.empty()) GTEST_SKIP() << why;
        ops = operators(GetParam());
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
        options.record_steps = true;
        auto const repeated = generate(model, *ops, requests, options);
        options.end_tokens = expected["end_tokens"].get<Ids>();
        auto const until_end = generate(model, *ops, requests, options);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            EXPECT_EQ(on[i].tokens, expected["greedy"][i]["continuation"].get<Ids>()) << name << i;
            EXPECT_EQ(repeated[i].tokens, on[i].tokens) << name << i;
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

TEST_P(Decoding, WithFoldedWeightsGivesTheTokensOfPeftAlsoBesideOtherAdapters) {
    auto const base = weights::Checkpoint::open(golden("models/qwen2-tiny"));
    auto const model = model::load_language_model(base, *ops, false);
    std::vector<std::unique_ptr<model::PreparedAdapter>> adapters;
    std::vector<Request> requests;
    std::vector<Ids> wanted;
    for (std::string const name : {"all-linear", "qv-only", "rslora-patterns"}) {
        auto const adapter = weights::read_adapter(golden("adapters/qwen2-tiny/" + name));
        auto const expected = read_json(golden("adapters/qwen2-tiny/" + name + ".expected.json"));
        for (bool const fold : {true, false}) {
            adapters.push_back(
                std::make_unique<model::PreparedAdapter>(fold ? model::PreparedAdapter::fold(adapter, base, *ops)
                                                              : model::PreparedAdapter{adapter, model.config, *ops}));
            for (auto const& greedy : expected["greedy"]) {
                requests.push_back({greedy["prompt"].get<Ids>(), adapters.back().get()});
                wanted.push_back(greedy["continuation"].get<Ids>());
            }
        }
    }
    EXPECT_NE(adapters[0]->content(), adapters[1]->content());
    Options options;
    options.max_new_tokens = 24;
    options.num_slots = 7;
    auto const completions = generate(model, *ops, requests, options);
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(completions[i].tokens, wanted[i]) << i;
}

TEST(FoldNames, AreNeverAutoAndAlways) {
    EXPECT_EQ(value_named<Fold>("never", "fold", "test"), Fold::never);
    EXPECT_EQ(value_named<Fold>("auto", "fold", "test"), Fold::automatic);
    EXPECT_EQ(value_named<Fold>("always", "fold", "test"), Fold::always);
    EXPECT_THROW(value_named<Fold>("yes", "fold", "test"), InputError);
}

INSTANTIATE_TEST_SUITE_P(Ops, Decoding, testing::Values("kernel", "libtorch", "cuda"),
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

/// Two adapters of all linear layers, and the first one once more.
struct PreparedAdapters {
    model::PreparedAdapter first, same, second;

    PreparedAdapters(model::LanguageModel const& model, model::Ops const& ops)
        : first{random_adapter(model, 1), model.config, ops},
          same{random_adapter(model, 1), model.config, ops},
          second{random_adapter(model, 2), model.config, ops} {}

    static weights::Adapter random_adapter(model::LanguageModel const& model, std::uint64_t seed) {
        RandomStream const random{seed, "adapter"};
        weights::Adapter adapter;
        std::uint64_t next = 0;
        for (int layer = 0; layer < model.config.num_layers; ++layer) {
            for (int p = 0; p < model::num_projections; ++p) {
                auto const projection = static_cast<model::Projection>(p);
                auto const& weight = *model.layers[static_cast<std::size_t>(layer)].linear[projection].weight;
                auto& module = adapter.modules.emplace_back();
                module = {model::module_name(layer, projection), 4, 0.5, weight.in(), weight.out(), {}, {}};
                for (std::int64_t i = 0; i < 4 * weight.in(); ++i)
                    module.a.push_back(static_cast<float>(0.1 * random.normal(next++)));
                for (std::int64_t i = 0; i < 4 * weight.out(); ++i)
                    module.b.push_back(static_cast<float>(0.1 * random.normal(next++)));
            }
        }
        return adapter;
    }
};

/// Tokens of a completion and the bits of the logits that chose them.
struct Traced {
    Ids tokens;
    std::vector<std::string> logits;  ///< a hash a token
    bool operator==(Traced const&) const = default;
};

std::vector<Traced> traced(model::LanguageModel const& model, model::Ops const& ops, std::span<Request const> requests,
                           Options const& options, PrefixCache* kept = nullptr, std::size_t* read = nullptr) {
    std::vector<Traced> traces(requests.size());
    Observer observer;
    if (read) observer.pass = [read](std::size_t rows) { *read += rows; };
    observer.logits = [&](std::size_t request, std::size_t index, std::span<float const> values) {
        ASSERT_EQ(index, traces[request].logits.size());
        traces[request].logits.push_back(Sha256{}.update(std::as_bytes(values)).hex());
    };
    auto completions = generate(model, ops, requests, options, observer, kept);
    for (std::size_t i = 0; i < requests.size(); ++i) traces[i].tokens = std::move(completions[i].tokens);
    return traces;
}

/// One prompt after the other, one token a pass.
Options plain(Options options) {
    options.num_slots = 1;
    options.draft_tokens = 0;
    return options;
}

TEST_F(Completions, AndTheirLogitsAreTheSameBitsAloneAndInAnyCompanyWithAnyOptionOnAnyNumberOfThreads) {
    auto const all = requests();
    for (double const temperature : {0.0, 1.0}) {
        Options options;
        options.max_new_tokens = 20;
        options.end_tokens = {2, 253};
        options.sampling = {.temperature = temperature, .top_p = 0.9, .seed = 5};
        std::vector<Traced> alone;
        set_num_threads(1);
        for (auto const& request : all) alone.push_back(traced(model, *ops, {&request, 1}, plain(options))[0]);
        for (int const threads : {1, 3}) {
            set_num_threads(threads);
            for (std::int64_t const slots : {1, 3, 64}) {
                for (std::int64_t const rows : {16, 512}) {
                    for (std::int64_t const draft : {0, 4}) {
                        options.num_slots = slots;
                        options.max_rows = rows;
                        options.draft_tokens = draft;
                        options.record_steps = rows == 512;
                        auto const together = traced(model, *ops, all, options);
                        for (std::size_t i = 0; i < all.size(); ++i)
                            EXPECT_EQ(together[i], alone[i])
                                << i << " slots " << slots << " rows " << rows << " draft " << draft;
                    }
                }
            }
        }
    }
    set_num_threads(1);
}

TEST_F(Completions, AreToldAsSoonAsTheyAreWholeAndByWindowsNearlyInTheOrderOfTheRequests) {
    auto const asked = requests();  // each longer than the one before it
    Options options;
    options.max_new_tokens = 4;
    options.num_slots = 1;
    auto const all = generate(model, *ops, asked, options);
    for (std::int64_t const window : {1, 4}) {
        options.window = window;
        std::vector<std::size_t> order;
        Observer observer;
        observer.completed = [&](std::size_t request, Completion const& completion) {
            order.push_back(request / static_cast<std::size_t>(window));
            EXPECT_EQ(completion.tokens, all[request].tokens);
            EXPECT_EQ(completion.stopped, all[request].stopped);
        };
        auto const again = generate(model, *ops, asked, options, observer);
        for (std::size_t i = 0; i < again.size(); ++i) EXPECT_EQ(again[i].tokens, all[i].tokens);
        EXPECT_EQ(order.size(), asked.size());
        EXPECT_TRUE(std::ranges::is_sorted(order)) << window;
    }
}

TEST(RecordedSteps, AreOfFewSizesThatHoldAtMostHalfAgainAsManyRowsAsNeeded) {
    std::set<std::int64_t> sizes;
    for (std::int64_t rows = 1; rows <= 256; ++rows) {
        auto const size = model::recorded_rows(rows);
        sizes.insert(size);
        EXPECT_GE(size, rows);
        EXPECT_LE(2 * size, 3 * rows);
        EXPECT_EQ(model::recorded_rows(size), size);
    }
    EXPECT_LE(sizes.size(), 16U);
}

TEST_F(Completions, OfOnePromptReadItOnceAndAreThoseOfEachSampleAlone) {
    auto const prompts = requests();
    Options options;
    options.max_new_tokens = 12;
    options.sampling = {.temperature = 1.0, .top_p = 0.95, .seed = 11};
    options.draft_tokens = 0;
    std::vector<Request> all;
    for (std::size_t const i : {20, 21, 3}) {
        for (std::uint64_t sample = 0; sample < 5; ++sample) all.push_back({prompts[i].prompt, nullptr, sample});
    }
    std::vector<Traced> alone;
    for (auto const& request : all) alone.push_back(traced(model, *ops, {&request, 1}, plain(options))[0]);
    EXPECT_NE(alone[0].tokens, alone[1].tokens);
    EXPECT_NE(alone[0].tokens, alone[2].tokens);
    for (std::int64_t const slots : {1, 4, 15}) {
        for (std::int64_t const rows : {5, 512}) {
            options.num_slots = slots;
            options.max_rows = rows;
            EXPECT_EQ(traced(model, *ops, all, options), alone) << slots << " " << rows;
            std::size_t read = 0;
            generate(model, *ops, all, options, {{}, [&](std::size_t count) { read += count; }, {}});
            // The instruction's four blocks; a block more of two prompts, once; the rest of each prompt and all tokens
            // but the last of each answer, for every sample.
            EXPECT_EQ(read, 64U + 2 * 16 + 5 * (11 + 12 + 10) + 15 * 11);
        }
    }
    options.sampling.seed = 12;
    EXPECT_NE(traced(model, *ops, all, options), alone);
}

TEST_F(Completions, BehindAPrefixOfAnEarlierCallReadItNoMoreAndStayTheSame) {
    auto const all = requests();
    PreparedAdapters const adapters{model, *ops};
    auto other = all;
    for (auto& request : other) request.adapter = &adapters.first;
    auto again = other;  // the same content, prepared once more
    for (auto& request : again) request.adapter = &adapters.same;
    Options options;
    options.max_new_tokens = 6;
    options.draft_tokens = 0;
    PrefixCache kept;
    auto const read = [&](std::span<Request const> some, PrefixCache* cache) {
        std::size_t count = 0;
        std::vector<Traced> const plain = traced(model, *ops, some, options);
        std::vector<Traced> const traces = traced(model, *ops, some, options, cache, &count);
        EXPECT_EQ(traces, plain);
        return count;
    };
    auto const without = read(all, nullptr);
    EXPECT_EQ(read(all, &kept), without);
    EXPECT_EQ(kept.tokens(), 64);
    EXPECT_EQ(read(all, &kept), without - 64);
    EXPECT_EQ(read(other, &kept), without) << "keys and values of another adapter are others";
    EXPECT_EQ(read(again, &kept), without - 64);
    EXPECT_EQ(kept.tokens(), 128);
    // A prompt that goes on: the known part is taken, and the longer one is kept in its place.
    auto const one = std::span{all}.last(1);
    auto const whole = (one[0].prompt.size() - 1) / 16 * 16;
    EXPECT_EQ(read(one, &kept), read(one, nullptr) - 64);
    EXPECT_EQ(kept.tokens(), static_cast<std::int64_t>(64 + whole));
    EXPECT_EQ(read(all, &kept), without - 64) << "a beginning of what is kept";
    kept.clear();
    EXPECT_EQ(read(all, &kept), without);
}

TEST_F(Completions, KeepNoMoreOfPrefixesThanTheirBoundAndDropTheOneThatWasNotUsedForLongest) {
    auto const all = requests();
    PreparedAdapters const adapters{model, *ops};
    std::array<std::vector<Request>, 3> calls{all, all, all};
    for (auto& request : calls[1]) request.adapter = &adapters.first;
    for (auto& request : calls[2]) request.adapter = &adapters.second;
    Options options;
    options.max_new_tokens = 1;
    PrefixCache kept;
    auto const read = [&](std::size_t call) {
        std::size_t count = 0;
        traced(model, *ops, calls[call], options, &kept, &count);
        return count;
    };
    options.max_kept_tokens = 63;
    auto const without = read(0);
    EXPECT_EQ(kept.tokens(), 0) << "it does not fit";
    options.max_kept_tokens = 128;
    for (std::size_t const call : {0, 1, 0, 2}) read(call);
    EXPECT_EQ(kept.tokens(), 128);
    EXPECT_EQ(read(0), without - 64);
    EXPECT_EQ(read(2), without - 64);
    EXPECT_EQ(read(1), without);
}

TEST_F(Completions, WaitForRoomInASmallCacheAndStayTheSame) {
    auto const all = requests();
    Options options;
    options.max_new_tokens = 20;
    options.num_slots = 8;
    auto const expected = traced(model, *ops, all, options);
    for (std::int64_t const positions : {1, 100, 150, 1 << 20}) {
        options.max_cached_tokens = positions;
        EXPECT_EQ(traced(model, *ops, all, options), expected) << positions;
    }
}

TEST_F(Completions, TakeFewerPassesWithGuessesThatAreRight) {
    auto const all = requests();
    Options options;
    options.max_new_tokens = 200;
    options.num_slots = 1;
    auto const passes = [&](std::int64_t draft) {
        options.draft_tokens = draft;
        int count = 0;
        Observer const observer{{}, [&](std::size_t) { ++count; }, {}};
        auto const completions = generate(model, *ops, {all.data(), 1}, options, observer);
        return std::pair{completions[0].tokens, count};
    };
    auto const [tokens, many] = passes(0);
    auto const [same, fewer] = passes(4);
    EXPECT_EQ(tokens, same);
    EXPECT_LT(fewer, many);
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
