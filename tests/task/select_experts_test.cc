#include "task/select_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace samner::task {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::ThrowsMessage;

Evidence of_similarities(std::vector<double> similarity) {
    Evidence evidence{{"stem", "news", "legal", "traffic"}, std::move(similarity)};
    evidence.names.resize(evidence.similarity.size());
    return evidence;
}

TEST(SelectExperts, ByARuleTakesAsManyAsTheMetricsSayBestFirst) {
    auto const chosen = [](std::vector<double> similarity, work::Rule rule) {
        return select_experts(of_similarities(std::move(similarity)), {}, work::Metric::similarity, 4, rule).chosen;
    };
    EXPECT_THAT(chosen({0.5, 0.9, 0.4, 0.8}, work::Rule::gap), ElementsAre("news", "traffic"));
    EXPECT_THAT(chosen({0.9, 0.5, 0.4, 0.3}, work::Rule::gap), ElementsAre("stem"));
    EXPECT_THAT(chosen({0.9, 0.7, 0.6, 0.1}, work::Rule::mean), ElementsAre("stem", "news", "legal"));  // 0.575
    EXPECT_THAT(chosen({0.5, 0.5, 0.5, 0.5}, work::Rule::gap), ElementsAre("legal", "news", "stem", "traffic"));
    EXPECT_THAT(chosen({0.5, 0.5, 0.5, 0.5}, work::Rule::mean), ElementsAre("legal", "news", "stem", "traffic"));
}

TEST(SelectExperts, ByARuleWithFusedMetricsLooksAtTheFusedOnes) {
    score::Mentions const label{{"rome", "place"}};
    Evidence evidence{{"a", "b", "c"}, {0.75, 0.5, 0.25}};
    evidence.answers = {Answers{{{}}}, Answers{{label}}, Answers{{label}}};
    // Scaled: similarity 1, 0.5, 0; sampling F1 0, 1, 1. Fused: 0.5, 0.75, 0.5; gaps 0.25 and 0.
    auto const selection = select_experts(evidence, {"place"}, work::Metric::fused, 3, work::Rule::gap);
    EXPECT_THAT(selection.chosen, ElementsAre("b"));
    EXPECT_THAT(selection.metrics, ElementsAre(Pair("a", 0.5), Pair("b", 0.75), Pair("c", 0.5)));
    EXPECT_EQ(selection.pseudo_labels->mentions, 1);
}

/// Two experts answer two sentences three times each. Of the six answers to a sentence three are half.
TEST(SelectExperts, BySeveralAnswersVotesOverAllOfThemAndSumsAnExpertsCounts) {
    score::Mention const rome{"rome", "place"};
    score::Mention const paris{"paris", "place"};
    score::Mention const paris_hilton{"paris", "person"};
    score::Mention const oslo{"oslo", "place"};
    using Sentences = std::vector<score::Mentions>;
    Evidence evidence{{"a", "b"}};
    evidence.answers = {
        Answers{Sentences{{rome}, {paris}}, Sentences{{rome, oslo}, {paris}}, Sentences{{}, {}}},
        Answers{Sentences{{rome}, {paris_hilton}}, Sentences{{oslo}, {paris, rome}}, Sentences{{}, {}}}};
    auto const selection = select_experts(evidence, {"person", "place"}, work::Metric::sampling, 2);
    // First sentence: rome 3 of 6, oslo 2 of 6. Second: paris 4 of 6, of them place 3, person 1; rome 1 of 6.
    EXPECT_EQ(selection.pseudo_labels->sentences, 2);
    EXPECT_EQ(selection.pseudo_labels->mentions, 2);
    // a: tp 1+1, 1+1, 0; fp 0, 1, 0; fn 0, 0, 2: 2 * 4 / (2 * 4 + 1 + 2).
    // b: tp 1+0, 0+1, 0; fp 0+1, 1+1, 0; fn 0+1, 1+0, 2: 2 * 2 / (2 * 2 + 3 + 4).
    EXPECT_THAT(selection.sampling_f1,
                ElementsAre(Pair("a", DoubleNear(8.0 / 11, 1e-12)), Pair("b", DoubleNear(4.0 / 11, 1e-12))));
    EXPECT_THAT(selection.chosen, ElementsAre("a", "b"));
}

TEST(SelectExperts, ByTypesTakesThoseWhoseTypesAreNearest) {
    Evidence evidence{{"a", "b", "c"}, {0.75, 0.5, 0.25}};
    evidence.type_similarity = {0.25, 0.25, 0.5};
    auto const types = select_experts(evidence, {}, work::Metric::types, 2);
    EXPECT_THAT(types.chosen, ElementsAre("c", "a")) << "of equal ones the more similar domain";
    EXPECT_THAT(*types.type_similarity, ElementsAre(Pair("a", 0.25), Pair("b", 0.25), Pair("c", 0.5)));
    EXPECT_THAT(types.metrics, *types.type_similarity);
    // Scaled: similarity 1, 0.5, 0; types 0, 0, 1.
    auto const both = select_experts(evidence, {}, work::Metric::similarity_types, 3);
    EXPECT_THAT(both.metrics, ElementsAre(Pair("a", 0.5), Pair("b", 0.25), Pair("c", 0.5)));
    EXPECT_THAT(both.chosen, ElementsAre("a", "c", "b"));
    EXPECT_FALSE(select_experts(evidence, {}, work::Metric::similarity, 1).type_similarity) << "not asked for";
}

TEST(SelectExperts, RefusesAMetricWithoutWhatItIsMadeOf) {
    auto const refused = [](Evidence const& evidence, work::Metric metric, std::string const& what) {
        EXPECT_THAT([&] { select_experts(evidence, {}, metric, 1); }, ThrowsMessage<InputError>(HasSubstr(what)));
    };
    refused({{"a"}}, work::Metric::similarity, "similarity needs the experts' domain embeddings");
    refused({{"a"}, {0.5}}, work::Metric::types, "types needs the embeddings of the experts' types");
    refused({{"a"}, {}, {}, {0.5}}, work::Metric::similarity_types, "needs the experts' domain embeddings");
}

}  // namespace
}  // namespace samner::task
