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

/// An answer to one sentence, and the mentions of it that should be read, as the letters of `letters`.
struct Completion {
    std::string text;
    std::string expected;
};

constexpr auto* about_ada = "Ada met Bob at ACME in Rome.";

/// Ada and Bob are persons a and b, ACME is an organisation o, Rome a location r; ? is what could not be read.
std::string letters(std::string const& completion) {
    Strings const types{"person", "organisation", "location"};
    auto const parsed = parse(completion, types, about_ada, Format::json);
    std::map<score::Mention, char> const known{{{"ada", "person"}, 'a'},
                                               {{"bob", "person"}, 'b'},
                                               {{"acme", "organisation"}, 'o'},
                                               {{"rome", "location"}, 'r'}};
    std::string result;
    for (auto const& mention : parsed.mentions) {
        auto const found = known.find(mention);
        result += found == known.end() ? "<" + mention.text + " as " + mention.type + ">" : std::string{found->second};
    }
    std::ranges::sort(result);
    return result + (parsed.unparsable ? "?" : "");
}

void expect_read(std::vector<Completion> const& completions) {
    for (auto const& [text, expected] : completions) EXPECT_EQ(letters(text), expected) << text;
}

TEST(Parsing, LosesNothingToASlipWithACommaOrABracket) {
    expect_read({
        {R"({"person": ["Ada", "Bob"], "organisation": ["ACME"],})", "abo"},
        {R"({"person": ["Ada", "Bob",], "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada",, "Bob"],, "organisation": ["ACME"]})", "abo"},
        {R"([["Ada", "person",], ["Bob", "person"], ["ACME", "organisation"],])", "abo"},
        {R"([{"text": "Ada", "type": "person",}, {"text": "ACME", "type": "organisation"}])", "ao"},
        {R"({"person": ["Ada" "Bob"] "organisation": ["ACME"]})", "abo"},
        {R"([["Ada" "person"] ["Bob", "person"]["ACME", "organisation"]])", "abo"},
        {R"([{"text": "Ada" "type": "person"} {"text": "ACME", "type": "organisation"}])", "ao"},
        {R"({"person": ["Ada"; "Bob"]; "organisation": ["ACME"]})", "abo"},
        {R"({"person" ["Ada", "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada", "Bob"], "organisation": ["ACME"])", "abo"},
        {R"({"person": ["Ada", "Bob"], "organisation": ["ACME")", "abo"},
        {R"({"person": ["Ada", "Bob", "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada", "Bob"}, "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada", "Bob"]}, "organisation": ["ACME"]})", "abo"},
        {R"({"person": "Ada", "Bob", "organisation": "ACME"})", "abo"},
        {R"("person": ["Ada", "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"([["Ada", "person"], ["Bob", "person"], ["ACME", "organisation"])", "abo"},
        {R"([["Ada", "person"], ["Bob", "person", ["ACME", "organisation"]])", "abo"},
        {R"([["Ada", "person"]], ["Bob", "person"], ["ACME", "organisation"]])", "abo"},
        {R"([{"text": "Ada", "type": "person"}, {"text": "ACME", "type": "organisation"])", "ao"},
        {R"(["Ada", "person"], ["ACME", "organisation"])", "ao"},
        {"{\"text\": \"Ada\", \"type\": \"person\"}\n{\"text\": \"ACME\", \"type\": \"organisation\"}\n", "ao"},
        {"{\"person\": [\"Ada\"], // the one\n /* and */ \"organisation\": [\"ACME\", ...]}", "ao"},
    });
}

TEST(Parsing, LosesNothingToASlipWithAQuote) {
    expect_read({
        {R"({"person": ["Ada "the Countess" Lovelace", "Bob"], "organisation": ["ACME"]})", "bo"},
        {R"({"person": ["Ada "Bob" Lovelace"], "organisation": ["ACME"]})", "o"},
        {R"({"person": ["Bob, "the Builder", of old"], "organisation": ["ACME"]})", "o"},
        {R"({"person": [""Ada"", "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada, "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"({"person": ["Ada", "Bob], "organisation": ["ACME"]})", "abo"},
        {R"({"person: ["Ada", "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"({"person": [Ada", "Bob"], "organisation": ["ACME"]})", "abo"},
        {R"({'person': ['Ada's', 'Bob'], 'organisation': ['ACME']})", "bo"},
        {R"({\"person\": [\"Ada\", \"Bob\"]})", "ab"},
        {R"("{\"person\": [\"Ada\", \"Bob\"]}")", "ab"},
        {R"({"answer": "{\"person\": [\"Ada\", \"Bob\"]}"})", "ab"},
    });
}

TEST(Parsing, TakesOtherQuotesAndPythonsWordsForJson) {
    expect_read({
        {"{'person': ['Ada'], 'organisation': ['ACME']}", "ao"},
        {"{\u201Cperson\u201D: [\u201CAda\u201D, \u201CBob\u201D]}", "ab"},
        {"{\u201Eperson\u201C: [\u201EAda\u201C]}", "a"},
        {"{\u2018person\u2019: [\u2018Ada\u2019]}", "a"},
        {"{\u00ABperson\u00BB: [\u00ABAda\u00BB]}", "a"},
        {"{`person`: [`Ada`]}", "a"},
        {R"({person: ["Ada"], organisation: ["ACME"]})", "ao"},
        {"{person: Ada, organisation: ACME}", "ao"},
        {"[[Ada, person], [ACME, organisation]]", "ao"},
        {"[('Ada', 'person'), ('ACME', 'organisation')]", "ao"},
        {"(('Ada', 'person'), ('ACME', 'organisation'))", "ao"},
        {"{'person': {'Ada', 'Bob'}, 'organisation': None, 'location': ()}", "ab"},
        {"{u'person': (u'Ada', u'Bob')}", "ab"},
        {"[Person(span=\"Ada\"), Organisation(span=\"ACME\")]", "ao"},
        {"{'person' => ['Ada'], 'organisation' = ['ACME']}", "ao"},
        {"{'entities': [{'text': \"Ada\", 'type': 'person', 'sure': True}]}", "a"},
    });
}

TEST(Parsing, PassesOverBracketsThatAreNoAnswer) {
    expect_read({
        {R"(Here are the entities [as asked]: {"person": ["Ada"], "organisation": ["ACME"]})", "ao"},
        {R"(Of [person, organisation, location], see [1] and {x}: {"person": ["Ada"]})", "a"},
        {R"(The types are ["person", "organisation"]. {"person": ["Ada"]})", "a"},
        {R"(As in {"person": ["name"]} or {"person": []}: {"person": ["Ada"]})", "a"},
        {R"(I open [a bracket and go on: {"person": ["Ada"]})", "a"},
        {R"(<think>Types are [person, organisation]. {"person": ["Bob"]}</think> {"person": ["Ada"]})", "a"},
        {"Bob? {\"person\": [\"Bob\"]}</think>\n\n```json\n{\"person\": [\"Ada\"]}\n```", "a"},
        {"```json {\"person\": [\"Ada\"]} ```\nThat is all.", "a"},
        {"```\nThe types [as asked]\n```\n{\"person\": [\"Ada\"]}", "a"},
        {"{\"person\": [\"Eve\"]}\nText: Bob\nEntities: {\"person\": [\"Bob\"]}", ""},
        {"None\nText: Bob\nEntities: {\"person\": [\"Bob\"]}", ""},
    });
}

TEST(Parsing, TakesObjectsOfManyShapes) {
    expect_read({
        {R"({"entities": [{"text": "Ada", "type": "person"}, {"text": "ACME", "type": "organisation"}]})", "ao"},
        {R"({"entities": {"person": ["Ada"], "organisation": ["ACME"]}})", "ao"},
        {R"({"result": {"entities": [["Ada", "person"]]}})", "a"},
        {R"({"entities": [{"person": "Ada"}, {"organisation": "ACME"}]})", "ao"},
        {R"({"text": "Ada", "type": "person"})", "a"},
        {R"({"person": [{"text": "Ada"}, {"name": "Bob", "sure": 0.9}], "location": [{"span": "Rome"}]})", "abr"},
        {R"({"person": {"name": "Ada"}})", "a"},
        {R"({"person": {"1": "Ada", "2": "Bob"}})", "ab"},
        {R"([{"entity": "Ada", "label": "PERSON"}, {"mention": "ACME", "category": "organisation"}])", "ao"},
        {R"([{"word": "Ada", "entity_group": "person", "score": 0.9}, {"word": "Rome", "entity": "location"}])", "ar"},
        {R"([{"sure": "high", "entityType": "person", "name": "Ada"}])", "a"},
        {R"([{"type": "person", "mentions": ["Ada", "Bob"]}, {"name": "location", "entities": ["Rome"]}])", "abr"},
        {R"({"text": ["Ada", "ACME"], "type": ["person", "organisation"]})", "ao"},
        {R"({"Ada": {"type": "person"}, "ACME": ["organisation"]})", "ao"},
        {R"([["person", ["Ada", "Bob"]], ["organisation", ["ACME"]]])", "abo"},
        {R"([["Ada", "person", 0, 3], [15, 19, "ACME", "organisation"]])", "ao"},
        {R"({"person": [["Ada", 0, 3], ["Bob", "person"]]})", "ab"},
        {R"(["Ada", "person", "ACME", "organisation"])", "ao"},
        {R"~(["Ada (person)", "ACME: organisation", "location: Rome"])~", "aor"},
        {R"(["Ada": "person", "ACME": "organisation"])", "ao"},
    });
}

TEST(Parsing, IsEmptyForAnHonestEmptyAnswerAndElseSaysThatItFailed) {
    for (std::string const none :
         {"[]", "{}", "[[]]", "none", "None.", "**None**", "", "```json\n[]\n```",
          R"({"person": [], "location": null})", R"({"entities": []})", R"({"entities": [], "note": "nothing here"})",
          R"({"person": "none"})", "{'a': None}", "<think>[person]</think> []", "No entities found.",
          R"(In short: {"entities": []})"})
        EXPECT_EQ(letters(none), "") << none;
    for (std::string const failed :
         {"I found a person, Ada.", "[", "{", R"({"person": [)", R"({"person": ["Ad)", R"(["Ada", "ACME"])",
          R"({"city": ["Rome"]})", R"([{"text": "Rome", "type": "city"}])", R"([["Rome", "city"]])", R"([1, 2])",
          R"([{"start": 0, "end": 3, "type": "person"}])", "[as asked]", "<think>[]</think>", "{\"Ada\": \"poet\"}"})
        EXPECT_EQ(letters(failed), "?") << failed;
    Strings const types{"person"};
    EXPECT_TRUE(parse("\"Rome\" is a city.", types, "Rome", Format::sentences).unparsable);
    EXPECT_EQ(parse("<think>person: Bob</think>person: Ada", types, about_ada, Format::enumeration).mentions,
              (score::Mentions{{"ada", "person"}}));
}

TEST(Parsing, KeepsWhatIsWholeOfAnAnswerThatWasCutOff) {
    std::string const whole = R"({"person": ["Ada", "Bob"], "organisation": ["ACME"], "location": ["Rome"]})";
    std::string const before = "abor";
    for (std::size_t size = 1; size <= whole.size(); ++size) {
        auto const read = letters(whole.substr(0, size));
        EXPECT_TRUE(before.starts_with(read) || read == "?") << whole.substr(0, size) << " gives " << read;
    }
    for (auto const* const text :
         {R"([["Ada", "person"], ["Bob", "pers)", R"([{"text": "Ada", "type": "person"}, {"text": "B)",
          "[[Ada, person], [Bob, pers", R"({"Ada": "person", "Bob": "pers)"})
        EXPECT_EQ(letters(text), "a") << text;
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
    for (auto const text : {"[",         "{",          ",",      "[{",       "\"",    "\" is ",  "\"x\" is a y. ",
                            "```",       "person: ",   "; ",     "\\",       "(",     "[\"",     "[\"a]\n",
                            "[\"x\", ",  "{\"a\":",    "{\"a",   "['a, 'b",  "{},\"", "[a,",     "a(",
                            "[\"a\"b ",  "\u201Ca",    "['a]\n", "</think>", "[] ",   "{'a' 'b", "\"a\", b ",
                            "[\"\u2019", "\nText: []", "[ /* ",  "[1] {"}) {
        auto const long_text = repeated(text);
        for (auto const format : all_formats) parse(long_text, labels, "x", format);
        parse("[\"" + long_text, labels, "x", Format::json);
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
