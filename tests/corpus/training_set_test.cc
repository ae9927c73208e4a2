#include "corpus/training_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "corpus/slice.h"
#include "corpus/table11.h"
#include "full_corpora.h"
#include "temporary_folder.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path const source = SAMNER_SOURCE_DIR;

PrintedTable printed() {
    return read_printed_table(source / "experiments/paper/values/table11.yaml");
}

std::vector<PresentCounts> present(Catalogue const& catalogue, fs::path const& root, PrintedTable const& table) {
    return present_table(catalogue, root, table, [&](Dataset const& dataset, std::string const& split) {
        return std::ssize(read(dataset, split, root));
    });
}

Dataset dataset(std::string const& id, std::int64_t types) {
    Dataset d;
    d.id = id;
    for (std::int64_t i = 0; i < types; ++i) d.types.push_back({"T" + std::to_string(i), "t" + std::to_string(i), ""});
    return d;
}

Sentence const with_entity{"", "x", {{"x", "T0"}}};
Sentence const without_entity{"", "x", {}};

/// Sentences of a training split with entities in nine of ten.
std::vector<Sentence> split(std::int64_t size) {
    std::vector<Sentence> sentences(static_cast<std::size_t>(size), with_entity);
    for (std::size_t i = 0; i < sentences.size(); i += 10) sentences[i] = without_entity;
    return sentences;
}

/// Draws a domain of the printed table from splits of the printed sizes.
std::map<std::string, std::int64_t> sampled(PrintedTable const& table, std::string const& domain) {
    std::vector<Dataset> datasets;
    std::vector<std::vector<Sentence>> splits;
    for (auto const& row : table.rows) {
        if (row.domain != domain) continue;
        datasets.push_back(dataset(row.id, row.types));
        splits.push_back(split(row.train));
    }
    std::vector<Pool> pools;
    for (std::size_t i = 0; i < datasets.size(); ++i) pools.push_back({&datasets[i], splits[i]});
    std::map<std::string, std::int64_t> counts;
    for (auto const& sample : training_set(pools, {table.quotas.at(domain)}, 0.1, 3))
        ++counts[datasets[sample.pool].id];
    return counts;
}

TEST(TrainingSet, HasTable11sSizesWhenThePapersAreAskedFor) {
    auto const table = printed();
    ASSERT_EQ(table.rows.size(), 17U);
    std::int64_t all = 0;
    std::map<std::string, std::map<std::string, std::int64_t>> domains;
    for (auto const& [domain, quota] : table.quotas) domains[domain] = sampled(table, domain);
    for (auto const& row : table.rows) {
        EXPECT_EQ(domains[row.domain][row.id], row.sampled) << row.id;
        all += row.sampled;
    }
    EXPECT_EQ(all, 148'147);
}

TEST(TrainingSet, HasBetween10000And50000SamplesByItself) {
    auto const one = dataset("one", 1);
    auto const size_from = [&](std::size_t sentences, SetSize const& size = {}) {
        std::vector<Sentence> const all(sentences, with_entity);
        return training_set({{{&one, all}}}, size, 0.1, 0).size();
    };
    EXPECT_EQ(size_from(7), 10'000U);
    EXPECT_EQ(size_from(21'565), 21'565U);
    EXPECT_EQ(size_from(50'001), 50'000U);
    EXPECT_EQ(size_from(7, {0, 5, 6}), 6U);
    // What is dropped does not count.
    std::vector<Sentence> half(40'000, with_entity);
    std::fill(half.begin() + 20'000, half.end(), without_entity);
    EXPECT_EQ(training_set({{{&one, half}}}, {}, 0, 0).size(), 20'000U);
}

TEST(TrainingSet, SharesBySizeOfTypeListAndRepeatsWhereSentencesAreFew) {
    auto const one = dataset("one", 1);
    auto const five = dataset("five", 5);
    std::vector<Sentence> const few(3, with_entity);
    std::vector<Sentence> const many(1000, with_entity);
    std::vector<Pool> const pools{{&one, few}, {&five, many}};
    auto const samples = training_set(pools, {100}, 0.1, 7);
    auto const of = [&](std::size_t pool) { return std::ranges::count(samples, pool, &Sample::pool); };
    EXPECT_EQ(of(0), 16);  // floor(100 / 6)
    EXPECT_EQ(of(1), 83);  // floor(500 / 6)
    std::map<std::size_t, int> repeats;
    std::set<std::size_t> distinct;
    for (auto const& sample : samples) {
        if (sample.pool == 0) ++repeats[sample.sentence];
        if (sample.pool == 1) {
            EXPECT_TRUE(distinct.insert(sample.sentence).second);
        }
    }
    for (auto const& [sentence, count] : repeats) EXPECT_GE(count, 5);
    EXPECT_EQ(samples, training_set(pools, {100}, 0.1, 7));
    EXPECT_NE(samples, training_set(pools, {100}, 0.1, 8));
}

TEST(TrainingSet, DrawsTheSameSentencesOfADataSetWhateverStandsBesideIt) {
    auto const one = dataset("one", 1);
    auto const two = dataset("two", 1);
    auto const sentences = split(500);
    std::vector<Pool> const alone{{&two, sentences}};
    std::vector<Pool> const second{{&one, sentences}, {&two, sentences}};
    auto const of_two = [](std::vector<Sample> const& samples, std::size_t pool) {
        std::vector<std::size_t> drawn;
        for (auto const& sample : samples) {
            if (sample.pool == pool) drawn.push_back(sample.sentence);
        }
        return drawn;
    };
    EXPECT_EQ(of_two(training_set(alone, {200}, 0.1, 5), 0), of_two(training_set(second, {400}, 0.1, 5), 1));
}

TEST(TrainingSet, KeepsATenthOfTheSentencesWithoutEntities) {
    auto one = dataset("one", 2);
    one.not_scored = {"T1"};
    std::vector<Sentence> sentences(5'000, without_entity);
    sentences.resize(10'000, {"", "x", {{"x", "T1"}}});  // an entity that is not asked for is none
    sentences.resize(10'100, with_entity);
    std::vector<Pool> const pools{{&one, sentences}};
    std::set<std::size_t> empty;
    for (auto const& sample : training_set(pools, {20'000}, 0.1, 0)) {
        if (sample.sentence < 10'000) empty.insert(sample.sentence);
    }
    EXPECT_NEAR(static_cast<double>(empty.size()), 1000, 5 * 30);  // five standard deviations of a binomial
}

TEST(TrainingSet, OfNothingToDrawFromOrOutOfRangeIsAnError) {
    auto const one = dataset("one", 1);
    std::vector<Sentence> const sentences(10, without_entity);
    std::vector<Pool> const pools{{&one, sentences}};
    std::vector<Pool> const nothing{{&one, {}}};
    EXPECT_THAT([&] { training_set(nothing, {10}, 0.1, 0); },
                ThrowsMessage<InputError>(HasSubstr("data set one has no training sentence")));
    EXPECT_THROW(training_set(pools, {10}, 0, 0), InputError);
    EXPECT_THROW(training_set(pools, {-1}, 0.1, 0), InputError);
    EXPECT_THROW(training_set(pools, {10}, 1.5, 0), InputError);
    EXPECT_THROW(training_set(pools, {10}, std::nan(""), 0), InputError);
    EXPECT_THROW(training_set(pools, {0, 9, 8}, 0.1, 0), InputError);
    EXPECT_TRUE(training_set({}, {10}, 0.1, 0).empty());
    EXPECT_THROW(shares(10, std::vector<std::int64_t>{0, 0}), InputError);
}

TEST(Table11, HasTheTypeNumbersOfTheDescriptions) {
    Catalogue const catalogue{{source / "configs/data"}};
    for (auto const& row : printed().rows) {
        // FabNER's documentation lists twelve labels; it is alone in its domain, so that its share is the same.
        auto const types = row.id == "fabner" ? 12 : row.types;
        EXPECT_EQ(std::ssize(catalogue.at(row.id).type_names()), types) << row.id;
    }
}

TEST(Table11, CountsWhatIsThereAndWhatStandsInForTheRest) {
    TemporaryFolder const folder;
    auto const describe = [&](std::string const& id, std::string const& more) {
        write_atomically(folder / (id + ".yaml"), "id: " + id +
                                                      "\ndomain: d\ndescription: x\nsplits:\n  train: [{file: " + id +
                                                      ".tsv}]\n  dev: [{file: " + id + "-dev.tsv}]\n" + more);
    };
    describe("a", "types: [{label: X}]\n");
    describe("b", "types: [{label: X}]\n");
    describe("c", "types: [{label: X}]\n");
    describe("z", "substitutes: [b, c]\ntypes: [{label: X}, {label: Y}]\n");
    write_atomically(folder / "a.tsv", "x\tB-X\n\ny\tO\n");
    write_atomically(folder / "z.tsv", "x\tB-X\n");
    write_atomically(folder / "z-dev.tsv", "x\tB-X\n\ny\tO\n\nz\tO\n");
    PrintedTable const table{{{"d", 100}},
                             {{"a", "d", 1, 2, 2, 2, 33}, {"b", "d", 1, 2, 2, 2, 33}, {"c", "d", 1, 2, 2, 2, 33}}};
    auto const rows = present(Catalogue{{folder.path()}}, folder.path(), table);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].id, "a");
    EXPECT_THAT(rows[0].stands_for, testing::ElementsAre("a"));
    EXPECT_EQ(rows[0].sentences, (std::map<std::string, std::int64_t>{{"train", 2}}));
    EXPECT_EQ(rows[0].sampled, 33);
    EXPECT_EQ(rows[1].id, "z");
    EXPECT_THAT(rows[1].stands_for, testing::ElementsAre("b", "c"));
    EXPECT_EQ(rows[1].sentences, (std::map<std::string, std::int64_t>{{"train", 1}, {"dev", 3}}));
    EXPECT_EQ(rows[1].sampled, 66);
}

TEST(Table11, ThatIsBrokenSaysWhere) {
    TemporaryFolder const folder;
    auto const path = folder / "t.yaml";
    write_atomically(
        path, "quotas: {d: 1}\nrows:\n  - {id: a, domain: e, types: 1, train: 1, dev: 1, test: 1, sampled: 1}\n");
    EXPECT_THAT([&] { read_printed_table(path); }, ThrowsMessage<InputError>(HasSubstr("no quota for the domain 'e'")));
    write_atomically(path, "quotas: {d: 1}\nrows:\n  - {id: a, domain: d}\n");
    EXPECT_THROW(read_printed_table(path), InputError);
}

/// Over the corpora as upstream ships them.
TEST(Slices, ArePartsOfASplitAsHuggingFaceWritesThem) {
    using Part = std::pair<std::int64_t, std::int64_t>;
    EXPECT_EQ(parse_slice("all").of(7), (Part{0, 7}));
    EXPECT_EQ(parse_slice("all[:80%]").of(11644), (Part{0, 9315}));       // 9315.2
    EXPECT_EQ(parse_slice("all[90%:]").of(11644), (Part{10480, 11644}));  // 10479.6
    EXPECT_EQ(parse_slice("all[-3:]").of(10), (Part{7, 10}));
    EXPECT_EQ(parse_slice("all[-20%:-1]").of(10), (Part{8, 9}));
    EXPECT_EQ(parse_slice("all[5:100]").of(10), (Part{5, 10}));
    EXPECT_EQ(parse_slice("all[:]").text(), "");
    for (auto const* wrong :
         {"all[", "[1:2]", "all[1]", "all[a:]", "all[:101%]", "all[1.5:]", "all[:2]x", "all[1:2:3]", "all[8:3]", "all[:0%]",
          "all[20%:20%]", "all[-1:-2]"})
        EXPECT_THROW(parse_slice(wrong), InputError) << wrong;
}

TEST(Table11, AgreesWithTheCorporaThatAreThere) {
    auto const* const root = full_corpora();
    if (!root) GTEST_SKIP() << "SAMNER_DATA does not name the full corpora";
    auto const table = printed();
    auto const rows = present(Catalogue{{source / "configs/data"}}, root, table);
    std::set<std::string> covered;
    for (auto const& row : rows) covered.insert(row.stands_for.begin(), row.stands_for.end());
    EXPECT_EQ(covered.size(), 16U);  // all but tweetner7, for which nothing stands in
    for (auto const& id : {"anatem", "bc2gm", "bc5cdr", "ncbi", "wnut2017", "harveyner"}) {
        auto const ours = std::ranges::find(rows, id, &PresentCounts::id);
        auto const theirs = std::ranges::find(table.rows, id, &PrintedCounts::id);
        ASSERT_NE(ours, rows.end()) << id;
        EXPECT_EQ(ours->types, theirs->types) << id;
        EXPECT_EQ(ours->sentences, (std::map<std::string, std::int64_t>{
                                       {"train", theirs->train}, {"dev", theirs->dev}, {"test", theirs->test}}))
            << id;
    }
    // One type stands for one type: the biomedical shares are the paper's.
    for (auto const& row : rows) {
        if (row.domain != "biomedical") continue;
        auto const theirs = std::ranges::find(table.rows, row.stands_for.front(), &PrintedCounts::id);
        EXPECT_EQ(row.sampled, theirs->sampled) << row.id;
    }
}

}  // namespace
}  // namespace samner::corpus
