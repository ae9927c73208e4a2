#include "score/score.h"

#include <gtest/gtest.h>

#include "core/error.h"

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
