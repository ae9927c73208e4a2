#include "prompt/training_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/parallel.h"

namespace samner::prompt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t num_samples = 100'000;

corpus::Dataset dataset(std::string const& id, std::int64_t types, bool defined = true) {
    corpus::Dataset d;
    d.id = id;
    d.description = "Sentences of " + id + ".";
    for (std::int64_t i = 0; i < types; ++i) {
        auto const number = std::to_string(i);
        d.types.push_back({"T" + number, "kind " + number, defined ? "Meaning " + number + "." : ""});
    }
    return d;
}

/// Sentences "one two" with an entity of each of the first two types.
std::vector<corpus::Sentence> sentences(std::size_t count) {
    std::vector<corpus::Sentence> all;
    for (std::size_t i = 0; i < count; ++i) {
        auto const one = "one" + std::to_string(i);
        auto const two = "two" + std::to_string(i);
        all.push_back({"", one + " " + two, {{one, "T0"}, {two, "T1"}}});
    }
    return all;
}

class Drawn : public testing::Test {
protected:
    TrainingPrompts prompts(std::optional<Rates> const& rates = Rates{}, std::uint64_t seed = 11,
                            std::int64_t samples = num_samples) const {
        return {pools, corpus::training_set(pools, {samples}, 0.1, 0), {Layout::short_, Format::json}, rates, seed};
    }
    /// How many parts of the fixed draw have a property.
    static std::int64_t count(TrainingPrompts const& drawn, auto const& has) {
        std::int64_t number = 0;
        for (std::size_t i = 0; i < drawn.size(); ++i) number += has(drawn.parts(i));
        return number;
    }
    /// Within five standard deviations of a binomial.
    static void expect_share(std::int64_t count, double share, std::size_t of, char const* what) {
        auto const n = static_cast<double>(of);
        EXPECT_NEAR(static_cast<double>(count), n * share, 5 * std::sqrt(n * share * (1 - share))) << what;
    }
    corpus::Dataset d = dataset("d", 4);
    std::vector<corpus::Sentence> all = sentences(1000);
    std::vector<corpus::Pool> pools{{&d, all}};
};

TEST_F(Drawn, PartsHaveThePapersRates) {
    auto const drawn = prompts();
    auto const n = drawn.size();
    ASSERT_EQ(n, num_samples);
    expect_share(count(drawn, [](Parts const& p) { return p.source; }), 0.7, n, "source");
    expect_share(count(drawn, [](Parts const& p) { return p.definitions; }), 0.7, n, "definitions");
    expect_share(count(drawn, [](Parts const& p) { return !p.demonstrations.empty(); }), 0.7, n, "demonstrations");
    for (std::size_t k = 1; k <= 5; ++k)
        expect_share(count(drawn, [&](Parts const& p) { return p.demonstrations.size() == k; }), 0.14, n, "pairs");
    expect_share(count(drawn, [](Parts const& p) { return p.types.size() < 4; }), 0.3, n, "drop");
    expect_share(count(drawn, [](Parts const& p) { return p.types.size() == 3; }), 0.15, n, "one of four dropped");
    expect_share(count(drawn, [](Parts const& p) { return p.types.size() == 2; }), 0.15, n, "two of four dropped");
    for (auto const& type : d.type_names()) {
        auto const asked = [&](Parts const& p) { return std::ranges::find(p.types, type) == p.types.end(); };
        expect_share(count(drawn, asked), 0.15 * (0.25 + 0.5), n, "each type is dropped as often");
    }
    expect_share(count(drawn, [](Parts const& p) { return p.masked; }), 0.05, n, "mask");
    expect_share(count(drawn, [](Parts const& p) { return p.format == Format::json; }), 1.0 / 3, n, "format");
    EXPECT_EQ(count(drawn, [](Parts const& p) { return p.masked && !p.definitions; }), 0);
}

TEST_F(Drawn, PartsAreIndependentOfOneAnother) {
    auto const drawn = prompts();
    auto const n = drawn.size();
    expect_share(count(drawn, [](Parts const& p) { return p.source && p.definitions; }), 0.49, n,
                 "source, definitions");
    expect_share(count(drawn, [](Parts const& p) { return p.source && !p.demonstrations.empty(); }), 0.49, n,
                 "source, demonstrations");
    expect_share(count(drawn, [](Parts const& p) { return p.definitions && !p.demonstrations.empty(); }), 0.49, n,
                 "definitions, demonstrations");
    expect_share(count(drawn, [](Parts const& p) { return p.definitions && p.types.size() < 4; }), 0.21, n,
                 "definitions, drop");
    expect_share(count(drawn, [](Parts const& p) { return p.masked && p.source; }), 0.035, n, "mask, source");
}

TEST_F(Drawn, MaskingMayBeAShareOfWhatHasDefinitions) {
    Rates rates;
    rates.mask_of_defined = true;
    auto const drawn = prompts(rates);
    expect_share(count(drawn, [](Parts const& p) { return p.masked; }), 0.035, drawn.size(), "mask");
}

TEST_F(Drawn, FormatsStandInProportionToTheirWeights) {
    auto const drawn =
        prompts(Rates::from_json({{"formats", {{"json_map", 3}, {"enumeration", 1}, {"json", 0}}}}, "t"));
    expect_share(count(drawn, [](Parts const& p) { return p.format == Format::json_map; }), 0.75, drawn.size(), "map");
    EXPECT_EQ(count(drawn, [](Parts const& p) { return p.format == Format::json; }), 0);
}

TEST_F(Drawn, NothingIsMaskedWithoutDefinitionsAndNoOnlyTypeIsDropped) {
    auto const bare = dataset("bare", 4, false);
    auto const single = dataset("single", 1);
    pools = {{&bare, all}, {&single, all}};
    auto const drawn = prompts();
    std::int64_t masked = 0;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const parts = drawn.parts(i);
        if (parts.types.front() == "kind 0" && parts.types.size() == 1) masked += parts.masked;
        EXPECT_FALSE(parts.types.empty());
    }
    EXPECT_EQ(masked, count(drawn, [](Parts const& p) { return p.masked; }));
    EXPECT_GT(masked, 0);
}

TEST_F(Drawn, DemonstrationsAreDistinctOtherSentencesOfTheSameDataSet) {
    auto const other = dataset("other", 4);
    auto const few = sentences(3);
    pools = {{&d, all}, {&other, few}};
    auto const drawn = prompts(Rates{}, 11, 8000);
    std::set<corpus::Sentence const*> seen;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const& split = i < 4000 ? all : few;
        auto const parts = drawn.parts(i);
        auto const text = drawn.at(i).text;
        std::set<corpus::Sentence const*> distinct;
        for (auto const* const example : parts.demonstrations) {
            EXPECT_TRUE(example >= split.data() && example < split.data() + split.size());
            EXPECT_TRUE(distinct.insert(example).second);
            EXPECT_FALSE(text.ends_with("\nText: " + example->text + "\nEntities:"));  // not the input itself
        }
        // Two others are all there are of three.
        if (i >= 4000) {
            EXPECT_LE(parts.demonstrations.size(), 2U);
        }
        seen.merge(distinct);
    }
    EXPECT_EQ(seen.size(), 1003U);
}

TEST_F(Drawn, DemonstrationsDoNotRepeatTheInputsText) {
    std::vector<corpus::Sentence> same(50, all.front());
    same.push_back(all.back());
    pools = {{&d, same}};
    auto const drawn = prompts(Rates{}, 11, 51);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const prompt = drawn.at(i);
        for (auto const* const example : drawn.parts(i).demonstrations)
            EXPECT_FALSE(prompt.text.ends_with("Text: " + example->text + "\nEntities:"));
    }
}

TEST_F(Drawn, PromptsAreTheSameInAnyOrderOnAnyThreadsAndBesideAnyDataSet) {
    auto const drawn = prompts(Rates{}, 11, 2000);
    std::vector<std::string> forward;
    for (std::size_t i = 0; i < drawn.size(); ++i) forward.push_back(drawn.at(i).text + drawn.at(i).answer);
    std::vector<std::string> threaded(drawn.size());
    parallel_for(0, 2000, 16, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = end; i-- > begin;) {
            auto const prompt = drawn.at(static_cast<std::size_t>(i));
            threaded[static_cast<std::size_t>(i)] = prompt.text + prompt.answer;
        }
    });
    EXPECT_EQ(forward, threaded);

    auto const other = dataset("other", 4);
    pools = {{&other, all}, {&d, all}};
    auto const second = prompts(Rates{}, 11, 4000);
    for (std::size_t i = 0; i < 2000; ++i) ASSERT_EQ(second.at(2000 + i).text + second.at(2000 + i).answer, forward[i]);

    pools = {{&d, all}};
    auto const reseeded = prompts(Rates{}, 12, 2000);
    std::size_t same = 0;
    for (std::size_t i = 0; i < 2000; ++i) same += reseeded.at(i).text + reseeded.at(i).answer == forward[i];
    EXPECT_LT(same, 100U);
}

TEST_F(Drawn, PromptsOfARepeatedSentenceHaveDifferentParts) {
    all.resize(10);
    pools = {{&d, all}};
    auto const drawn = prompts(Rates{}, 11, 100);
    std::set<std::string> texts;
    for (std::size_t i = 0; i < drawn.size(); i += 10) texts.insert(drawn.at(i).text);
    EXPECT_GT(texts.size(), 7U);
}

TEST_F(Drawn, PromptsWithoutRatesAreTheLayouts) {
    auto const drawn = prompts(std::nullopt, 11, 100);
    auto const samples = corpus::training_set(pools, {100}, 0.1, 0);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const expected = render(all[samples[i].sentence], d, Options{Layout::short_, Format::json});
        EXPECT_EQ(drawn.at(i).text, expected.text);
        EXPECT_EQ(drawn.at(i).answer, expected.answer);
    }
}

/// Mentions of the types that are asked for.
score::Mentions asked(score::Mentions mentions, Parts const& parts) {
    std::erase_if(mentions, [&](score::Mention const& mention) {
        return std::ranges::find(parts.types, mention.type) == parts.types.end();
    });
    return mentions;
}

TEST_F(Drawn, AnswersParseBackToTheMentionsThatAreAskedFor) {
    auto const drawn = prompts(Rates{}, 11, 5000);
    auto const samples = corpus::training_set(pools, {5000}, 0.1, 0);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const parts = drawn.parts(i);
        auto const& sentence = all[samples[i].sentence];
        auto const parsed = parse(drawn.at(i).answer, labels(parts), sentence.text, parts.format);
        ASSERT_EQ(unmasked(parsed.mentions, parts), asked(gold(sentence, d), parts)) << drawn.at(i).text;
        ASSERT_TRUE(parsed.not_in_sentence.empty() && !parsed.unparsable);
    }
}

TEST(RenderedParts, ReadAsDocumented) {
    auto const d = dataset("d", 3);
    auto const all = sentences(2);
    Parts const parts{{"kind 0", "kind 2"}, true, true, true, true, {&all[1]}, Format::enumeration};
    auto const prompt = render(all[0], d, parts);
    EXPECT_EQ(prompt.text,
              "Find the entities of the types Type1, Type2.\n"
              "Source: Sentences of d.\n"
              "Type1: Meaning 0.\n"
              "Type2: Meaning 2.\n"
              "Answer as type: mention, mention; type: mention.\n"
              "Text: one1 two1\nEntities: Type1: one1\n"
              "Text: one0 two0\nEntities:");
    EXPECT_EQ(prompt.answer, " Type1: one0");
    EXPECT_TRUE(prompt.text.substr(prompt.instruction_bytes).starts_with("Text: one0"));
    EXPECT_THAT(labels(parts), ElementsAre("Type1", "Type2"));
    EXPECT_EQ(unmasked({{"x", "Type2"}, {"y", "Type3"}}, parts), (score::Mentions{{"x", "kind 2"}}));
}

TEST(RatesOfParts, AreReadAndWrittenWithThePapersAsDefaults) {
    EXPECT_FALSE(Rates::from_json("none", "t"));
    auto const paper = Rates::from_json("paper", "t").value().to_json();
    EXPECT_EQ(paper, Json::parse(R"({"source": 0.7, "definitions": 0.7, "demonstrations": 0.7, "pairs": [1, 5],
        "drop": 0.3, "drop_at_most": 0.5, "mask": 0.05, "mask_of": "all", "formats": {"json": 1.0, "enumeration": 1.0, "sentences": 1.0}})"));
    EXPECT_EQ(Rates::from_json(paper, "t")->to_json(), paper);
    auto const own = Rates::from_json({{"pairs", {2, 2}}, {"mask_of", "defined"}, {"formats", {{"json_map", 1}}}}, "t");
    EXPECT_EQ(own->min_pairs, 2);
    EXPECT_EQ(own->source, 0.7);
    EXPECT_TRUE(own->mask_of_defined);
    EXPECT_THAT(own->formats, ElementsAre(std::pair{Format::json_map, 1.0}));
}

TEST(RatesOfParts, OutOfRangeOrUnknownAreErrorsThatNameTheKey) {
    auto const error = [](char const* text) -> std::string {
        try {
            Rates::from_json(Json::parse(text), "run.yaml");
        } catch (InputError const& caught) {
            return caught.what() + (" — " + caught.remedy());
        }
        return "no error";
    };
    EXPECT_THAT(error(R"("papr")"), HasSubstr("parts is \"papr\" (run.yaml)"));
    EXPECT_THAT(error(R"({"sorce": 1})"), HasSubstr("did you mean source?"));
    EXPECT_THAT(error(R"({"source": 1.5})"), HasSubstr("source is 1.5"));
    EXPECT_THAT(error(R"({"drop": -0.1})"), HasSubstr("drop is -0.1"));
    EXPECT_THAT(error(R"({"source": "often"})"), HasSubstr("'source' is \"often\""));
    EXPECT_THAT(error(R"({"pairs": [0, 5]})"), HasSubstr("pairs is [0, 5]"));
    EXPECT_THAT(error(R"({"pairs": [5, 1]})"), HasSubstr("pairs is [5, 1]"));
    EXPECT_THAT(error(R"({"pairs": [1, 64]})"), HasSubstr("pairs is [1, 64]"));
    EXPECT_THAT(error(R"({"pairs": [1]})"), HasSubstr("pairs is [1]"));
    EXPECT_THAT(error(R"({"mask": 0.8})"), HasSubstr("at most the rate of definitions"));
    EXPECT_EQ(error(R"({"mask": 0.8, "mask_of": "defined"})"), "no error");
    EXPECT_THAT(error(R"({"mask_of": "some"})"), HasSubstr("mask_of is some"));
    EXPECT_THAT(error(R"({"formats": {"jsn": 1}})"), HasSubstr("prompt.format is 'jsn'"));
    EXPECT_THAT(error(R"({"formats": {"json": -1}})"), HasSubstr("formats.json is -1"));
    EXPECT_THAT(error(R"({"formats": {"json": 0}})"), HasSubstr("at least one weight above 0"));
    EXPECT_THAT(error(R"({"formats": {}})"), HasSubstr("at least one weight above 0"));
    EXPECT_EQ(error(R"({"definitions": 0, "mask": 0})"), "no error");
}

}  // namespace
}  // namespace samner::prompt
