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
