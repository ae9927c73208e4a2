#include "score/metric.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "corpus/tags.h"

namespace samner::score {
namespace {

/// Rome is named twice, one of them missed; Ada was not asked for; Bohr's type is wrong.
std::vector<Sentence> sentences() {
    return {{"1",
             "b",
             {"person", "location"},
             {{{"rome", "location"}, {{0, 4}}},
              {{"bohr", "person"}, {{5, 9}}},
              {{"rome", "location"}, {{10, 14}}},
              {{"ada", "misc"}, {{15, 18}}}},
             {{{"rome", "location"}, {{0, 4}}}, {{"bohr", "location"}, {{5, 9}}}, {{"ada", "misc"}, {{15, 18}}}}},
            {"2", "a", {"person", "location"}, {}, {}},
            {"3", "b", {"person", "location"}, {}, {{{"oslo", "location"}, {{0, 4}}}}}};
}

TEST(Metrics, CountWhatEachOfThemDefines) {
    auto const all = sentences();
    EXPECT_EQ(tally(Metric::entity, all).counts, (Counts{1, 2, 1}));
    EXPECT_EQ(tally(Metric::instructuie, all).counts,
              (Counts{2, 2, 2}));  // sentence 2 right, the gold none of 3 missed
    EXPECT_EQ(tally(Metric::multiset, all).counts, (Counts{1, 2, 2}));
    EXPECT_EQ(tally(Metric::offsets, all).counts, (Counts{1, 2, 2}));
    EXPECT_EQ(tally(Metric::with_misc, all).counts, (Counts{2, 2, 1}));
}

TEST(Metrics, PerTypeAndPerSentenceAddUpToTheWhole) {
    auto const all = sentences();
    for (auto const metric : all_metrics) {
        auto const whole = tally(metric, all);
        Counts by_sentence;
        for (auto const& counts : whole.per_sentence) by_sentence += counts;
        EXPECT_EQ(by_sentence, whole.counts) << name_of(metric);
        Counts by_type;
        for (auto const& [type, counts] : whole.per_type) by_type += counts;
        if (metric == Metric::instructuie) by_type += Counts{1, 0, 1};  // 'none' is of no type
        EXPECT_EQ(by_type, whole.counts) << name_of(metric);
        Counts by_target;
        for (auto const& [target, tally] : tally_per_target(metric, all)) by_target += tally.counts;
        EXPECT_EQ(by_target, whole.counts) << name_of(metric);
        EXPECT_EQ(parse_metric(name_of(metric)), metric);
    }
    EXPECT_EQ(tally(Metric::with_misc, all).per_type.at("misc"), (Counts{1, 0, 0}));
    EXPECT_FALSE(tally(Metric::entity, all).per_type.contains("misc"));
    EXPECT_EQ(tally_per_target(Metric::entity, all).at("a").per_sentence.size(), 1U);
}

TEST(Metrics, CountARepeatedMentionAsOftenAsItIsNamedOnlyInTheMultiset) {
    std::vector<Sentence> const twice{{"1", "", {}, {{{"x", "t"}}}, {{{"x", "t"}}, {{"x", "t"}}}}};
    EXPECT_EQ(tally(Metric::entity, twice).counts, (Counts{1, 0, 0}));
    EXPECT_EQ(tally(Metric::multiset, twice).counts, (Counts{1, 1, 0}));
}

TEST(Metrics, RefuseOffsetsThatAreNotThere) {
    auto all = sentences();
    EXPECT_TRUE(has_offsets(all[0]));
    all[0].predicted[0].span.reset();
    EXPECT_FALSE(has_offsets(all[0]));
    EXPECT_THROW(tally(Metric::offsets, all), InputError);
    EXPECT_THROW(parse_metric("f1"), InputError);
    all = sentences();
    all[0].gold[3].span.reset();  // of a type that was not asked for
    EXPECT_TRUE(has_offsets(all[0]));
    EXPECT_EQ(tally(Metric::offsets, all).counts, (Counts{1, 2, 2}));
}

std::vector<Entity> entities_of(std::string const& tags) {
    corpus::SentenceBuilder builder{nullptr};
    std::istringstream words{tags};
    for (std::string tag; words >> tag;) builder.add("w", corpus::parse_tag(tag).value());
    builder.end_sentence();
    std::vector<Entity> entities;
    auto const sentences = builder.finish();
    for (auto const& entity : sentences.at(0).entities) entities.push_back({{entity.text, entity.type}, entity.span});
    return entities;
}

TEST(TheOffsetsMetric, GivesSeqevalsNumbers) {
    std::size_t corpora = 0;
    for_each_jsonl(SAMNER_TEST_DATA "/seqeval/seqeval.jsonl", [&](Json const& c, std::string const& place) {
        std::vector<Sentence> all;
        for (std::size_t i = 0; i < c["gold"].size(); ++i)
            all.push_back({std::to_string(i),
                           "",
                           {},
                           entities_of(c["gold"][i].get<std::string>()),
                           entities_of(c["predicted"][i].get<std::string>())});
        auto const found = tally(Metric::offsets, all);
        auto const expect = [&](Counts const& counts, Json const& expected) {
            EXPECT_NEAR(counts.precision(), expected[0].get<double>(), 1e-12) << place;
            EXPECT_NEAR(counts.recall(), expected[1].get<double>(), 1e-12) << place;
            EXPECT_NEAR(counts.f1(), expected[2].get<double>(), 1e-12) << place;
        };
        expect(found.counts, c["micro"]);
        EXPECT_EQ(found.per_type.size(), c["per_type"].size()) << place;
        for (auto const& [type, expected] : c["per_type"].items()) {
            auto const& counts = found.per_type.at(type);
            expect(counts, expected);
            EXPECT_EQ(counts.true_positive + counts.false_negative, expected[3].get<std::int64_t>()) << place << type;
        }
        ++corpora;
    });
    EXPECT_EQ(corpora, 5U);
}

}  // namespace
}  // namespace samner::score
