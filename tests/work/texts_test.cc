#include "work/texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "corpora.h"
#include "log_capture.h"
#include "prompt/prompt.h"

namespace samner::work {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> ids(std::string const& split, std::vector<std::size_t> const& numbers) {
    std::vector<std::string> all;
    for (auto const number : numbers) all.push_back(fmt::format("{}/{}", split, number));
    return all;
}

std::vector<std::string> first_ids(std::string const& split, std::size_t count) {
    std::vector<std::size_t> numbers(count);
    for (std::size_t i = 0; i < count; ++i) numbers[i] = i;
    return ids(split, numbers);
}

std::vector<std::string> joined(std::vector<std::string> a, std::vector<std::string> const& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

class ReadTexts : public testing::Test {
protected:
    Corpora corpora;
    TextReader reader = corpora.reader();
    Texts waters{{reader.hashed({"waters", {"test"}})}};
    Texts tools{{reader.hashed({"tools", {"test"}})}};
    Texts pool{{waters.sources.front(), tools.sources.front()}};

    std::vector<std::string> read(Texts const& texts, Labels const& labels = {}) {
        return ids_of(reader.read(texts, labels));
    }
    FileSource users_file(std::string const& lines) {
        write_atomically(corpora.file("texts.jsonl"), lines);
        return TextReader::hashed(corpora.file("texts.jsonl"), {{"mountain"}, {"lake"}});
    }
};

TEST_F(ReadTexts, WithoutAViewAreAllOfASourcesSplitsInOrder) {
    EXPECT_EQ(read(waters), first_ids("waters/test", 12));
    EXPECT_EQ(read({{reader.hashed({"waters", {"test", "dev"}})}}),
              joined(first_ids("waters/test", 12), first_ids("waters/dev", 4)));
    EXPECT_EQ(read({}), std::vector<std::string>{});
}

TEST_F(ReadTexts, OfTheFirstOnesAreSoManyOfEachSource) {
    EXPECT_EQ(read(waters.with(First{3})), first_ids("waters/test", 3));
    EXPECT_EQ(read(waters.with(First{99})), first_ids("waters/test", 12));
    EXPECT_EQ(read(pool.with(First{9})), joined(first_ids("waters/test", 9), first_ids("tools/test", 7)));
    // Of what another view leaves they are the first of all.
    EXPECT_EQ(read(pool.with(Shard{10, 1}).with(First{4})),
              joined(ids("waters/test", {10, 11}), ids("tools/test", {0, 1})));
}

/// The draw is part of the results that are stored: it must stay what it is.
TEST_F(ReadTexts, OfASampleAreThoseOfTheDataSetsStreamInTheirOrder) {
    auto const drawn = [](std::string const& dataset, std::uint64_t seed, std::size_t of, std::size_t k) {
        auto order = RandomStream{seed, "sampling/" + dataset}.permutation(of);
        order.resize(std::min(of, k));
        std::ranges::sort(order);
        return order;
    };
    for (std::uint64_t const seed : {0, 1, 7}) {
        EXPECT_EQ(read(waters.with(Sample{5, seed})), ids("waters/test", drawn("waters", seed, 12, 5))) << seed;
        EXPECT_EQ(read(waters.with(First{8}).with(Sample{3, seed})), ids("waters/test", drawn("waters", seed, 8, 3)));
    }
    EXPECT_EQ(read(tools.with(Sample{99, 0})), first_ids("tools/test", 7));
    EXPECT_EQ(read(waters.with(Sample{5, 1})), read(waters.with(Sample{5, 1})));
    EXPECT_NE(read(waters.with(Sample{5, 1})), read(waters.with(Sample{5, 2})));
}

TEST_F(ReadTexts, OfASampleOfAPoolAreDrawnFromAllOfItUnderAllItsNames) {
    auto order = RandomStream{3, "sampling/waters+tools"}.permutation(19);
    order.resize(6);
    std::ranges::sort(order);
    auto const all = read(pool);
    std::vector<std::string> expected;
    for (auto const i : order) expected.push_back(all.at(i));
    EXPECT_EQ(read(pool.with(Sample{6, 3})), expected);
}

TEST_F(ReadTexts, OfOneSentenceAreOneThatDependsOnTheTrial) {
    std::set<std::string> seen;
    for (std::uint64_t trial = 0; trial < 20; ++trial) {
        auto const one = read(waters.with(OneSentence{trial}));
        ASSERT_EQ(one.size(), 1U);
        EXPECT_EQ(one, read(waters.with(OneSentence{trial})));
        seen.insert(one.front());
    }
    EXPECT_GT(seen.size(), 3U);
}

TEST_F(ReadTexts, OfAClusterAreThoseWithItsLabel) {
    std::vector<std::string> asked;
    Labels const labels = [&](Input const& input) {
        asked.push_back(input.key);
        return std::vector<std::int64_t>{1, 0, 2, 1, 0, 1, 2};
    };
    EXPECT_EQ(read(tools.with(OfCluster{{"labels"}, 1}), labels), ids("tools/test", {0, 3, 5}));
    EXPECT_EQ(read(tools.with(OfCluster{{"labels"}, 0}), labels), ids("tools/test", {1, 4}));
    EXPECT_EQ(read(tools.with(OfCluster{{"labels"}, 7}), labels), std::vector<std::string>{});
    EXPECT_THAT(asked, ElementsAre("labels", "labels", "labels"));
    EXPECT_THAT(
        [&] {
            read(waters.with(OfCluster{{"labels"}, 1}), labels);
        },
        ThrowsMessage<InputError>(HasSubstr("7 labels for 12 texts of waters")));
    EXPECT_THROW(read(tools.with(OfCluster{{"labels"}, 1})), Error);
}

TEST_F(ReadTexts, OfShardsAreDisjointAndTogetherAll) {
    std::vector<std::string> together;
    for (std::int64_t i = 0; i < 4; ++i) {
        auto const part = read(pool.with(Shard{5, i}));
        EXPECT_EQ(part.size(), i < 3 ? 5U : 4U);
        together.insert(together.end(), part.begin(), part.end());
    }
    EXPECT_EQ(together, read(pool));
    EXPECT_TRUE(read(pool.with(Shard{5, 4})).empty());
    EXPECT_TRUE(read(pool.with(Shard{5, 1000})).empty());
}

TEST_F(ReadTexts, OfAPoolHaveTheTypesAndThePromptOfTheirOwnDataSet) {
    auto const texts = reader.read(pool);
    ASSERT_EQ(texts.size(), 19U);
    EXPECT_EQ(texts.front().dataset->id, "waters");
    EXPECT_EQ(texts.back().dataset->id, "tools");
    EXPECT_THAT(texts.front().dataset->type_names(), ElementsAre("river", "city"));
    EXPECT_THAT(texts.back().dataset->type_names(), ElementsAre("tool", "city"));
    prompt::Options const options;
    auto const of_waters = prompt::render(*texts.front().sentence, *texts.front().dataset, options).text;
    auto const of_tools = prompt::render(*texts.back().sentence, *texts.back().dataset, options).text;
    EXPECT_THAT(of_waters, AllOf(HasSubstr("Notes on waters"), HasSubstr("river"), Not(HasSubstr("tool"))));
    EXPECT_THAT(of_tools, AllOf(HasSubstr("Notes on tools"), HasSubstr("tool"), Not(HasSubstr("river"))));
    EXPECT_THAT(reader.type_names(pool), ElementsAre("river", "city", "tool"));
}

TEST_F(ReadTexts, OfAUsersFileHaveItsIdsAndTheTypesThatWereGiven) {
    auto const source =
        users_file("{\"id\": \"a\", \"text\": \"On Elbrus.\"}\n\n{\"id\": 7, \"text\": \"By Ladoga.\"}\n");
    EXPECT_EQ(source.sha256.size(), 64U);
    auto const texts = reader.read({{source}});
    ASSERT_EQ(texts.size(), 2U);
    EXPECT_THAT(ids_of(texts), ElementsAre("a", "7"));
    EXPECT_EQ(texts[1].sentence->text, "By Ladoga.");
    EXPECT_TRUE(texts[0].sentence->entities.empty());
    EXPECT_THAT(reader.type_names({{source}}), ElementsAre("mountain", "lake"));
    EXPECT_THAT(prompt::render(*texts[0].sentence, *texts[0].dataset, prompt::Options{}).text,
                AllOf(HasSubstr("mountain"), HasSubstr("lake"), HasSubstr("On Elbrus.")));
    EXPECT_THAT(ids_of(reader.read(Texts{{source, tools.sources.front()}}.with(First{1}))),
                ElementsAre("a", "tools/test/0"));
}

TEST_F(ReadTexts, OfUsersFilesWithOtherTypesDoNotShareTheirTypes) {
    auto const source = users_file("{\"id\": \"a\", \"text\": \"b\"}\n");
    auto other = source;
    other.types = {{"sea"}};
    EXPECT_THAT(reader.dataset(source).type_names(), ElementsAre("mountain", "lake"));
    EXPECT_THAT(reader.dataset(other).type_names(), ElementsAre("sea"));
}

TEST_F(ReadTexts, ALineWithoutIdOrTextIsAnErrorWithItsPlace) {
    EXPECT_THAT([&] { reader.sentences(users_file("{\"id\": 1, \"text\": \"x\"}\n{\"id\": 2}\n")); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("'text' is missing"), HasSubstr("texts.jsonl:2"))));
    EXPECT_THAT([&] { reader.sentences(users_file("{\"text\": \"x\"}\n")); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("'id' is missing"), HasSubstr("texts.jsonl:1"))));
    EXPECT_THAT([&] { TextReader::hashed(corpora.file("none.jsonl"), {}); },
                ThrowsMessage<InputError>(HasSubstr("none.jsonl")));
}

TEST_F(ReadTexts, AnIdThatStandsTwiceIsAnErrorThatNamesBothLines) {
    EXPECT_THAT(
        [&] { reader.sentences(users_file("{\"id\": 1, \"text\": \"x\"}\n{\"id\": \"1\", \"text\": \"y\"}\n")); },
        ThrowsMessage<InputError>(
            AllOf(HasSubstr("id 1 stands twice"), HasSubstr("texts.jsonl:2"), HasSubstr("texts.jsonl:1"))));
}

TEST_F(ReadTexts, OfAnEmptyUsersFileAreNoneWithAWarning) {
    LogCapture const log;
    EXPECT_TRUE(reader.sentences(users_file("")).empty());
    EXPECT_THAT(log.text(), HasSubstr("texts.jsonl' has no lines"));
}

TEST_F(ReadTexts, ADataSetThatChangedAfterItsHashWasTakenIsAnErrorThatNamesIt) {
    corpora.write("waters", "test", 11);
    EXPECT_THAT([&] { reader.read(waters); },
                ThrowsMessage<InputError>(HasSubstr("waters:test has changed since this run was planned")));
    auto another = corpora.reader();  // of a process that has not read it before
    EXPECT_THAT([&] { another.read(pool.with(First{1})); }, ThrowsMessage<InputError>(HasSubstr("waters:test")));
    EXPECT_EQ(another.read(tools).size(), 7U);
    EXPECT_EQ(another.read({{another.hashed({"waters", {"test"}})}}).size(), 11U);
}

TEST_F(ReadTexts, AUsersFileThatChangedAfterItsHashWasTakenIsAnErrorThatNamesIt) {
    auto const source = users_file("{\"id\": \"a\", \"text\": \"b\"}\n");
    users_file("{\"id\": \"a\", \"text\": \"c\"}\n");
    EXPECT_THAT([&] { reader.read({{source}}); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("texts.jsonl"), HasSubstr("has changed"))));
}

TEST_F(ReadTexts, AreReadOnceAndKept) {
    auto const& before = reader.sentences(waters.sources.front());
    corpora.write("waters", "test", 11);
    EXPECT_EQ(&reader.sentences(waters.sources.front()), &before);
    EXPECT_EQ(before.size(), 12U);
}

TEST_F(ReadTexts, OfUnknownDataSetsOrSplitsAreErrors) {
    EXPECT_THAT([&] { reader.hashed({"watters", {"test"}}); }, ThrowsMessage<InputError>(HasSubstr("watters")));
    EXPECT_THAT([&] { reader.hashed({"waters", {"train"}}); }, ThrowsMessage<InputError>(HasSubstr("train")));
}

TEST_F(ReadTexts, AreCalledByTheirSourcesAndWhatViewsLeave) {
    EXPECT_EQ(waters.name(), "waters");
    EXPECT_EQ(waters.with(First{10}).name(), "waters");
    EXPECT_EQ(pool.name(), "waters+tools");
    EXPECT_EQ(pool.with(Sample{10, 3}).name(), "waters+tools (sample of 10)");
    EXPECT_EQ(waters.with(OneSentence{2}).name(), "waters (sentence of trial 2)");
    EXPECT_EQ(waters.with(OfCluster{{"k"}, 2}).with(Shard{5, 0}).name(), "waters (cluster 3) (shard 1)");
    EXPECT_EQ((Texts{{FileSource{"/home/me/mine.jsonl", "", {}}}}.name()), "texts");
}

TEST_F(ReadTexts, KnowWhetherTheyAreOneSplitFromItsBeginning) {
    auto const whole = waters.whole_split();
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->split.name, "test");
    EXPECT_EQ(whole->first, 0);
    auto const beginning = waters.with(First{5});
    EXPECT_EQ(beginning.whole_split()->first, 5);
    EXPECT_FALSE(pool.whole_split());
    EXPECT_FALSE(waters.with(Sample{5, 0}).whole_split());
    EXPECT_FALSE(beginning.with(Sample{5, 0}).whole_split());
    EXPECT_FALSE((Texts{{FileSource{"a", "b", {}}}}.whole_split()));
    EXPECT_FALSE((Texts{{DatasetSource{"waters", {{"test", "a"}, {"dev", "b"}}}}}.whole_split()));
}

TEST(DatasetRefs, NameDataSetsWithTheirSplits) {
    auto const of = [](std::string const& text) {
        auto const ref = parse_dataset_ref(text, "test", "a test");
        return std::pair{ref.id, ref.splits};
    };
    using Splits = std::vector<std::string>;
    EXPECT_EQ(of("bc5cdr"), std::pair(std::string{"bc5cdr"}, Splits{"test"}));
    EXPECT_EQ(of("gmb-news:all"), std::pair(std::string{"gmb-news"}, Splits{"all"}));
    EXPECT_EQ(of("ncbi:train+dev"), std::pair(std::string{"ncbi"}, Splits{"train", "dev"}));
    for (auto const* bad : {"", ":", ":test", "a:", "a:b+", "a:+b", "a:b+b", "a:b++c"}) {
        EXPECT_THAT([&] { of(bad); },
                    ThrowsMessage<InputError>(HasSubstr(fmt::format("'{}' names no data set (a test)", bad))));
    }
}

}  // namespace
}  // namespace samner::work
