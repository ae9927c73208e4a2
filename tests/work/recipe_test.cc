#include "work/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "corpora.h"

namespace samner::work {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class TrainingTexts : public testing::Test {
protected:
    Corpora corpora;
    TextReader reader = corpora.reader();
    Recipe recipe{{{"both", {reader.hashed({"waters", {"test"}}), reader.hashed({"tools", {"test"}})}, 8}}, 1, 4};
};

TEST_F(TrainingTexts, AreThoseThatTheSeedDraws) {
    auto const texts = training_texts(recipe, reader);
    EXPECT_EQ(texts.size(), 8U);
    EXPECT_EQ(texts, training_texts(recipe, reader));
    auto other = recipe;
    other.seed = 5;
    EXPECT_NE(texts, training_texts(other, reader));
}

TEST_F(TrainingTexts, OfAnAutomaticSizeAreAsManyAsThereAreWithinTheBounds) {
    auto& part = recipe.parts.front();
    part.samples = 0;
    part.between = {1, 10};
    EXPECT_EQ(training_texts(recipe, reader).size(), 10U);
    part.between = {30, 40};
    EXPECT_EQ(training_texts(recipe, reader).size(), 30U);
}

TEST_F(TrainingTexts, OfClustersAreDisjointAndTogetherAll) {
    Labels const labels = [](Input const& input) {
        EXPECT_EQ(input.key, "labels");
        return std::vector<std::int64_t>{0, 1, 1, 0, 1, 0, 0, 1};
    };
    auto const all = training_texts(recipe, reader);
    recipe.parts.front().cluster = OfCluster{{"labels"}, 0};
    EXPECT_EQ(training_texts(recipe, reader, labels), (std::vector{all[0], all[3], all[5], all[6]}));
    recipe.parts.front().cluster->index = 1;
    EXPECT_EQ(training_texts(recipe, reader, labels), (std::vector{all[1], all[2], all[4], all[7]}));
    EXPECT_THROW(training_texts(recipe, reader), Error);
    Labels const few = [](Input const&) { return std::vector<std::int64_t>{0, 1}; };
    EXPECT_THAT([&] { training_texts(recipe, reader, few); },
                ThrowsMessage<InputError>(HasSubstr("2 labels for 8 samples of both")));
}

TEST_F(TrainingTexts, OfSeveralPartsFollowEachOther) {
    auto two = recipe;
    two.parts.push_back({"tools", {reader.hashed({"tools", {"test"}})}, 3});
    auto const sets = training_sets(two, reader);
    ASSERT_EQ(sets.size(), 2U);
    EXPECT_EQ(sets[0].samples.size(), 8U);
    EXPECT_EQ(sets[0].pools.size(), 2U);
    EXPECT_EQ(sets[1].samples.size(), 3U);
    EXPECT_EQ(sets[1].pools.front().dataset->id, "tools");
    EXPECT_EQ(training_texts(two, reader).size(), 11U);
}

TEST_F(TrainingTexts, AreCalledByTheirExpertsAndClusters) {
    EXPECT_EQ(recipe.name(), "both");
    recipe.parts.front().cluster = OfCluster{{"labels"}, 1};
    recipe.parts.push_back({"stem", {}, 1});
    EXPECT_EQ(recipe.name(), "both[2]+stem");
}

}  // namespace
}  // namespace samner::work
