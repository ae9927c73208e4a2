#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "corpus/check_sentence.h"
#include "corpus/dataset.h"
#include "full_corpora.h"
#include "log_capture.h"
#include "temporary_folder.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path const source = SAMNER_SOURCE_DIR;
fs::path const cuts = fs::path{SAMNER_TEST_DATA} / "corpora";

TEST(Conll, ReadsTagsAsConllevalDoes) {
    auto const sentences = read_conll(
        "-DOCSTART- O\nBig\tB-ORG\nCo\tI-ORG\nin\tO\nRome\tI-LOC\nOslo\tB-LOC\nx\tI-PER\n \t\nalone\tO\n", {}, "f");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_EQ(sentences[0].text, "Big Co in Rome Oslo x");
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("ORG:Big Co", "LOC:Rome", "LOC:Oslo", "PER:x"));
    EXPECT_TRUE(sentences[1].entities.empty());
    auto const iobes = read_conll("a\tS-X\nb\tB-X\nc\tE-X\nd\tI-X\n", {}, "f");
    EXPECT_THAT(entities(iobes[0]), testing::ElementsAre("X:a", "X:b c", "X:d"));
}

TEST(Conll, TakesOtherColumnsPrefixesAndComments) {
    ConllLayout layout;
    layout.separator = Separator::space;
    layout.token = 1;
    layout.tag = 2;
    layout.token_prefix = "de:";
    layout.comment_prefix = "# ";
    auto const sentences = read_conll("# text\r\n1 de:de:3 B-LOC _\r\n2 de:x O _\r\n", layout, "f");
    EXPECT_EQ(sentences[0].text, "de:3 x");
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("LOC:de:3"));
}

TEST(Conll, TakesATokenThatBeginsLikeACommentForATokenByItsColumns) {
    std::string const tweets =
        "# id = 1\n#nlproc\tB-MISC\nin\tO\n#\tO\n#Rome\tB-LOC\n\n# a comment of words\nat\tO\n#2\tO\n";
    LogCapture const log;
    auto const sentences = read_conll(tweets, {.comment_prefix = "#"}, "f");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_EQ(sentences[0].text, "#nlproc in # #Rome");
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("MISC:#nlproc", "LOC:#Rome"));
    EXPECT_EQ(sentences[1].text, "at #2");
    auto spaced = tweets;
    std::ranges::replace(spaced, '\t', ' ');
    auto const again = read_conll(spaced, {.separator = Separator::space, .comment_prefix = "#"}, "f");
    EXPECT_EQ(again.at(0).text, "#nlproc in # #Rome");
    EXPECT_EQ(again.at(1).text, "at #2");
    EXPECT_EQ(log.text(), "");
}

TEST(Conll, RefusesARowWithMoreOrFewerColumnsThanTheFirst) {
    EXPECT_THAT([] { read_conll("I\tO\nlove\tO\nNew\tYork\tB-LOC\n", {}, "f"); },
                testing::ThrowsMessage<InputError>(
                    testing::AllOf(testing::HasSubstr("3 columns where the rows before have 2"), testing::HasSubstr("f:3"))));
    EXPECT_EQ(read_conll("I O\nlove  O\nNew x B-LOC\n", {.separator = Separator::spaces}, "f").at(0).text, "I love New")
        << "columns of any width may end ragged";
}

TEST(Conll, ReadsLinesThatEndInCarriageReturnsAlone) {
    auto const sentences = read_conll("Rome\tB-LOC\ris\tO\r\rOslo\tB-LOC\r", {}, "f");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_EQ(sentences[0].text, "Rome is");
    EXPECT_THAT(entities(sentences[1]), testing::ElementsAre("LOC:Oslo"));
}

TEST(Conll, TakesATokenThatBeginsLikeACommentAlsoWhereNoOtherRowIs) {
    auto const sentences = read_conll("# id = 1\n#a\tB-X\n\n#b\tO\n", {.comment_prefix = "#"}, "f");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("X:#a"));
}

TEST(Conll, CountsCommentsThatCouldBeTokens) {
    LogCapture const log;
    // A header has the columns but no tag; the second comment ends with a tag but has other columns than the file.
    auto const sentences = read_conll("#token\ttag\na\tB-X\n# b\tc\tO\n", {.comment_prefix = "#"}, "x.tsv");
    EXPECT_EQ(sentences.at(0).text, "a");
    EXPECT_THAT(log.text(),
                testing::AllOf(HasSubstr("2 lines that begin with '#'"), HasSubstr("x.tsv:1"), HasSubstr("#token")));
}

TEST(Conll, NamesFileLineAndContentOfABrokenRow) {
    EXPECT_THAT([] { read_conll("a\tO\nb\n", {}, "x.tsv"); },
                ThrowsMessage<InputError>(HasSubstr("too few columns in 'b' (x.tsv:2)")));
    EXPECT_THAT([] { read_conll("a\tB_X\n", {}, "x.tsv"); }, ThrowsMessage<InputError>(HasSubstr("tag 'B_X'")));
    ConllLayout layout;
    layout.token_prefix = "de:";
    EXPECT_THROW(read_conll("a\tO\n", layout, "x.tsv"), InputError);
}

TEST(Conll, GivesOffsetsInCodePointsAndTokens) {
    auto const sentences = read_conll("\xEF\xBB\xBFÜber\tO\n\tO\nΑθήνα\tB-LOC\n😀 \tI-LOC\n", {}, "f");
    auto const& sentence = sentences.at(0);
    EXPECT_EQ(sentence.text, "Über Αθήνα 😀 ");
    EXPECT_THAT(sentence.tokens(), testing::ElementsAre("Über", "Αθήνα", "😀 "));
    EXPECT_EQ(sentence.entities.at(0).span, (Span{5, 13}));
}

TEST(Conll, DividesAtTheLastSpaceAndTakesEmptyTagsWhenAsked) {
    ConllLayout layout{.separator = Separator::last_space, .tags = {.names = {{"", "O"}}}};
    auto const sentences = read_conll("a b B-X\nc \n O\n", layout, "f");
    EXPECT_EQ(sentences.at(0).text, "a b c");
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("X:a b"));
    layout.tags = {};
    EXPECT_THROW(read_conll("c \n", layout, "f"), InputError);
}

TEST(Conll, LeavesOutAndCountsSentencesWithBrokenLinesWhenAsked) {
    Skipped skipped;
    auto const sentences = read_conll("a\tO\nb\n\nc\tO\n\nd\xFF\tO\n", {}, "x.tsv", &skipped);
    ASSERT_EQ(sentences.size(), 1U);
    EXPECT_EQ(sentences[0].text, "c");
    EXPECT_EQ(skipped.sentences, 2);
    EXPECT_EQ(skipped.first, "too few columns in 'b' (x.tsv:2)");
    EXPECT_THAT([] { read_conll("d\xFF\tO\n", {}, "x.tsv"); },
                ThrowsMessage<InputError>(HasSubstr("not in the file's encoding")));
}

TEST(Datasets, WithEntitiesThatAreNotInTheirSentencesOrWithoutSentencesAreWarnedOf) {
    TemporaryFolder const folder;
    write_atomically(folder / "mine.yaml",
                     "id: mine\ndomain: d\ndescription: s\nreader: {format: jsonl}\n"
                     "splits: {test: [{file: test.jsonl}], dev: [{file: dev.jsonl}]}\ntypes: [{label: X}]\n");
    write_atomically(folder / "dev.jsonl", "\n");
    write_atomically(folder / "test.jsonl", R"({"text": "Bohr met Ada", "entities": [{"text": "Ada", "type": "X"}]}
{"text": "in Rome", "entities": [{"text": "Oslo", "type": "X"}, {"text": "", "type": "X"}, {"text": "Rome", "type": "X"}]}
)");
    Catalogue const catalogue{{folder.path()}};
    LogCapture const log;
    EXPECT_EQ(read(catalogue.at("mine"), "test", folder.path()).size(), 2U);
    EXPECT_THAT(log.text(), testing::AllOf(HasSubstr("2 entities of mine/test"), HasSubstr("'Oslo'"),
                                           HasSubstr("mine/test/1"), HasSubstr("'in Rome'")));
    EXPECT_THAT(log.text(), testing::Not(HasSubstr("no sentences")));
    EXPECT_TRUE(read(catalogue.at("mine"), "dev", folder.path()).empty());
    EXPECT_THAT(log.text(), testing::AllOf(HasSubstr("dev.jsonl"), HasSubstr("has no sentences")));
}

/// What their readings were before their comments were told from tokens by columns must not be taken for theirs.
TEST(Datasets, WithCommentsHaveAnotherHashThanBeforeTheirTokensWereRead) {
    TemporaryFolder const folder;
    write_atomically(folder / "test.tsv", "a\tB-X\n");
    auto const check = [&](std::string const& reader, bool same) {
        write_atomically(folder / "d.yaml", "id: d\ndomain: d\ndescription: s\nreader: " + reader +
                                                "\nsplits: {test: [{file: test.tsv}]}\ntypes: [{label: X}]\n");
        Catalogue const catalogue{{folder.path()}};
        auto const& dataset = catalogue.at("d");
        Json const before{{"description", "s"},
                          {"reader", dataset.reader},
                          {"not_scored", Json::array()},
                          {"types", Json::array({Json::array({"X", "X", ""})})},
                          {"files", Json::array({Json::array({sha256_file(folder / "test.tsv"), 0})})}};
        EXPECT_EQ(split_hash(dataset, "test", folder.path()) == sha256(canonical(before)), same) << reader;
    };
    check("{format: conll}", true);
    check("{format: conll, comment_prefix: '#'}", false);
}

TEST(Inline, ReadsASentenceALineAndNamesABrokenOne) {
    auto const sentences = read_inline("who:O plays:O r:B-RATING rated:I-RATING <=> <NULL>\nx:y:O <=> <NULL>\n", "f");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_EQ(sentences[0].text, "who plays r rated");
    EXPECT_THAT(entities(sentences[0]), testing::ElementsAre("RATING:r rated"));
    EXPECT_EQ(sentences[1].text, "x:y");
    EXPECT_THAT([] { read_inline("a:O b <=> <NULL>\n", "f"); },
                ThrowsMessage<InputError>(HasSubstr("'b' is not token:TAG in 'a:O b <=> <NULL>' (f:1)")));
    EXPECT_THROW(read_inline("a:O\n", "f"), InputError);
    Skipped skipped;
    EXPECT_EQ(read_inline("a:O\n\nb:O <=> <NULL>\n", "f", &skipped).size(), 1U);
    EXPECT_EQ(skipped.sentences, 1);
}

TEST(Jsonl, ChecksOffsetsAndSkipsBrokenLinesWhenAsked) {
    std::string const good =
        R"({"text": "Zoë in Łódź", "entities": [{"text": "Łódź", "type": "L", "start": 7, "end": 11}]})";
    EXPECT_EQ(read_json_records(good, {}, "f").at(0).entities.at(0).span, (Span{7, 11}));
    std::string const shifted =
        R"({"text": "Zoë in Łódź", "entities": [{"text": "Łódź", "type": "L", "start": 8, "end": 12}]})";
    EXPECT_THAT([&] { read_json_records(good + "\n" + shifted, {}, "f"); },
                ThrowsMessage<InputError>(
                    HasSubstr("offsets 8 to 12 do not cut 'Łódź' out of the text (f:2) in '{\"text\": \"Zo")));
    EXPECT_THROW(read_json_records(R"({"text": "a", "entities": {}})", {}, "f"), InputError);
    Skipped skipped;
    EXPECT_EQ(read_json_records(shifted + "\n{\n\n" + good, {}, "f", &skipped).size(), 1U);
    EXPECT_EQ(skipped.sentences, 2);
}

TEST(Cuts, AreTheOnesThatTheirListNames) {
    std::size_t files = 0;
    for_each_line(read_text(cuts / "CUTS.tsv"), [&](std::string_view line, std::size_t number) {
        if (number == 1) return;
        auto const first = line.find('\t');
        EXPECT_EQ(sha256_file(cuts / line.substr(0, first)), line.substr(line.rfind('\t') + 1)) << line;
        ++files;
    });
    EXPECT_EQ(files, 10U);
}

TEST(Catalogue, DescribesTheCommittedCutsCompletely) {
    Catalogue const catalogue{{source / "configs/data"}};
    std::map<std::string, std::pair<std::string, std::size_t>> const expected{
        {"bc5cdr", {"train", 900}},          {"ncbi", {"train", 900}},  {"broadtweet", {"train", 1000}},
        {"wnut2017", {"train", 900}},        {"wlpc", {"train", 1200}}, {"crossner-science", {"test", 200}},
        {"crossner-politics", {"test", 200}}};
    for (auto const& [id, split] : expected) {
        auto const sentences = read(catalogue.at(id), split.first, cuts);
        EXPECT_EQ(sentences.size(), split.second) << id;
        for (auto const& sentence : sentences) check_offsets(sentence);
    }
    EXPECT_EQ(read(catalogue.at("crossner-science"), "test", cuts)[3].id, "crossner-science/test/3");
}

TEST(Catalogue, SaysOfEveryCorpusWhereItComesFromAndOfEveryFileItsHash) {
    Catalogue const catalogue{{source / "configs/data"}};
    for (auto const& [id, dataset] : catalogue.all()) {
        EXPECT_FALSE(dataset.licence.empty()) << id;
        EXPECT_THAT(dataset.source, testing::StartsWith("https://")) << id;
        for (auto const& replaced : dataset.substitutes) EXPECT_TRUE(catalogue.at(replaced).user_supplied) << replaced;
        if (dataset.user_supplied) continue;
        for (auto const& [split, files] : dataset.splits) {
            for (auto const& file : files) {
                EXPECT_EQ(file.sha256.size(), 64U) << file.path;
                EXPECT_THAT(file.from, testing::StartsWith("https://")) << file.path;
            }
        }
    }
    EXPECT_EQ(catalogue.at("crossner-ai").splits.at("dev").at(0).from,
              "https://raw.githubusercontent.com/zliucr/CrossNER/2e7ba2a7798c/ner_data/ai/dev.txt");
}

/// Over the corpora as upstream ships them.
TEST(Catalogue, GivesTheCountsOfTheManifest) {
    auto const* const root = full_corpora();
    if (!root) GTEST_SKIP() << "SAMNER_DATA does not name the full corpora";
    std::map<std::string, std::array<std::int64_t, 2>> expected;
    std::map<std::string, std::map<std::string, std::int64_t>> types;
    for_each_line(read_text(fs::path{root} / "MANIFEST.tsv"), [&](std::string_view line, std::size_t number) {
        if (number == 1) return;
        std::vector<std::string> fields;
        std::stringstream stream{std::string{line}};
        for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
        auto const key = fields.at(0) + "/" + fields.at(2);
        expected[key][0] += std::stoll(fields.at(5));
        expected[key][1] += std::stoll(fields.at(6));
        std::stringstream list{fields.at(7)};
        for (std::string entry; std::getline(list, entry, ',');) {
            auto const colon = entry.rfind(':');
            types[key][entry.substr(0, colon)] += std::stoll(entry.substr(colon + 1));
        }
    });
    Catalogue const catalogue{{source / "configs/data"}};
    // MANIFEST.tsv counts files as they are, but JNLPBA's entities as in the repaired file.
    auto const as_shipped = [&](std::string const& id, std::string const& split) {
        auto dataset = catalogue.at(id);
        dataset.splits.at(split).at(0).repair = Repair::none;
        auto const sentences = read(dataset, split, root);
        auto const with_entities =
            std::ranges::count_if(sentences, [](Sentence const& sentence) { return !sentence.entities.empty(); });
        auto& [expected_sentences, expected_with_entities] = expected.at(id + "/" + split);
        EXPECT_EQ(std::ssize(sentences), expected_sentences);
        EXPECT_EQ(with_entities, expected_with_entities);
    };
    as_shipped("jnlpba", "train");
    expected["jnlpba/train"] = {16'807, 15'150};
    as_shipped("gmb-news", "all");
    expected["gmb-news/all"] = {47'958, 40'916};
    --types["gmb-news/all"]["gpe"];  // Indian, in the sentence that the file's end cuts off
    std::set<std::string> unread;
    for (auto const& [key, counts] : expected) unread.insert(key);
    for (auto const& [id, dataset] : catalogue.all()) {
        if (dataset.user_supplied) continue;
        for (auto const& [split, files] : dataset.splits) {
            auto const key = id + "/" + split;
            ASSERT_EQ(unread.erase(key), 1U) << key;
            auto const sentences = read(dataset, split, root);
            std::map<std::string, std::int64_t> counted;
            std::int64_t with_entities = 0;
            for (auto const& sentence : sentences) {
                with_entities += !sentence.entities.empty();
                for (auto const& entity : sentence.entities) ++counted[entity.type];
                check_offsets(sentence);
            }
            EXPECT_EQ(std::ssize(sentences), expected[key][0]) << key;
            EXPECT_EQ(with_entities, expected[key][1]) << key;
            EXPECT_EQ(counted, types[key]) << key;
            for (auto const& file : files) EXPECT_EQ(sha256_file(fs::path{root} / file.path), file.sha256) << file.path;
        }
    }
    EXPECT_THAT(unread, testing::IsEmpty());
}

class UserCorpus : public testing::Test {
protected:
    void describe(std::string const& text) { write_atomically(folder / "mine.yaml", text); }
    TemporaryFolder folder;
};

TEST_F(UserCorpus, SaysWhereItsFilesComeFromOnlyWithTheirHash) {
    auto const with = [&](std::string const& file, std::string const& more = "") {
        describe("id: mine\ndomain: d\ndescription: s\n" + more + "splits: {test: [{" + file +
                 "}]}\ntypes: [{label: PER}]\n");
        return Catalogue{{folder.path()}}.at("mine").splits.at("test").at(0);
    };
    EXPECT_EQ(with("file: t, sha256: 1a, from: a/t", "upstream: 'http://x/'\n").from, "http://x/a/t");
    EXPECT_EQ(with("file: t, sha256: 1a, from: 'http://y/t'", "upstream: 'http://x/'\n").from, "http://y/t");
    EXPECT_EQ(with("file: t, sha256: 1a, from: 'http://y/t.zip', member: a*").member, "a*");
    EXPECT_THROW(with("file: t, from: 'http://y/t'"), InputError);
    EXPECT_THROW(with("file: t, sha256: 1a, from: t"), InputError);
    EXPECT_THROW(with("file: t, sha256: 1a, member: t"), InputError);
}

TEST_F(UserCorpus, WhoseFilesLieOutsideTheDataRootIsRefused) {
    for (auto const* path : {"../t", "a/../../t", "/t", "a/..", ""}) {
        for (std::string const& how : {fmt::format("file: '{}', sha256: 1a, from: 'http://y/t'", path),
                                      fmt::format("folder: '{}', suffix: .txt", path)}) {
            describe("id: mine\ndomain: d\ndescription: s\nsplits: {test: [{" + how + "}]}\ntypes: [{label: PER}]\n");
            EXPECT_THROW(Catalogue{{folder.path()}}, InputError) << how;
        }
    }
    describe("id: mine\ndomain: d\ndescription: s\nsplits: {test: [{file: a/..b/c..}]}\ntypes: [{label: PER}]\n");
    EXPECT_EQ(Catalogue{{folder.path()}}.at("mine").splits.at("test").at(0).path, "a/..b/c..");
}

TEST_F(UserCorpus, TellsItsScoredTypesWithDefinitionsEachOnce) {
    describe(
        "id: mine\ndomain: d\ndescription: s\nsplits: {test: [{file: t}]}\ntypes:\n"
        "  - {label: B-PER, name: person, definition: 'A human being.'}\n"
        "  - {label: P, name: person, definition: 'A human being.'}\n"
        "  - {label: RIV, name: river}\n  - {label: misc, definition: 'All else.'}\nnot_scored: [misc]\n");
    EXPECT_THAT(Catalogue{{folder.path()}}.at("mine").type_texts(),
                testing::ElementsAre("person: A human being.", "river"));
}

TEST_F(UserCorpus, NeedsTenLinesOfYaml) {
    describe(
        "id: mine\ndomain: d\ndescription: My sentences.\nreader: {format: jsonl}\nsplits:\n  test: [{file: "
        "t.jsonl}]\ntypes:\n  - {label: PER, name: person}\n  - {label: misc}\nnot_scored: [misc]\n");
    write_atomically(
        folder / "t.jsonl",
        R"({"id": 1, "text": "Ada met Bob", "entities": [{"text": "Ada", "type": "PER"}, {"text": "Bob", "type": "misc"}]})");
    Catalogue const catalogue{{folder.path()}};
    auto const& mine = catalogue.at("mine");
    auto const sentences = read(mine, "test", folder.path());
    ASSERT_EQ(sentences.size(), 1U);
    EXPECT_EQ(sentences[0].entities[0].text, "Ada");
    EXPECT_THAT(mine.type_names(), testing::ElementsAre("person"));
    EXPECT_EQ(mine.type("misc"), nullptr);
    auto const before = split_hash(mine, "test", folder.path());
    write_atomically(folder / "t.jsonl", R"({"id": 1, "text": "Ada", "entities": []})");
    EXPECT_NE(split_hash(mine, "test", folder.path()), before);
}

TEST_F(UserCorpus, MayLeaveOutBrokenSentences) {
    describe(
        "id: mine\ndomain: d\ndescription: x\nreader: {broken: skip}\nsplits:\n  test: [{file: t.tsv}]\ntypes:\n  - "
        "{label: PER}\n");
    write_atomically(folder / "t.tsv", "Ada\tB-PER\n\nbroken\n");
    EXPECT_EQ(read(Catalogue{{folder.path()}}.at("mine"), "test", folder.path()).size(), 1U);
}

TEST_F(UserCorpus, IsAddedToTheShippedOnesAndCountsWhereBothHaveTheId) {
    TemporaryFolder const shipped;
    auto const text = [](std::string const& id, std::string const& domain) {
        return fmt::format(
            "id: {}\ndomain: {}\ndescription: x\nsplits:\n  test: [{{file: t.tsv}}]\ntypes: [{{label: PER}}]\n", id,
            domain);
    };
    write_atomically(shipped / "mine.yaml", text("mine", "theirs"));
    write_atomically(shipped / "other.yaml", text("other", "theirs"));
    write_atomically(shipped / "broken.yaml", "id: broken\n");
    describe(text("mine", "own"));
    Catalogue const catalogue{{folder.path()}, shipped.path()};
    EXPECT_EQ(catalogue.at("mine").domain, "own");
    EXPECT_EQ(catalogue.at("other").domain, "theirs");
    EXPECT_THAT(catalogue.replaced(), testing::ElementsAre("mine"));
    {
        LogCapture const log;
        catalogue.warn_of_replaced();
        EXPECT_THAT(log.text(), HasSubstr("your own descriptions count for mine,"));
    }
    // A shipped one is read when it is asked for, each time until it can be.
    for (int i = 0; i < 2; ++i)
        EXPECT_THAT([&] { catalogue.at("broken"); }, ThrowsMessage<InputError>(HasSubstr("domain is missing")));
    EXPECT_THAT([&] { catalogue.all(); }, ThrowsMessage<InputError>(HasSubstr("domain is missing")));
    write_atomically(shipped / "broken.yaml", text("broken", "theirs"));
    EXPECT_EQ(catalogue.all().size(), 3U);
    EXPECT_TRUE((Catalogue{{shipped.path()}, shipped.path()}.replaced().empty()));
    EXPECT_EQ((Catalogue{{}, shipped.path()}.all().size()), 3U);
}

TEST_F(UserCorpus, ThatIsBrokenSaysWhereAndWhatToDo) {
    std::string const good =
        "id: mine\ndomain: d\ndescription: x\nsplits:\n  test: [{file: t.tsv}]\ntypes:\n  - {label: PER}\n";
    describe(good + "readr: {}\n");
    EXPECT_THAT([&] { Catalogue{{folder.path()}}; }, ThrowsMessage<InputError>(HasSubstr("unknown key readr")));
    describe(good + "reader: {format: conlll}\n");
    EXPECT_THAT([&] { Catalogue{{folder.path()}}; }, ThrowsMessage<InputError>(HasSubstr("reader.format is 'conlll'")));
    describe(good + "not_scored: [misc]\n");
    EXPECT_THAT([&] { Catalogue{{folder.path()}}; }, ThrowsMessage<InputError>(HasSubstr("not_scored names 'misc'")));
    describe(good);
    Catalogue const catalogue{{folder.path()}};
    EXPECT_THAT([&] { read(catalogue.at("mine"), "test", folder.path()); },
                ThrowsMessage<InputError>(HasSubstr("t.tsv' is missing")));
    EXPECT_THAT([&] { read(catalogue.at("mine"), "dev", folder.path()); },
                ThrowsMessage<InputError>(HasSubstr("has no split 'dev'")));
    write_atomically(folder / "t.tsv", "Ada\tB-ORG\n");
    EXPECT_THAT([&] { read(catalogue.at("mine"), "test", folder.path()); },
                ThrowsMessage<InputError>(HasSubstr("does not describe")));
    try {
        catalogue.at("mien");
        FAIL();
    } catch (InputError const& error) {
        EXPECT_EQ(error.remedy(), "did you mean 'mine'?");
    }
    EXPECT_THROW(Catalogue{{folder / "absent"}}, InputError);
}

}  // namespace
}  // namespace samner::corpus
