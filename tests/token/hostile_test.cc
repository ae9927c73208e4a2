#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "core/file.h"
#include "golden.h"
#include "temporary_folder.h"
#include "token/tokenizer.h"

namespace samner::token {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The smallest byte-level tokenizer: a, b, ab and one special token.
Json small() {
    return Json::parse(R"({
        "added_tokens": [{"id": 3, "content": "<end>", "special": true, "normalized": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})");
}

/// What reading says about a text.
std::string complaint_about(std::string const& text) {
    TemporaryFolder const folder;
    write_atomically(folder / "tokenizer.json", text);
    try {
        Tokenizer::open(folder.path());
    } catch (InputError const& error) {
        return describe(error);
    }
    return "none";
}

/// What reading says about the small tokenizer with one member set to a JSON text; without a text it is left out.
std::string complaint_about(char const* pointer, char const* value) {
    auto json = small();
    Json::json_pointer const place{pointer};
    if (*value == '\0') {
        json.at(place.parent_pointer()).erase(place.back());
    } else {
        json[place] = Json::parse(value);
    }
    return complaint_about(json.dump());
}

TEST(TokenHostile, TheUnchangedFileIsRead) {
    EXPECT_EQ(complaint_about(small().dump()), "none");
    EXPECT_EQ(complaint_about("/model/merges", R"(["a b"])"), "none");
}

TEST(TokenHostile, BrokenMembersAreNamedWithTheirPlace) {
    struct Case {
        char const* pointer;
        char const* value;
        char const* what;
        char const* place;
    };
    std::vector<Case> const cases{
        {"/model", "", "'model' is missing", "tokenizer.json"},
        {"/model", "3", "'type' is missing", "model"},
        {"/model/vocab", "[1]", "not an object", "model.vocab"},
        {"/model/vocab/a", "-1", "'a' has id -1", "model.vocab"},
        {"/model/vocab/a", "1099511627776", "1099511627776", "model.vocab"},
        {"/model/vocab/a", "18446744073709551615", "'a'", "model.vocab"},
        {"/model/vocab/a", "0.5", "0.5", "model.vocab"},
        {"/model/vocab/a", "1", "id 1 belongs to", "model.vocab"},
        {"/model/merges", R"([["a", "z"]])", "'z' is not in the vocabulary", "merges[0]"},
        {"/model/merges", R"([["b", "a"]])", "'ba' is not in the vocabulary", "merges[0]"},
        {"/model/merges", R"(["a  b"])", "one space", "merges[0]"},
        {"/model/merges", R"([["a", "b"], ["a"]])", "not a pair", "merges[1]"},
        {"/model/merges", "[[1, 2]]", "not a pair", "merges[0]"},
        {"/model/merges", R"("ab")", "not a list", "merges"},
        {"/added_tokens/0/id", "2147483648", "2147483648", "added_tokens[0]"},
        {"/added_tokens/0/id", "-5", "-5", "added_tokens[0]"},
        {"/added_tokens/0/id", "2", "'ab' and '<end>'", "added_tokens[0]"},
        {"/added_tokens/0/content", R"("")", "0 bytes", "added_tokens[0]"},
        {"/added_tokens/0/content", "", "'content' is missing", "added_tokens[0]"},
        {"/model/unk_token", R"("?")", "'?' is not in the vocabulary", "model"},
        {"/post_processor",
         R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
             "special_tokens": {"<s>": {"ids": [77]}}})",
         "id 77 of '<s>'", "post_processor.special_tokens.<s>.ids[0]"},
        {"/pre_tokenizer",
         R"({"type": "Sequence",
             "pretokenizers": [{"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a"}}]})",
         "'(a' is not a valid regular expression", "pre_tokenizer.pretokenizers[0].pattern"},
    };
    for (auto const& [pointer, value, what, place] : cases) {
        EXPECT_THAT(complaint_about(pointer, value), AllOf(HasSubstr(what), HasSubstr(place)));
    }
}

TEST(TokenHostile, UnsupportedComponentsAreNamedBesideTheSupportedOnes) {
    struct Case {
        char const* pointer;
        char const* value;
        char const* named;
        char const* supported;
    };
    std::vector<Case> const cases{
        {"/model/type", R"("Unigram")", "'Unigram'", "WordPiece"},
        {"/normalizer", R"({"type": "Precompiled"})", "'Precompiled'", "BertNormalizer"},
        {"/pre_tokenizer", R"({"type": "Metaspace"})", "'Metaspace'", "ByteLevel"},
        {"/pre_tokenizer", R"({"type": "BertPreTokenizer"})", "BPE without ByteLevel", "ByteLevel"},
        {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})",
         "Digits after ByteLevel", "last"},
        {"/pre_tokenizer", R"({"type": "Split", "behavior": "MergedWithNext", "pattern": {"String": "a"}})",
         "MergedWithNext", "Isolated"},
        {"/pre_tokenizer", R"({"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "[a[b]]"}})",
         "nested class", "write the character class out"},
        {"/decoder", R"({"type": "Fuse"})", "'Fuse'", "ByteLevel"},
        {"/post_processor", R"({"type": "RobertaProcessing"})", "'RobertaProcessing'", "TemplateProcessing"},
        {"/model/byte_fallback", "true", "byte_fallback: true", "false"},
        {"/model/dropout", "0.1", "dropout: 0.1", "null"},
        {"/added_tokens/0/lstrip", "true", "lstrip: true", "false"},
    };
    for (auto const& [pointer, value, named, supported] : cases) {
        EXPECT_THAT(complaint_about(pointer, value), AllOf(HasSubstr(named), HasSubstr(supported)));
    }
}

/// The small tokenizer with a Split at this pattern.
Tokenizer split_at(std::string const& pattern) {
    TemporaryFolder const folder;
    auto json = small();
    json["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": ""}},
        {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})");
    json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern;
    write_atomically(folder / "tokenizer.json", json.dump());
    return Tokenizer::open(folder.path());
}

TEST(TokenHostile, ChainsOfManyStepsAreRefused) {
    auto json = small();
    json["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": []})");
    for (int i = 0; i < 33; ++i) json["pre_tokenizer"]["pretokenizers"].push_back(Json::parse(R"({"type": "Digits"})"));
    EXPECT_THAT(complaint_about(json.dump()), AllOf(HasSubstr("33 steps"), HasSubstr("pre_tokenizer.pretokenizers")));
}

TEST(TokenHostile, TextThatIsNoJsonOrTooDeepIsRefused) {
    auto const whole = small().dump();
    EXPECT_THAT(complaint_about(whole.substr(0, whole.size() / 2)), HasSubstr("not valid JSON"));
    EXPECT_THAT(complaint_about(""), HasSubstr("tokenizer.json"));
    EXPECT_THAT(complaint_about("[]"), HasSubstr("missing"));
    EXPECT_THAT(complaint_about(std::string(100'000, '[')), HasSubstr("tokenizer.json"));
}

TEST(TokenHostile, ARegularExpressionThatExplodesIsAnErrorOfTheText) {
    auto const tokenizer = split_at("(?:a+a+)+[bc]");
    EXPECT_THROW(tokenizer.encode(std::string(200, 'a')), InputError);
}

TEST(TokenHostile, EmptyMatchesCutButDoNotLoop) {
    EXPECT_EQ(split_at("x*").encode("abab"), (std::vector<std::int32_t>{0, 1, 0, 1}));
}

GgufVocabulary small_gguf() {
    GgufVocabulary file;
    file.model = "gpt2";
    file.pre = "smollm";
    file.tokens = {"a", "b", "ab", "<end>"};
    file.types = {1, 1, 1, 3};
    file.merges = {"a b"};
    file.place = "m.gguf";
    return file;
}

TEST(TokenHostile, GgufMembersAreCheckedAndNamed) {
    EXPECT_EQ(Tokenizer::from_gguf_metadata(small_gguf()).encode("ab<end>"), (std::vector<std::int32_t>{2, 3}));
    struct Case {
        std::function<void(GgufVocabulary&)> change;
        std::string expected;
    };
    std::vector<Case> const cases{
        {[](auto& f) { f.model = "llama"; }, "tokenizer.ggml.model is 'llama'"},
        {[](auto& f) { f.pre = "deepseek-llm"; }, "tokenizer.ggml.pre is 'deepseek-llm'"},
        {[](auto& f) { f.pre = "default"; }, "supported are smollm, gpt-2, llama-bpe, qwen2"},
        {[](auto& f) { f.pre = "llama-bpe"; }, "bos_token_id is missing"},
        {[](auto& f) { f.types.pop_back(); }, "3 values for 4 tokens"},
        {[](auto& f) { f.types[0] = 6; }, "of type 6"},
        {[](auto& f) { f.tokens[1] = f.tokens[0]; }, "'a' has the ids 0 and 1"},
        {[](auto& f) { f.tokens[3].clear(); }, "is empty"},
        {[](auto& f) { f.merges.at(0) = "absent token"; }, "merges[0]"},
        {[](auto& f) { f.merges.at(0) = "a-and-b-in-one"; }, "merges[0]"},
        {[](auto& f) { f.add_bos = true; }, "bos_token_id is missing"},
        {[](auto& f) { f.add_eos = true, f.eos = 4; }, "eos_token_id is 4"},
    };
    for (auto const& [change, expected] : cases) {
        auto file = small_gguf();
        change(file);
        try {
            Tokenizer::from_gguf_metadata(file);
            ADD_FAILURE() << "accepted, expected: " << expected;
        } catch (InputError const& error) {
            EXPECT_THAT(describe(error), AllOf(HasSubstr(expected), HasSubstr("m.gguf")));
        }
    }
}

TEST(TokenHostile, GgufSpecialTokensStandWhereTheFileSays) {
    auto file = small_gguf();
    file.add_bos = true;
    file.bos = 3;
    auto const with = Tokenizer::from_gguf_metadata(file);
    EXPECT_EQ(with.encode("ab", true), (std::vector<std::int32_t>{3, 2}));
    EXPECT_EQ(with.encode("ab"), (std::vector<std::int32_t>{2}));
    EXPECT_NE(with.hash(), Tokenizer::from_gguf_metadata(small_gguf()).hash());
}

}  // namespace
}  // namespace samner::token
