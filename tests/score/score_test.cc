#include "score/score.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "corpus/tags.h"
#include "score/placed.h"

namespace samner::score {
namespace {

TEST(NormalisedText, IsLowerCaseWithSingleSpaces) {
    EXPECT_EQ(normalise("  New \t York\xC2\xA0 City\n"), "new york city");
    EXPECT_EQ(normalise("МОСКВА Édouard"), "москва édouard");
    EXPECT_EQ(normalise("a\xFF"), "a\xEF\xBF\xBD");
    EXPECT_EQ(normalise(""), "");
}

TEST(NormalisedText, IsTheSameForCanonicallyEqualTexts) {
    EXPECT_EQ(normalise("Beyonce\u0301 in Sa\u0303o"), normalise("Beyonc\u00e9 in S\u00e3o"));
    EXPECT_EQ(normalise("Beyonce\u0301"), "beyonc\u00e9");
    EXPECT_EQ(normalise("BEYONCE\u0301"), "beyonc\u00e9");
    EXPECT_EQ(normalise("\u212B\u2126"), "\u00e5\u03c9");               // Angstrom and Ohm signs
    EXPECT_EQ(normalise("J\u030c"), "\u01f0");                          // only the small letter has a composed form
    EXPECT_EQ(normalise("a\u0301\u0323"), normalise("a\u0323\u0301"));  // marks above and below in either order
    EXPECT_EQ(normalise("\u1112\u1161\u11ab\u1100\u1173\u11af"), "\ud55c\uae00");
    EXPECT_EQ(normalise("\u0915\u093c"), normalise("\u0958"));  // composed characters that are decomposed for good
    EXPECT_EQ(normalise(" \u0301x \xFF e\u0301 "), "\u0301x \uFFFD \u00e9");
    EXPECT_NE(normalise("\ufb01"), "fi");  // compatibility is not equality
    EXPECT_NE(normalise("e\u0301"), normalise("e"));
    EXPECT_EQ(normalise("\u0130stanbul"), "istanbul");
    EXPECT_EQ(normalise(normalise("J\u030c E\u0301\xCC")), normalise("J\u030c E\u0301\xCC"));
}

TEST(NormalisedText, TakesTimeInProportionToItsLength) {
    std::string marks = "a";
    for (int i = 0; i < 200'000; ++i) marks += i % 2 == 0 ? "\u0301" : "\u0323";  // the test's time limit tells
    EXPECT_EQ(normalise(marks), normalise("\u00e1" + marks.substr(3)));
}

/// Each mention with its place: text:begin-end.
std::string places(std::string const& text, std::vector<std::string> const& mentions, std::int64_t lost = 0) {
    Mentions all;
    for (auto const& mention : mentions) all.insert({normalise(mention), "t"});
    std::int64_t missing = 0;
    std::string told;
    for (auto const& one : place(text, all, missing)) {
        told += fmt::format("{}{}:{}-{}", told.empty() ? "" : " ", one.text, one.span.begin, one.span.end);
        EXPECT_EQ(corpus::cut(text, one.span), one.text);
    }
    EXPECT_EQ(missing, lost) << text;
    EXPECT_EQ(PlacedText{text}.normalised(), normalise(text));
    return told;
}

TEST(Placed, MentionsStandAsTheyAreWrittenInTheOrderOfTheText) {
    EXPECT_EQ(places("Ada met Niels BOHR in Oslo", {"oslo", "Niels Bohr", "ada"}),
              "Ada:0-3 Niels BOHR:8-18 Oslo:22-26");
    EXPECT_EQ(places("New \t York\u00A0 City", {"new york city"}), "New \t York\u00A0 City:0-16");
    EXPECT_EQ(places("  in  Rome ", {"rome"}), "Rome:6-10");
    EXPECT_EQ(places("Paris", {"London", "paris"}, 1), "Paris:0-5");
    EXPECT_EQ(places("", {"x"}, 1), "");
}

TEST(Placed, MentionsAreAtTheirFirstPlaceBetweenWordsOrTheirFirstOne) {
    EXPECT_EQ(places("Romeo in Rome, then Rome", {"rome"}), "Rome:9-13");
    EXPECT_EQ(places("Romeo and Romero", {"rome"}), "Rome:0-4");
    EXPECT_EQ(places("anti-us US", {"us"}), "us:5-7");
    EXPECT_EQ(places("x2 2", {"2"}), "2:3-4");
    EXPECT_EQ(places("\u6771\u4EAC\u90FD\u306F\u6771\u4EAC", {"\u6771\u4EAC"}), "\u6771\u4EAC:0-2");
}

TEST(Placed, MentionsCountInCodePointsWhateverTheSpelling) {
    EXPECT_EQ(places("caf\u00e9 Z\u00fcrich", {"Zu\u0308rich"}), "Z\u00fcrich:5-11");
    EXPECT_EQ(places("cafe\u0301 Zu\u0308rich", {"z\u00fcrich"}), "Zu\u0308rich:6-13");
    EXPECT_EQ(places("cafe\u0301", {"caf"}), "caf:0-3");
    EXPECT_EQ(places("cafe\u0301", {"cafe"}, 1), "");  // another word
    EXPECT_EQ(places("\U0001F600 J\u030c x", {"\u01f0"}), "J\u030c:2-4");
    EXPECT_EQ(places("\u1112\u1161\u11ab\u1100\u1173\u11af", {"\uae00"}), "\u1100\u1173\u11af:3-6");
    EXPECT_EQ(places("\u0130stanbul", {"istanbul"}), "\u0130stanbul:0-8");
    EXPECT_EQ(places("a\u0301\u0323b", {"b"}), "b:3-4");
    EXPECT_EQ(places(" \u0301x", {"x"}), "x:2-3");
}

TEST(Placed, TextsAreNormalisedAsOthersAre) {
    std::vector<std::string> const parts{"a",      "E",      "\u0301", "\u0323", "\u030c", "J",
                                         " ",      "\u00A0", "\t",     "\u1112", "\u1161", "\u11ab",
                                         "\u0130", "\u0958", "\xff",   "\u212B", "7"};
    std::uint32_t random = 1;
    for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (int k = 0; k < 6; ++k) {
            random = random * 1664525 + 1013904223;
            text += parts[(random >> 16) % parts.size()];
        }
        ASSERT_EQ(PlacedText{text}.normalised(), normalise(text)) << text;
    }
}

TEST(Counting, ComparesTextAndTypeAndSumsOverSentences) {
    std::vector<Mentions> const gold{{{"oslo", "location"}, {"bohr", "person"}}, {}};
    std::vector<Mentions> const predicted{{{"oslo", "location"}, {"bohr", "location"}}, {{"x", "person"}}};
    auto const counts = count(gold, predicted);
    EXPECT_EQ(counts, (Counts{1, 2, 1}));
    EXPECT_DOUBLE_EQ(counts.precision(), 1.0 / 3);
    EXPECT_DOUBLE_EQ(counts.recall(), 0.5);
    EXPECT_DOUBLE_EQ(counts.f1(), 2.0 / 5);
    auto const per_type = count_per_type(gold, predicted);
    EXPECT_EQ(per_type.at("location"), (Counts{1, 1, 0}));
    EXPECT_EQ(per_type.at("person"), (Counts{0, 1, 1}));
    EXPECT_EQ(Counts{}.f1(), 0.0);
    EXPECT_THROW(count(gold, std::vector<Mentions>{{}}), InputError);
}

TEST(MajorityVote, KeepsWhatHalfNameWithItsMostFrequentType) {
    std::vector<std::string> const types{"person", "location"};
    std::vector<Mentions> const three{{{"washington", "location"}, {"oslo", "location"}},
                                      {{"washington", "person"}},
                                      {{"washington", "person"}, {"rome", "location"}}};
    EXPECT_EQ(majority_vote(three, types), (Mentions{{"washington", "person"}}));  // two of three are needed
    std::vector<Mentions> const two{{{"paris", "location"}}, {{"paris", "person"}, {"oslo", "location"}}};
    EXPECT_EQ(majority_vote(two, types),
              (Mentions{{"paris", "person"}, {"oslo", "location"}}));  // equal votes: first in the list
    std::vector<Mentions> const both{{{"x", "person"}, {"x", "location"}}, {}, {}, {}};
    EXPECT_TRUE(majority_vote(both, types).empty());  // one voter, whatever the number of types it gives
}

TEST(Union, KeepsBothTypesOfAMention) {
    EXPECT_EQ(union_of({{"x", "person"}}, {{"x", "location"}, {"y", "person"}}),
              (Mentions{{"x", "location"}, {"x", "person"}, {"y", "person"}}));
}

TEST(Intersection, KeepsWhatBothNameWithTheSameType) {
    EXPECT_EQ(intersection_of({{"x", "person"}, {"y", "person"}}, {{"x", "location"}, {"y", "person"}}),
              (Mentions{{"y", "person"}}));
}

TEST(Combinations, AreUnionIntersectionAndVote) {
    std::vector<std::string> const types{"person", "location"};
    std::vector<Mentions> const samples{
        {{"x", "person"}, {"y", "person"}}, {{"x", "person"}, {"z", "person"}}, {{"x", "location"}, {"y", "person"}}};
    EXPECT_EQ(combine(parse_combination("union"), samples, types).size(), 4U);
    EXPECT_TRUE(combine(parse_combination("intersection"), samples, types).empty());
    EXPECT_EQ(combine(parse_combination("vote"), samples, types), (Mentions{{"x", "person"}, {"y", "person"}}));
    for (auto const how : {Combination::unite, Combination::intersect, Combination::vote})
        EXPECT_EQ(combine(how, std::span{samples}.first(1), types), samples[0]);
    EXPECT_THROW(parse_combination("mean"), InputError);
    EXPECT_THROW(combine(Combination::vote, {}, types), InputError);
}

}  // namespace
}  // namespace samner::score
