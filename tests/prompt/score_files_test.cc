#include "prompt/score_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "prompt/type_names.h"
#include "temporary_folder.h"

namespace samner::prompt {
namespace {

using Mentioned = std::vector<score::Mention>;

class ScoreFiles : public testing::Test {
protected:
    std::filesystem::path file(std::string const& lines) {
        auto const path = folder.path() / fmt::format("{}.jsonl", files_++);
        write_atomically(path, lines);
        return path;
    }
    std::vector<GoldLine> gold() {
        return read_gold(file(R"({"id": 1, "text": "Bohr met Ada", "target": "t", "types": ["person"],)"
                              R"( "entities": [{"text": "Bohr ", "type": "person", "start": 0, "end": 4}]})"
                              "\n\n"
                              R"({"id": "b", "text": "Rome", "entities": []})"
                              "\n"),
                         {"location"});
    }
    std::string error_of(std::string const& predictions) {
        auto const lines = gold();
        try {
            read_answers(file(predictions), lines, Format::json);
        } catch (InputError const& error) {
            return error.what();
        }
        return "none";
    }

    TemporaryFolder folder;

private:
    int files_ = 0;
};

Mentioned mentions(std::vector<score::Entity> const& entities) {
    Mentioned result;
    for (auto const& entity : entities) result.push_back(entity.mention);
    return result;
}

TEST_F(ScoreFiles, GiveGoldWithItsTypesOrThoseOfTheCaller) {
    auto const lines = gold();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].id, "1");
    EXPECT_EQ(lines[0].target, "t");
    EXPECT_EQ(lines[0].types, std::vector<std::string>{"person"});
    EXPECT_EQ(mentions(lines[0].entities), (Mentioned{{"bohr", "person"}}));
    EXPECT_EQ(lines[0].entities[0].span, (corpus::Span{0, 4}));
    EXPECT_EQ(lines[1].types, std::vector<std::string>{"location"});
}

TEST_F(ScoreFiles, GiveAnswersInTheOrderOfTheGold) {
    auto const lines = gold();
    auto const answers = read_answers(
        file(
            R"({"id": "b", "completion": "[[\"Rome\", \"location\"], [\"Oslo\", \"location\"], [\"rome\", \"location\"]]"}
{"id": 1, "completion": "ignored", "entities": [{"text": "Ada", "type": "x"}, {"text": " ", "type": "x"}], "unparsable": true}
)"),
        lines, Format::json);
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(mentions(answers[0].at(0).entities), (Mentioned{{"ada", "x"}}));
    EXPECT_TRUE(answers[0][0].unparsable);
    EXPECT_FALSE(answers[0][0].from_completion);
    EXPECT_EQ(mentions(answers[1].at(0).entities), (Mentioned{{"rome", "location"}, {"rome", "location"}}));
    EXPECT_EQ(mentions(answers[1][0].not_in_sentence), (Mentioned{{"oslo", "location"}}));
    EXPECT_TRUE(answers[1][0].from_completion);
}

TEST_F(ScoreFiles, KeepSamplesApart) {
    auto const lines = gold();
    auto const answers = read_answers(file(R"({"id": 1, "sample": 0, "entities": []}
{"id": "b", "sample": 0, "entities": []}
{"id": "b", "sample": 1, "entities": [{"text": "Rome", "type": "location"}]}
{"id": 1, "sample": 1, "entities": []}
)"),
                                      lines, Format::json);
    EXPECT_EQ(answers[0].size(), 2U);
    EXPECT_EQ(answers[1].at(1).entities.size(), 1U);
}

TEST_F(ScoreFiles, AreRefusedWithLineAndReason) {
    std::string const one = R"({"id": 1, "entities": []})"
                            "\n";
    std::string const other = R"({"id": "b", "entities": []})"
                              "\n";
    EXPECT_EQ(error_of(one + other), "none");
    EXPECT_THAT(error_of(one), testing::HasSubstr("no prediction for id b"));
    EXPECT_THAT(error_of(one + other + R"({"id": 2, "entities": []})"),
                testing::AllOf(testing::HasSubstr("have no gold"), testing::HasSubstr("jsonl:3")));
    EXPECT_THAT(error_of(one + other + one),
                testing::AllOf(testing::HasSubstr("twice"), testing::HasSubstr("jsonl:3")));
    EXPECT_THAT(error_of(one + other + R"({"id": 1, "sample": 1, "entities": []})"),
                testing::HasSubstr("answers for id"));
    EXPECT_THAT(error_of(R"({"id": 1})"), testing::HasSubstr("'completion' is missing"));
    EXPECT_THAT(error_of(R"({"id": 1, "entities": 3})"), testing::HasSubstr("entities"));
    EXPECT_THAT(error_of(R"({"id": 1, "entities": [{"text": "x"}]})"), testing::HasSubstr("'type' is missing"));
    EXPECT_THAT(error_of(R"({"id": 1, "entities": [{"text": "x", "type": "t", "start": 4, "end": 2}]})"),
                testing::HasSubstr("from 4 to 2"));
    EXPECT_THAT(error_of(R"({"id": 1, "entities": [{"text": "x", "type": "t", "start": 4}]})"),
                testing::HasSubstr("'end' is missing"));
    EXPECT_THROW(read_gold(file(one + one), {}), InputError);
    auto const untyped = read_gold(file(one), {});
    EXPECT_THROW(read_answers(file(R"({"id": 1, "completion": "[]"})"), untyped, Format::json), InputError);
    auto const no_text = read_gold(file(one), {"person"});
    EXPECT_THROW(read_answers(file(R"({"id": 1, "completion": "[]"})"), no_text, Format::json), InputError);
}

TEST_F(ScoreFiles, TakeComposedAndDecomposedTextsForTheSame) {
    auto const lines = read_gold(
        file("{\"id\": 1, \"text\": \"Beyonce\u0301 sang\", \"types\": [\"e\u0301toile\"], \"entities\": [{\"text\": "
             "\"Beyonce\u0301\", \"type\": \"e\u0301toile\", \"start\": 0, \"end\": 8}]}\n"),
        {});
    EXPECT_EQ(misplaced(lines).entities, 0);
    Mentioned const expected{{"beyonc\u00e9", "\u00e9toile"}};
    EXPECT_EQ(mentions(lines[0].entities), expected);
    for (std::string const answer : {"\"entities\": [{\"text\": \"Beyonc\u00e9\", \"type\": \"\u00e9toile\"}]",
                                     R"("completion": "[[\"Beyonc\u00e9\", \"\u00e9toile\"]]")"}) {
        auto const answers = read_answers(file("{\"id\": 1, " + answer + "}\n"), lines, Format::json);
        EXPECT_EQ(mentions(answers[0].at(0).entities), expected) << answer;
    }
}

TEST_F(ScoreFiles, CountGoldThatIsNotInItsText) {
    auto const lines =
        read_gold(file(R"({"id": 1, "text": "Bohr met  Ada", "entities": [{"text": "bohr", "type": "p"},)"
                       R"( {"text": "met Ada", "type": "p"}, {"text": "Curie", "type": "p"},)"
                       R"( {"text": " ", "type": "p"}]})"
                       "\n"
                       R"({"id": "b", "text": "Łódź a", "entities": [)"
                       R"({"text": "a", "type": "l", "start": 5, "end": 6},)"
                       R"( {"text": "Łódź", "type": "l", "start": 0, "end": 7},)"
                       R"( {"text": "a", "type": "l", "start": 8, "end": 9}]})"
                       "\n"
                       R"({"id": "c", "entities": [{"text": "Oslo", "type": "l"}]})"),
                  {});
    auto const off = misplaced(lines);
    EXPECT_EQ(off.entities, 4);
    EXPECT_THAT(off.first, testing::AllOf(testing::HasSubstr("'curie'"), testing::HasSubstr("id 1"),
                                          testing::HasSubstr("jsonl:1")));
    EXPECT_EQ(misplaced(gold()).entities, 0);
}

TEST_F(ScoreFiles, CountPredictionsWithoutAText) {
    auto const lines = gold();
    auto const answers = read_answers(file(R"({"id": "b", "entities": []}
{"id": 1, "entities": [{"text": "Ada", "type": "x"}, {"text": " ", "type": "x"}]})"),
                                      lines, Format::json);
    EXPECT_EQ(answers[0].at(0).without_text, 1);
    EXPECT_EQ(answers[1].at(0).without_text, 0);
}

std::vector<score::Sentence> of_types(std::vector<std::string> const& gold, std::vector<std::string> const& predicted,
                                      std::vector<std::string> const& asked = {}) {
    score::Sentence sentence{"1", "", asked};
    for (auto const& type : gold) sentence.gold.push_back({{"x", type}});
    for (auto const& type : predicted) sentence.predicted.push_back({{"x", type}});
    return {sentence};
}

TEST(OneSidedTypes, AreCountedOnBothSides) {
    auto const types = one_sided_types(of_types({"ORG", "person", "ORG"}, {"organization", "person"}));
    EXPECT_EQ(types.gold, (std::map<std::string, std::int64_t>{{"ORG", 2}}));
    EXPECT_EQ(types.predicted, (std::map<std::string, std::int64_t>{{"organization", 1}}));
}

TEST(OneSidedTypes, AreSuspiciousUnlessNobodyAskedOrNothingIsPredicted) {
    EXPECT_TRUE(suspicious_types(of_types({"person", "misc"}, {"person"}, {"person"})).gold.empty());
    EXPECT_TRUE(suspicious_types(of_types({"person"}, {})).gold.empty());
    EXPECT_EQ(suspicious_types(of_types({"person", "place"}, {"person"})).gold.size(), 1U);
    // A corpus's label is not among the names that were asked for.
    EXPECT_EQ(suspicious_types(of_types({"ORG"}, {"organization"}, {"organization"})).gold.size(), 1U);
    EXPECT_EQ(suspicious_types(of_types({"person"}, {"person", "ORG"}, {"person"})).predicted.size(), 1U);
}

TEST(OneSidedTypes, HaveLikelyNamesBySpellingOrByADescription) {
    auto const names = [](std::string const& gold, std::string const& predicted, corpus::Catalogue const* known) {
        return likely_names({{{gold, 1}}, {{predicted, 1}}}, known);
    };
    EXPECT_EQ(names("ORG", "organization", nullptr), "'ORG' could be 'organization'");
    EXPECT_EQ(names("creative_work", "Creative Work", nullptr), "'creative_work' could be 'Creative Work'");
    EXPECT_EQ(names("persn", "person", nullptr), "'persn' could be 'person'");
    EXPECT_EQ(names("geo", "location", nullptr), "");
    TemporaryFolder const folder;
    write_atomically(folder / "news.yaml",
                     "id: news\ndomain: d\ndescription: s\nsplits: {test: [{file: x}]}\n"
                     "types: [{label: geo, name: location}]\n");
    corpus::Catalogue const known{{folder.path()}};
    EXPECT_EQ(names("geo", "location", &known), "'geo' is the label of 'location' in news");
    EXPECT_EQ(names("location", "geo", &known), "'geo' is the label of 'location' in news");
}

TEST_F(ScoreFiles, MayBeEmpty) {
    auto const none = read_gold(file(""), {});
    EXPECT_TRUE(none.empty());
    EXPECT_TRUE(read_answers(file(""), none, Format::json).empty());
}

TEST_F(ScoreFiles, TellFormatsOfCompletionsApartByHowManyCanBeRead) {
    std::vector<GoldLine> lines;
    for (auto const* id : {"1", "2", "3"}) {
        lines.push_back({id, "Bohr met Ada in Rome", "", {"person", "location"}});
    }
    auto const with = [&](std::vector<std::string> const& completions) {
        std::string text;
        for (std::size_t i = 0; i < completions.size(); ++i)
            text += to_text(Json{{"id", std::to_string(i + 1)}, {"completion", completions[i]}}) + "\n";
        std::vector<Mentioned> all;
        for (auto const& answers : read_answers(file(text), lines, std::nullopt))
            all.push_back(mentions(answers.front().entities));
        return all;
    };
    std::vector<Mentioned> const wanted{{{"bohr", "person"}, {"rome", "location"}}, {{"ada", "person"}}, {}};
    for (auto const& completions : std::vector<std::vector<std::string>>{
             {R"([["Bohr", "person"], ["Rome", "location"]])", R"([["Ada", "person"]])", "[]"},
             {R"({"Bohr": "person", "Rome": "location"})", R"({"Ada": "person"})", "{}"},
             {"person: Bohr; location: Rome", "person: Ada", "None"},
             {R"("Bohr" is a person. "Rome" is a location.)", R"("Ada" is a person.)", "There are no entities."},
             // One that is not readable does not decide.
             {"person: Bohr; location: Rome", "person: Ada", "I cannot say [what]"}}) {
        EXPECT_EQ(with(completions), wanted) << completions[0];
    }
}

}  // namespace
}  // namespace samner::prompt
