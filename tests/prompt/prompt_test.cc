#include "prompt/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.h"
#include "core/json.h"
#include "full_corpora.h"

namespace samner::prompt {
namespace {

using Strings = std::vector<std::string>;
std::string const golden = SAMNER_TEST_DATA "/golden/scoring/";

score::Mentions mentions(Json const& pairs) {
    score::Mentions result;
    for (auto const& pair : pairs) result.insert({pair[0].get<std::string>(), pair[1].get<std::string>()});
    return result;
}

std::vector<Json> golden_cases() {
    std::vector<Json> cases;
    for_each_jsonl(golden + "cases.jsonl", [&](Json const& line, std::string const&) { cases.push_back(line); });
    return cases;
}

Format format_of(Json const& c) {
    return parse_format(c["format"].get<std::string>());
}

TEST(Parsing, GivesWhatTheRulesAskForOnEveryGoldenCase) {
    auto const cases = golden_cases();
    ASSERT_EQ(cases.size(), 61U);
    std::map<std::string, score::Counts> groups;
    for (auto const& c : cases) {
        auto const labels = c["labels"].get<Strings>();
        auto const stops = c["stops"].get<Strings>();
        auto const sentence = c["sentence"].get<std::string>();
        auto const parsed = parse(c["completion"].get<std::string>(), labels, sentence, format_of(c), stops);
        auto const& expected = c["expected"];
        auto const what = std::to_string(c["id"].get<int>()) + " " + c["rule"].get<std::string>();
        EXPECT_EQ(parsed.mentions, mentions(expected["parsed"])) << what;
        EXPECT_EQ(parsed.not_in_sentence, mentions(expected["not_in_sentence"])) << what;
        if (!expected["unparsable"].is_null()) {
            EXPECT_EQ(parsed.unparsable, expected["unparsable"].get<bool>()) << what;
        }
        score::Mentions gold;
        for (auto const& pair : c["gold"]) {
            auto const type = pair[1].get<std::string>();
            if (std::ranges::find(labels, type) != labels.end())
                gold.insert({score::normalise(pair[0].get<std::string>()), type});
        }
        auto const counts = score::count(gold, parsed.mentions);
        EXPECT_EQ(counts, (score::Counts{expected["tp"], expected["fp"], expected["fn"]})) << what;
        groups[c["group"].get<std::string>()] += counts;
        groups["all"] += counts;
    }
    auto const sums = read_json(golden + "groups.json");
    for (auto const& [name, counts] : groups) {
        auto const& expected = sums[name];
        EXPECT_NEAR(counts.precision(), expected["precision"].get<double>(), 1e-12) << name;
        EXPECT_NEAR(counts.recall(), expected["recall"].get<double>(), 1e-12) << name;
        EXPECT_NEAR(counts.f1(), expected["micro_f1"].get<double>(), 1e-12) << name;
    }
}

score::Mentions parsed_json(std::string_view completion, std::string_view sentence) {
    Strings const types{"person", "event", "task"};
    return parse(completion, types, sentence, Format::json).mentions;
}

TEST(Parsing, TakesObjectsWithOffsetsAndTypeKeysBeforeGuessing) {
    EXPECT_EQ(parsed_json(R"([{"text": "Ada", "type": "person", "start": 0, "end": 3}])", "Ada"),
              (score::Mentions{{"ada", "person"}}));
    EXPECT_EQ(parsed_json(R"([{"text": "Event", "type": "task"}])", "The Event"), (score::Mentions{{"event", "task"}}));
    EXPECT_EQ(parsed_json(R"([{"Ada": "person", "Expo": "event"}])", "Ada at Expo"),
              (score::Mentions{{"ada", "person"}, {"expo", "event"}}));
    EXPECT_TRUE(parsed_json(R"([{"text": "Ada", "type": "city"}])", "Ada").empty());
}

TEST(Parsing, TakesAFenceInsideASpanForASpan) {
    EXPECT_EQ(parsed_json(R"([["```", "task"], ["Ada", "person"]])", "Ada wrote ```"),
              (score::Mentions{{"```", "task"}, {"ada", "person"}}));
    Strings const stops{""};
    Strings const types{"person"};
    EXPECT_EQ(parse(R"([["Ada", "person"]])", types, "Ada", Format::json, stops).mentions.size(), 1U);
}

constexpr std::array all_formats{Format::json, Format::json_map, Format::enumeration, Format::sentences};

std::vector<score::Mention> named(std::string_view completion, std::string_view sentence) {
    Strings const types{"person", "event", "U.S. state"};
    return parse(completion, types, sentence, Format::sentences).named;
}

TEST(Parsing, InvertsTheSentencesThatRenderWrites) {
    using Named = std::vector<score::Mention>;
    EXPECT_EQ(named("\"Ada\" is a person. \"Expo\" is an event. \"Ada\" is a person.", "Ada at Expo"),
              (Named{{"ada", "person"}, {"expo", "event"}, {"ada", "person"}}));
    EXPECT_EQ(named("\"Ohio\" is a U.S. state.", "in Ohio"), (Named{{"ohio", "U.S. state"}}));
    EXPECT_EQ(named("\"\"Expo\"\" is an event.", "the \"Expo\""), (Named{{"\"expo\"", "event"}}));
    EXPECT_EQ(named("\"Rome\" is a city. \"Ada\" is a person.", "Ada in Rome"), (Named{{"ada", "person"}}));
    EXPECT_EQ(named("\"Ada\" is a person. \"Expo\" is an ev", "Ada at Expo"), (Named{{"ada", "person"}}));
    EXPECT_EQ(named("```\n\"Ada\" is a person.\n```", "Ada at Expo"), (Named{{"ada", "person"}}));
    EXPECT_TRUE(named("\"Bob\" is a person.", "Ada").empty());
    Strings const types{"person"};
    EXPECT_FALSE(parse(" There are no entities.", types, "Ada", Format::sentences).unparsable);
    EXPECT_FALSE(parse(" none", types, "Ada", Format::sentences).unparsable);
    EXPECT_TRUE(parse("Ada, maybe", types, "Ada", Format::sentences).unparsable);
}

TEST(Parsing, KeepsRepeatsInTheOrderOfTheAnswer) {
    Strings const types{"person"};
    auto const parsed =
        parse(R"([["B", "person"], ["A", "person"], ["C", "person"], ["B", "person"]])", types, "A B", Format::json);
    EXPECT_EQ(parsed.named, (std::vector<score::Mention>{{"b", "person"}, {"a", "person"}, {"b", "person"}}));
    EXPECT_EQ(parsed.mentions.size(), 2U);
}

TEST(Parsing, TakesTimeInProportionToWhatItReads) {
    // Each of these is quadratic for a parser that starts again at every character; the test's time limit tells.
    Strings const labels{"person"};
    auto const repeated = [](std::string_view text) {
        std::string result;
        for (int i = 0; i < 100'000; ++i) result += text;
        return result;
    };
    for (auto const text : {"[", "{", ",", "[{", "\"", "\" is ", "\"x\" is a y. ", "```", "person: ", "; ", "\\"}) {
        auto const long_text = repeated(text);
        for (auto const format : all_formats) parse(long_text, labels, "x", format);
    }
}

corpus::Dataset dataset() {
    corpus::Dataset d;
    d.id = "d";
    d.description = "Sentences about music.";
    d.types = {{"musicalartist", "musical artist", "A singer or musician."},
               {"song", "song", "A song."},
               {"misc", "misc", ""}};
    d.not_scored = {"misc"};
    return d;
}

corpus::Sentence sentence() {
    return {"d/test/0",
            "Nick Cave sang \"Heroes\" , by David Bowie , in Berlin",
            {{"Nick Cave", "musicalartist"},
             {"\"Heroes\"", "song"},
             {"David Bowie", "musicalartist"},
             {"Nick Cave", "musicalartist"},
             {"Berlin", "misc"}}};
}

TEST(Rendering, ReadsAsDocumented) {
    auto const prompt = render(sentence(), dataset(), {Layout::short_, Format::json});
    EXPECT_EQ(prompt.text,
              "Find the entities of the types musical artist, song.\nText: Nick Cave sang \"Heroes\" , by David Bowie "
              ", in Berlin\nEntities:");
    EXPECT_EQ(prompt.answer,
              R"( [["Nick Cave", "musical artist"], ["\"Heroes\"", "song"], ["David Bowie", "musical artist"]])");
    EXPECT_EQ(prompt.text.substr(0, prompt.instruction_bytes),
              "Find the entities of the types musical artist, song.\n");
    EXPECT_EQ(render(sentence(), dataset(), {Layout::short_, Format::json_map}).answer,
              R"( {"Nick Cave": "musical artist", "\"Heroes\"": "song", "David Bowie": "musical artist"})");
    auto const full = render(sentence(), dataset(), {Layout::full, Format::enumeration});
    EXPECT_THAT(
        full.text,
        testing::HasSubstr("Source: Sentences about music.\nmusical artist: A singer or musician.\nsong: A song.\n"));
    EXPECT_EQ(full.answer, " musical artist: Nick Cave, David Bowie; song: \"Heroes\"");
    EXPECT_EQ(render(sentence(), dataset(), {Layout::short_, Format::sentences}).answer,
              " \"Nick Cave\" is a musical artist. \"\"Heroes\"\" is a song. \"David Bowie\" is a musical artist.");
}

TEST(Rendering, OfNoEntitiesIsAnEmptyAnswer) {
    corpus::Sentence empty{"d/test/1", "It rained", {}};
    EXPECT_EQ(render(empty, dataset(), {Layout::short_, Format::json}).answer, " []");
    EXPECT_EQ(render(empty, dataset(), {Layout::short_, Format::enumeration}).answer, " None");
    EXPECT_EQ(render(empty, dataset(), {Layout::short_, Format::sentences}).answer, " There are no entities.");
}

TEST(RenderedAnswers, ParseBackToTheGoldMentions) {
    auto const d = dataset();
    for (auto const format : all_formats) {
        auto const prompt = render(sentence(), d, {Layout::full, format});
        auto const parsed = parse(prompt.answer, d.type_names(), sentence().text, format);
        EXPECT_EQ(parsed.mentions, gold(sentence(), d));
        EXPECT_TRUE(parsed.not_in_sentence.empty());
        EXPECT_FALSE(parsed.unparsable);
    }
}

using Exceptions = std::map<Format, std::map<std::string, std::size_t>>;  ///< by data set

struct RoundTrips {
    std::size_t sentences = 0;
    Exceptions exceptions;
    std::string shown;  ///< their ids and answers
};

/// Every sentence below `root` of the given data sets, rendered and read back in every format.
RoundTrips round_trips(corpus::Catalogue const& catalogue, std::filesystem::path const& root) {
    RoundTrips result;
    for (auto const& [id, dataset] : catalogue.all()) {
        auto const types = dataset.type_names();
        for (auto const& [split, files] : dataset.splits) {
            if (!std::ranges::all_of(files, [&](auto const& file) { return exists(root / file.path); })) continue;
            for (auto const& sentence : corpus::read(dataset, split, root)) {
                auto const expected = gold(sentence, dataset);
                for (auto const format : all_formats) {
                    auto const answer = render(sentence, dataset, {Layout::short_, format}).answer;
                    auto const parsed = parse(answer, types, sentence.text, format);
                    if (parsed.mentions == expected && parsed.not_in_sentence.empty() && !parsed.unparsable) continue;
                    ++result.exceptions[format][id];
                    result.shown += sentence.id + answer + "\n";
                }
                ++result.sentences;
            }
        }
    }
    return result;
}

TEST(RenderedAnswers, ParseBackOverTheCommittedCuts) {
    auto const result =
        round_trips(corpus::Catalogue{{SAMNER_SOURCE_DIR "/configs/data"}}, SAMNER_TEST_DATA "/corpora");
    EXPECT_GT(result.sentences, 5000U);
    EXPECT_EQ(result.exceptions, (Exceptions{{Format::enumeration, {{"wlpc", 1}}}})) << result.shown;
}

TEST(RenderedAnswers, ParseBackOverAllCorpora) {
    auto const* const root = full_corpora();
    if (!root) GTEST_SKIP() << "SAMNER_DATA does not name the full corpora";
    auto const result = round_trips(corpus::Catalogue{{SAMNER_SOURCE_DIR "/configs/data"}}, root);
    EXPECT_GT(result.sentences, 300'000U);
    // An enumeration cannot say everything: a mention 'None'; mentions that begin or end with its separators.
    EXPECT_EQ(result.exceptions, (Exceptions{{Format::enumeration, {{"wikiann-de", 1}, {"wlpc", 3}, {"wnut2017", 1}}}}))
        << result.shown;
}

TEST(PromptOptions, OfUnknownNamesAreErrors) {
    EXPECT_THROW(parse_layout("long"), InputError);
    EXPECT_EQ(parse_format("sentences"), Format::sentences);
    EXPECT_THROW(parse_format("xml"), InputError);
}

}  // namespace
}  // namespace samner::prompt
