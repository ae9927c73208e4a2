#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "corpus/check_sentence.h"
#include "corpus/dataset.h"
#include "temporary_folder.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> texts(std::vector<Sentence> const& sentences) {
    std::vector<std::string> result;
    for (auto const& sentence : sentences) result.push_back(sentence.text);
    return result;
}

TEST(Csv, TakesQuotedFieldsAndEndsSentencesAtEmptyTokensLinesAndDocstarts) {
    auto const sentences =
        read_csv("-DOCSTART-,O\n,O\nAcme,I-ORG\n\",\",I-ORG\n\"\"\"\",O\n,O\n\nIts,O\nact,P\r\nx,P\n",
                 {.tags = {.names = {{"P", "I-P"}}}}, "f");
    EXPECT_THAT(texts(sentences), ElementsAre("Acme , \"", "Its act x"));
    EXPECT_THAT(entities(sentences[0]), ElementsAre("ORG:Acme ,"));
    EXPECT_THAT(entities(sentences[1]), ElementsAre("P:act x"));
}

TEST(Csv, NamesColumnsByTheHeaderAndEndsSentencesWhereAskedTo) {
    CsvLayout const marked{.header = true, .token = "Word", .tag = "Tag", .sentence = "Sentence #"};
    std::string const text =
        "Sentence #,Word,POS,Tag\r\nS 1,In,x,O\r\n,Rome,x,B-geo\r\nS 2,Old,x,B-geo\r\n,York,x,I-geo\r\n";
    EXPECT_THAT(texts(read_csv(text, marked, "f")), ElementsAre("In Rome", "Old York"));
    EXPECT_THAT(texts(read_csv(text, marked, "f", nullptr, Repair::drop_last_sentence)), ElementsAre("In Rome"));

    CsvLayout const numbered{.token = "1",
                             .tag = "0",
                             .document = "2",
                             .sentence_ends = {"."},
                             .tags = {.names = {{"0", "O"}, {"5", "B-ORG"}, {"6", "I-ORG"}}}};
    auto const sentences = read_csv("5,Inc,7\n6,.,7\n6,Ltd,7\n0,.,7\n0,It,7\n0,It,8\n", numbered, "f");
    EXPECT_THAT(texts(sentences), ElementsAre("Inc . Ltd .", "It", "It"));
    EXPECT_THAT(entities(sentences[0]), ElementsAre("ORG:Inc . Ltd"));
}

TEST(Csv, NamesFileLineAndContentOfABrokenRow) {
    auto const reads = [](std::string const& text, CsvLayout const& layout = {}) {
        return [text, layout] { read_csv(text, layout, "x.csv"); };
    };
    EXPECT_THAT(reads("a,O\n\"b,O\n"),
                ThrowsMessage<InputError>(HasSubstr("a quote that is not closed in '\"b,O' (x.csv:2)")));
    EXPECT_THAT(reads("a\n"), ThrowsMessage<InputError>(HasSubstr("too few columns in 'a' (x.csv:1)")));
    EXPECT_THAT(reads("a,B_X\n"), ThrowsMessage<InputError>(HasSubstr("tag 'B_X' in 'a,B_X' (x.csv:1)")));
    EXPECT_THAT(reads("\xC3,O\n"), ThrowsMessage<InputError>(HasSubstr("not in the file's encoding")));
    EXPECT_THAT(reads("Word,Tag\n", {.header = true, .token = "word", .tag = "Tag"}),
                ThrowsMessage<InputError>(HasSubstr("no column 'word' in 'Word,Tag' (x.csv:1)")));
    EXPECT_THAT(reads("a,O\n", {.token = "Word"}), ThrowsMessage<InputError>(HasSubstr("'Word' is no number")));
    Skipped skipped;
    EXPECT_THAT(texts(read_csv("a,O\nb\n,O\nc,O\n", {}, "x.csv", &skipped)), ElementsAre("c"));
    EXPECT_EQ(skipped.sentences, 1);
}

TEST(Encoding, MapsWindows1252AndLeavesUndefinedBytesToTheReaders) {
    EXPECT_EQ(from_windows_1252("a\x80\x92\x9F\xA0\xE9\xFF"), "a€’Ÿ\u00A0éÿ");
    EXPECT_THROW(read_csv(from_windows_1252("a\x81,O\n"), {}, "f"), InputError);
}

TEST(Conll, ReadsTheBracketsAndColumnsOfConll2012) {
    ConllLayout const layout{
        .separator = Separator::spaces, .token = 1, .tag = 2, .comment_prefix = "#", .tags = {.brackets = true}};
    auto const sentences = read_conll(
        "#begin document (x); part 000\n0   New   (GPE*  -\n0\tYork  *)    -\n0   's    *     -\n0   Ed    (PERSON)  "
        "-\n\n"
        "0   the   (ORG*  -\n\n0   rest  *  -\n#end document\n",
        layout, "f");
    EXPECT_THAT(texts(sentences), ElementsAre("New York 's Ed", "the", "rest"));
    EXPECT_THAT(entities(sentences[0]), ElementsAre("GPE:New York", "PERSON:Ed"));
    EXPECT_TRUE(sentences[2].entities.empty());
    for (auto const* tag : {"*)", "(X", "X)", "()", "(*", "((X)", "B-X"}) {
        EXPECT_THROW(read_conll(std::string{"0 a "} + tag + "\n", layout, "f"), InputError) << tag;
    }
    EXPECT_THROW(read_conll("0 a (X*\n0 b (Y)\n", layout, "f"), InputError);
}

TEST(Conll, CutsLabelsWhereAskedTo) {
    auto const sentences = read_conll("a\tB-type-suv\nb\tE-type-van\n", {.tags = {.label_until = "-"}}, "f");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("type:a b"));
}

/// Makes a file as JNLPBA's converter did, from documents of sentences, and expects that the repair gives them back.
TEST(Repair, GivesBackTheSentencesWhoseBreaksAreShifted) {
    std::vector<std::vector<std::string>> const documents{{"a1 a2 .", "b1 b2 b3 b4 ."},
                                                          {"c1 .", "d1 d2 d3 ?", "e1 e2 ."},
                                                          {"f1 f2 f3 f4 f5 .", "g1 g2 g3 !", "h1 h2 h3 ."}};
    std::vector<std::string> tokens;
    std::vector<std::size_t> lengths;
    std::vector<std::string> expected;
    for (auto const& document : documents) {
        lengths.push_back(1);  // the -DOCSTART- that is gone
        for (auto const& sentence : document) {
            expected.push_back(sentence);
            auto const before = tokens.size();
            for (std::size_t at = 0; at < sentence.size();) {
                auto const end = std::min(sentence.find(' ', at), sentence.size());
                tokens.push_back(sentence.substr(at, end - at));
                at = end + 1;
            }
            lengths.push_back(tokens.size() - before);
        }
    }
    std::string file;
    for (std::size_t at = 0; auto length : lengths) {
        for (; length > 0 && at < tokens.size(); --length) file += tokens[at++] + "\tO\n";
        file += "\n";
    }
    EXPECT_NE(texts(read_conll(file, {}, "f")), expected);
    EXPECT_EQ(texts(read_conll(file, {}, "f", nullptr, Repair::shifted_breaks)), expected);
    EXPECT_TRUE(read_conll("", {}, "f", nullptr, Repair::shifted_breaks).empty());
    EXPECT_THAT([] { read_conll("a\tO\nb\n", {}, "f", nullptr, Repair::shifted_breaks); },
                ThrowsMessage<InputError>(HasSubstr("in 'b' (f:2)")));
}

TEST(Json, FollowsPathsIntoDialogues) {
    JsonLayout const layout{
        .records = "turns", .text = "utterance", .entities = "frames.*.slots", .type = "slot", .end = "exclusive_end"};
    auto const sentences = read_json_records(
        R"([{"turns": [{"utterance": "To Łódź at 5", "frames": [{"slots": [{"slot": "time", "start": 11, "exclusive_end": 12}]},
            {"slots": [{"slot": "to", "start": 3, "exclusive_end": 7}], "state": {}}]},
            {"utterance": "OK", "frames": []}]}, {"turns": []}])",
        layout, "f");
    EXPECT_THAT(texts(sentences), ElementsAre("To Łódź at 5", "OK"));
    EXPECT_THAT(entities(sentences[0]), ElementsAre("to:Łódź", "time:5"));
    EXPECT_THAT([&] { read_json_records(R"([{"turns": []}, {"turn": []}])", layout, "f.json"); },
                ThrowsMessage<InputError>(HasSubstr("'turns' is missing (f.json, element 1) in '{\"turn\":[]}'")));
}

TEST(Json, ReadsArraysWithPositionsInLists) {
    JsonLayout const layout{.text = "sentence", .entity_text = "name", .start = "pos.0", .end = "pos.1"};
    auto const sentences = read_json_records(
        R"( [{"sentence": "Ada met Bob", "entities": [{"name": "Bob", "type": "p", "pos": [8, 11]}, {"name": "Ada", "type": "p", "pos": [0, 3]}]},
            {"sentence": "x", "entities": [{"name": "x", "type": "p", "pos": []}]}])",
        layout, "f");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("p:Ada", "p:Bob"));
    EXPECT_FALSE(sentences.at(1).entities.at(0).span);
}

TEST(Json, ReadsTokensWithTagsByNameOrNumber) {
    JsonLayout const layout{.tokens = "tokens", .tags = {.names = {{"0", "O"}, {"1", "B-PER"}}}};
    auto const sentences = read_json_records(
        "{\"tokens\": [\"Ada\", \"met\"], \"tags\": [1, 0]}\n{\"tokens\": [\"Bob\"], \"tags\": [\"B-PER\"]}\n", layout,
        "f");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("PER:Ada"));
    EXPECT_THAT(entities(sentences.at(1)), ElementsAre("PER:Bob"));
    for (auto const* broken : {R"({"tokens": ["a"], "tags": []})", R"({"tokens": ["a"], "tags": [2]})",
                               R"({"tokens": [1], "tags": [0]})", R"({"tags": [0]})", R"([1])", R"("a")"}) {
        EXPECT_THAT([&] { read_json_records(broken, layout, "f"); }, ThrowsMessage<InputError>(HasSubstr("(f")))
            << broken;
    }
}

TEST(Json, RefusesOffsetsThatAreNotInTheText) {
    for (auto const* offsets : {"\"start\": 0, \"end\": 9", "\"start\": 2, \"end\": 1", "\"start\": -1, \"end\": 1",
                                "\"start\": 0", "\"start\": 0.5, \"end\": 1", "\"start\": 0, \"end\": 1e300",
                                "\"start\": 0, \"end\": 18446744073709551615"}) {
        auto const line = std::string{R"({"text": "abc", "entities": [{"type": "X", )"} + offsets + "}]}";
        EXPECT_THROW(read_json_records(line, {}, "f"), InputError) << offsets;
    }
}

TEST(Json, TakesMentionsInAnotherNormalFormAsTheTextHasThem) {
    auto const sentences = read_json_records(
        "{\"text\": \"Beyonce\u0301 sang\", \"entities\": [{\"text\": \"Beyonc\u00e9\", \"type\": \"PER\", \"start\": "
        "0, "
        "\"end\": 8}]}",
        {}, "f");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("PER:Beyonce\u0301"));
    check_offsets(sentences[0]);
}

TEST(Documents, TakeOverlappingMentionsByTheDocumentsTokens) {
    auto const sentences = read_documents(
        R"({"doc_key": "d", "sentences": [["Zoë", "came", "."], [], ["The", "king", "of", "Spain"]], "ner": [[[0, 0, "PER"]], [], [[6, 6, "GPE"], [3, 6, "PER"]]]})",
        "f");
    EXPECT_THAT(texts(sentences), ElementsAre("Zoë came .", "The king of Spain"));
    EXPECT_THAT(entities(sentences[0]), ElementsAre("PER:Zoë"));
    EXPECT_THAT(entities(sentences[1]), ElementsAre("PER:The king of Spain", "GPE:Spain"));
    for (auto const& sentence : sentences) check_offsets(sentence);
    EXPECT_THAT(
        [] { read_documents(R"({"sentences": [["a"], ["b"]], "ner": [[], [[0, 1, "X"]]]})", "f"); },
        ThrowsMessage<InputError>(HasSubstr("a mention goes from token 0 to 1, its sentence from 1 to 1 (f:1) in '{")));
    for (auto const* broken :
         {R"({"sentences": [["a"]], "ner": []})", R"({"sentences": [["a"]]})",
          R"({"sentences": [["a"]], "ner": [[[0, "X"]]]})", R"({"sentences": [[""]], "ner": [[]]})"}) {
        EXPECT_THROW(read_documents(broken, "f"), InputError) << broken;
    }
    Skipped skipped;
    EXPECT_EQ(read_documents("{}\n{\"sentences\": [[\"a\"]], \"ner\": [[]]}\n", "f", &skipped).size(), 1U);
    EXPECT_EQ(skipped.sentences, 1);
}

/// The corpora that users bring, by small files in the layout that each description names.
class UserSupplied : public testing::Test {
protected:
    /// Reads a split after writing `content` to each of its files.
    std::vector<Sentence> read_split(std::string const& id, std::string const& split, std::string const& content) {
        auto const& dataset = catalogue.at(id);
        EXPECT_TRUE(dataset.user_supplied);
        for (auto const& file : dataset.splits.at(split)) {
            auto path = folder.path() / file.path;
            if (!file.suffix.empty()) path = path / "nw" / ("one.v4_" + file.suffix);
            fs::create_directories(path.parent_path());
            write_atomically(path, content);
        }
        auto sentences = read(dataset, split, folder.path());
        for (auto const& sentence : sentences) check_offsets(sentence);
        return sentences;
    }

    Catalogue const catalogue{{fs::path{SAMNER_SOURCE_DIR} / "configs/data"}};
    TemporaryFolder folder;
};

TEST_F(UserSupplied, AceIsReadAsDygieWritesIt) {
    for (auto const* id : {"ace04", "ace05"}) {
        for (auto const* split : {"train", "dev", "test"}) {
            auto const sentences = read_split(
                id, split,
                R"({"doc_key": "CNN_1", "dataset": "ace", "sentences": [["U.S.", "troops", "left"], ["He", "saw", "it"]], "ner": [[[0, 0, "GPE"], [0, 1, "PER"]], [[3, 3, "PER"]]], "relations": [[], []]})");
            ASSERT_EQ(sentences.size(), 2U);
            EXPECT_THAT(entities(sentences[0]), ElementsAre("GPE:U.S.", "PER:U.S. troops"));
            EXPECT_THAT(entities(sentences[1]), ElementsAre("PER:He"));
        }
    }
}

TEST_F(UserSupplied, OntoNotesIsReadAsConll2012HasIt) {
    std::string const file =
        "#begin document (nw/wsj/00/wsj_0001); part 000\n"
        "nw/wsj/00/wsj_0001   0   0   Pierre   NNP   (TOP(S(NP*   -   -   -   -   (PERSON*   (ARG0*   -\n"
        "nw/wsj/00/wsj_0001   0   1   Vinken   NNP   *)           -   -   -   -          *)        *)  (0)\n"
        "nw/wsj/00/wsj_0001   0   2   joined   VBD   *         join  01   1   -           *      (V*)   -\n"
        "nw/wsj/00/wsj_0001   0   3   Elsevier NNP   *))          -   -   -   -       (ORG)         *   -\n"
        "\n"
        "nw/wsj/00/wsj_0001   0   0   61       CD    (TOP*)       -   -   -   -  (CARDINAL)      -\n\n#end document\n";
    auto const sentences = read_split("ontonotes", "dev", file);
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_EQ(sentences[0].text, "Pierre Vinken joined Elsevier");
    EXPECT_THAT(entities(sentences[0]), ElementsAre("PERSON:Pierre Vinken", "ORG:Elsevier"));
    EXPECT_THAT(entities(sentences[1]), ElementsAre("CARDINAL:61"));
    EXPECT_THAT([&] { read(catalogue.at("ontonotes"), "test", folder.path()); },
                ThrowsMessage<InputError>(HasSubstr("with files of 'gold_conll' is missing")));
}

TEST_F(UserSupplied, OntoNotesFilesComeInTheOrderOfTheirPaths) {
    auto const& dataset = catalogue.at("ontonotes");
    auto const root = folder.path() / dataset.splits.at("train").at(0).path;
    for (auto const* name : {"nw/b", "bn/z", "nw/a"}) {
        fs::create_directories((root / name).parent_path());
        write_atomically(root / (std::string{name} + ".gold_conll"),
                         std::string{"d 0 0 "} + name + " X * - - - - * -\n");
        write_atomically(root / (std::string{name} + ".gold_skel"), "not to be read");
    }
    EXPECT_THAT(texts(read(dataset, "train", folder.path())), ElementsAre("bn/z", "nw/a", "nw/b"));
    auto const before = split_hash(dataset, "train", folder.path());
    write_atomically(root / "nw/c.gold_conll", "d 0 0 c X * - - - - * -\n");
    EXPECT_NE(split_hash(dataset, "train", folder.path()), before);
}

TEST_F(UserSupplied, ConllppIsReadAsConll2003InBioAndIob1) {
    for (auto const* tag : {"B-ORG", "I-ORG"}) {
        auto const sentences = read_split("conllpp", "test",
                                          std::string{"-DOCSTART- -X- -X- O\n\nEU NNP B-NP "} + tag +
                                              "\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n");
        ASSERT_EQ(sentences.size(), 2U);
        EXPECT_THAT(entities(sentences[0]), ElementsAre("ORG:EU"));
    }
}

TEST_F(UserSupplied, Bc4chemdIsReadAsMtlBioinformaticsHasIt) {
    auto const sentences = read_split("bc4chemd", "dev", "of\tO\nnitric\tB-Chemical\noxide\tI-Chemical\n\n.\tO\n");
    ASSERT_EQ(sentences.size(), 2U);
    EXPECT_THAT(entities(sentences[0]), ElementsAre("Chemical:nitric oxide"));
}

TEST_F(UserSupplied, FindVehicleIsReadFromItsJsonlines) {
    auto const sentences = read_split(
        "findvehicle", "train",
        R"({"id": 1, "data": "a red Kia K5 in the Top Left .", "ner_label": [["vehicle_color", 2, 5, "red", 1, 2, ["red"]], ["vehicle_brand", 6, 9, "Kia", 2, 3, ["Kia"]], ["vehicle_type-sedan", 6, 12, "Kia K5", 2, 4, ["Kia", "K5"]], ["vehicle_location", 20, 28, "Top Left", 6, 8, ["Top", "Left"]]], "re_label": [[0, 1, 2, 3]]})");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("vehicle_color:red", "vehicle_brand:Kia", "vehicle_type:Kia K5",
                                                       "vehicle_location:Top Left"));
}

TEST_F(UserSupplied, TweetNer7AndFabNerAreReadFromTagsByNumber) {
    auto const tweets = read_split(
        "tweetner7", "train",
        R"({"tokens": ["See", "New", "York", "{{URL}}"], "tags": [14, 4, 11, 14], "id": "1", "date": "2019-10-13"})");
    ASSERT_EQ(tweets.size(), 2U);  // two files
    EXPECT_THAT(entities(tweets[1]), ElementsAre("location:New York"));
    auto const abstracts = read_split(
        "fabner", "dev", R"({"id": "0", "tokens": ["Laser", "sintering", "of", "steel"], "ner_tags": [3, 4, 0, 1]})");
    EXPECT_THAT(entities(abstracts.at(0)), ElementsAre("MANP:Laser sintering", "MATE:steel"));
}

TEST_F(UserSupplied, WikiannZhIsReadLikeItsSisters) {
    auto const sentences = read_split("wikiann-zh", "test", "zh:北\tB-LOC\nzh:京\tI-LOC\nzh:。\tO\n\n");
    EXPECT_THAT(entities(sentences.at(0)), ElementsAre("LOC:北 京"));
}

}  // namespace
}  // namespace samner::corpus
