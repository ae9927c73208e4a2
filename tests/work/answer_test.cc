#include "work/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"

namespace samner::work {
namespace {

using score::Mentions;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Kind = Answer::Kind;

/// Three sentences, and what three passes found in them.
class Answers : public testing::Test {
protected:
    Mentions const oslo{{"oslo", "city"}};
    Mentions const thames{{"thames", "river"}};
    Mentions const both{{"oslo", "city"}, {"thames", "river"}};

    std::vector<Mentions> const gold{oslo, thames, both};
    std::map<std::string, std::vector<Mentions>> passes{
        {"a", {oslo, {}, oslo}},
        {"b", {{{"oslo", "river"}}, thames, thames}},
        {"c", {oslo, {}, {}}},
    };
    std::map<std::string, std::vector<std::int64_t>> labels{{"split", {1, 0, 1}}};
    std::vector<std::string> const types{"city", "river"};
    std::vector<std::string> const reversed{"river", "city"};
    std::vector<std::vector<std::string> const*> of_sentence{&types, &types, &types};

    std::vector<Mentions> found(Answer const& answer) const {
        return evaluate(answer,
                        {[this](std::string const& key) -> std::vector<Mentions> const& { return passes.at(key); },
                         [this](std::string const& key) -> std::vector<std::int64_t> const& { return labels.at(key); },
                         gold, of_sentence});
    }
    static Answer pass(std::string const& key) { return Answer::stored(key); }
    static Answer clusters(std::vector<Answer> parts) { return {Kind::clusters, "split", std::move(parts)}; }
};

TEST_F(Answers, ThatAreStoredAreThoseOfTheirPass) {
    EXPECT_EQ(found(pass("b")), passes.at("b"));
}

TEST_F(Answers, UniteSentenceBySentence) {
    EXPECT_EQ(found(Answer::of(Kind::unite, {pass("a"), pass("b")})),
              (std::vector<Mentions>{{{"oslo", "city"}, {"oslo", "river"}}, thames, both}));
}

TEST_F(Answers, VoteWithTheTypesOfEachSentenceForTies) {
    // Oslo of the first sentence: two say city, one river. Thames of the second and third: one of three is too few.
    EXPECT_EQ(found(Answer::of(Kind::vote, {pass("a"), pass("b"), pass("c")})), (std::vector<Mentions>{oslo, {}, {}}));
    // Of two voters one is half, and the first type decides.
    auto const two = Answer::of(Kind::vote, {pass("a"), pass("b")});
    EXPECT_EQ(found(two), (std::vector<Mentions>{oslo, thames, both}));
    of_sentence[0] = &reversed;
    EXPECT_EQ(found(two), (std::vector<Mentions>{{{"oslo", "river"}}, thames, both}));
}

TEST_F(Answers, OfTheBestByGoldAreThoseWithTheHighestF1AndTheFirstOfEqualOnes) {
    // a: 2 right of 2, 2 missed: 4/6. b: 2 right, 1 wrong, 2 missed: 4/7. c: 1 right, 3 missed: 2/5.
    EXPECT_EQ(found(Answer::of(Kind::best_by_gold, {pass("c"), pass("b"), pass("a")})), passes.at("a"));
    passes["d"] = {oslo, {}, thames};  // as good as a
    EXPECT_EQ(found(Answer::of(Kind::best_by_gold, {pass("d"), pass("a")})), passes.at("d"));
    EXPECT_EQ(found(Answer::of(Kind::best_by_gold, {pass("a"), pass("d")})), passes.at("a"));
}

TEST_F(Answers, OfClustersAreJoinedInTheOrderOfTheTarget) {
    passes["second"] = {thames};               // of the sentence labelled 0
    passes["first_and_third"] = {oslo, both};  // of those labelled 1
    EXPECT_EQ(found(clusters({pass("second"), pass("first_and_third")})), gold);
}

TEST_F(Answers, OfClustersEvaluateWhatStandsInThemOnTheirOwnSentences) {
    passes["first_and_third"] = {oslo, oslo};
    passes["other"] = {{}, both};
    passes["second"] = {thames};
    auto const best = Answer::of(Kind::best_by_gold, {pass("first_and_third"), pass("other")});
    auto const answer = clusters({pass("second"), best});
    // In the sentences labelled 1 both passes miss one: oslo and oslo of (oslo, both), nothing and both.
    EXPECT_EQ(found(answer), (std::vector<Mentions>{oslo, thames, oslo}));
    of_sentence[0] = &reversed;  // the first sentence's, wherever it stands in its cluster
    passes["first_and_third"] = {oslo, {}};
    passes["other"] = {{{"oslo", "river"}}, {}};
    EXPECT_EQ(found(clusters({pass("second"), Answer::of(Kind::vote, {pass("first_and_third"), pass("other")})}))[0],
              (Mentions{{"oslo", "river"}}));
}

TEST_F(Answers, OfAnotherNumberOfSentencesAreAnError) {
    passes["short"] = {oslo};
    EXPECT_THAT([&] { found(pass("short")); },
                ThrowsMessage<InputError>(HasSubstr("1 predictions for 3 sentences (artifact short)")));
    EXPECT_THAT(
        [&] {
            found(Answer::of(Kind::unite, {pass("a"), pass("short")}));
        },
        ThrowsMessage<InputError>(HasSubstr("artifact short")));
    EXPECT_THAT(
        [&] {
            found(clusters({pass("a"), pass("a")}));
        },
        ThrowsMessage<InputError>(HasSubstr("3 predictions for 1 sentences (artifact a)")));
    labels["split"] = {0, 1};
    EXPECT_THAT(
        [&] {
            found(clusters({pass("short"), pass("short")}));
        },
        ThrowsMessage<InputError>(HasSubstr("2 labels for 3 sentences (artifact split)")));
}

TEST_F(Answers, ThatWaitForASelectionAreAnError) {
    auto const open = Answer::of(Kind::unite, {pass("a"), pass("")});
    EXPECT_TRUE(open.open());
    EXPECT_FALSE(pass("a").open());
    EXPECT_THAT([&] { found(open); }, ThrowsMessage<Error>(HasSubstr("waits for a selection")));
}

TEST_F(Answers, TellWhatTheyReadAndHowOftenTheyAsk) {
    auto const answer = clusters({Answer::of(Kind::unite, {pass("a"), pass("b")}), pass("a"), pass("")});
    EXPECT_EQ(answer.keys(), (std::set<std::string>{"a", "b", "split"}));
    EXPECT_EQ(answer.passes(), (std::set<std::string>{"a", "b"}));
    EXPECT_EQ(answer.passes_asked(), 4);
    EXPECT_TRUE(answer.open());
}

}  // namespace
}  // namespace samner::work
