#include "golden.h"

#include <gtest/gtest.h>

namespace samner::token {
namespace {

using Ids = std::vector<std::int32_t>;

/// The recorded encodings and decodings of all strings.
void expect_golden(Tokenizer const& tokenizer, std::string const& name) {
    auto const texts = golden_strings();
    std::size_t seen = 0;
    for_each_jsonl(golden / "tokenizers" / (name + ".encodings.jsonl"),
                   [&](Json const& line, std::string const& place) {
                       SCOPED_TRACE(place);
                       auto const& text = texts.at(line.at("i"));
                       auto const ids = line.at("ids").get<Ids>();
                       EXPECT_EQ(tokenizer.encode(text), ids) << text;
                       EXPECT_EQ(tokenizer.encode(text, true), line.value("ids_with_special", ids)) << text;
                       EXPECT_EQ(tokenizer.decode(ids, false), line.at("decoded").get<std::string>());
                       EXPECT_EQ(tokenizer.decode(ids, true), line.at("decoded_skipping_special").get<std::string>());
                       ++seen;
                   });
    EXPECT_EQ(seen, 352U);
}

void expect_prefixes(Tokenizer const& tokenizer, std::string const& name) {
    auto const cases = read_json(golden / "tokenizers/decode.json").at(name);
    EXPECT_FALSE(cases.empty());
    for (auto const& entry : cases) {
        auto const ids = entry.at("ids").get<Ids>();
        std::size_t length = 0;
        for (auto const& expected : entry.at("decoded_prefixes")) {
            EXPECT_EQ(tokenizer.decode(std::span{ids}.first(length), false), expected.get<std::string>())
                << entry.at("text") << " cut at " << length;
            ++length;
        }
        EXPECT_EQ(length, ids.size() + 1);
    }
}

TEST(TokenGolden, Llama3StyleEqualsTheReference) {
    auto const tokenizer = style("llama3-style");
    expect_golden(tokenizer, "llama3-style");
    expect_prefixes(tokenizer, "llama3-style");
}

TEST(TokenGolden, Qwen2StyleEqualsTheReference) {
    auto const tokenizer = style("qwen2-style");
    expect_golden(tokenizer, "qwen2-style");
    expect_prefixes(tokenizer, "qwen2-style");
}

TEST(TokenGolden, SmolLm2FromGgufEqualsTheReference) {
    auto const file = std::filesystem::path{SAMNER_SOURCE_DIR} / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    auto const tokenizer = Tokenizer::open(file);
    EXPECT_EQ(tokenizer.vocabulary_size(), 49152);
    expect_golden(tokenizer, "smollm2");
    expect_prefixes(tokenizer, "smollm2");
}

TEST(TokenGolden, ASmallGgufVocabularyEqualsTheReference) {
    auto const file = golden / "gguf/llama-tiny.Q4_0.gguf";
    auto const tokenizer = Tokenizer::open(file);
    auto const encodings = read_json(golden / "gguf/llama-tiny.expected.json").at("encodings");
    EXPECT_FALSE(encodings.empty());
    for (auto const& entry : encodings) {
        EXPECT_EQ(tokenizer.encode(entry.at("text").get<std::string>()), entry.at("ids").get<Ids>());
    }
}

/// What llama.cpp's converter would put into a GGUF file for a byte-level tokenizer.json.
GgufVocabulary converted(std::string const& name, std::string const& pre) {
    auto const json = read_json(golden / "tokenizers" / (name + ".tokenizer.json"));
    GgufVocabulary file;
    file.model = "gpt2";
    file.pre = pre;
    file.place = name;
    auto const put = [&](std::string const& token, std::size_t id, std::int32_t type) {
        if (id >= file.tokens.size()) file.tokens.resize(id + 1), file.types.resize(id + 1, 5);
        file.tokens[id] = token;
        file.types[id] = type;
    };
    for (auto const& [token, id] : json.at("model").at("vocab").items()) put(token, id.get<std::size_t>(), 1);
    for (auto const& added : json.at("added_tokens")) {
        put(added.at("content"), added.at("id").get<std::size_t>(), added.at("special").get<bool>() ? 3 : 4);
    }
    for (auto const& merge : json.at("model").at("merges")) {
        file.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                                : merge[0].get<std::string>() + ' ' + merge[1].get<std::string>());
    }
    auto const begin = style(name).encode("", true);
    if (!begin.empty()) file.bos = begin.front();
    return file;
}

TEST(TokenGolden, GgufVocabulariesCutTextUpAsTheTokenizerThatTheyWereMadeFrom) {
    expect_golden(Tokenizer::from_gguf_metadata(converted("llama3-style", "llama-bpe")), "llama3-style");
    expect_golden(Tokenizer::from_gguf_metadata(converted("qwen2-style", "qwen2")), "qwen2-style");
}

TEST(TokenGolden, OtherPreTokenisersOfGgufFilesEqualTheReference) {
    auto const expected = read_json(std::filesystem::path{SAMNER_TEST_DATA} / "tokenizers/pre_tokens.json");
    auto const texts = golden_strings();
    for (auto const* pre : {"gpt-2", "tekken"}) {
        auto const tokenizer = Tokenizer::from_gguf_metadata(converted("llama3-style", pre));
        ASSERT_EQ(expected.at(pre).size(), texts.size());
        for (std::size_t i = 0; i < texts.size(); ++i) {
            EXPECT_EQ(tokenizer.encode(texts[i]), expected.at(pre)[i].get<Ids>()) << pre << ": " << texts[i];
        }
    }
}

TEST(TokenGolden, MiniLmEqualsTheReference) {
    expect_golden(Tokenizer::from_json(minilm), "minilm");
}

TEST(TokenGolden, MiniLmGivesTheIdsThatTheEncoderSees) {
    auto const tokenizer = Tokenizer::open(minilm.parent_path());
    auto const sentences = read_json(golden / "minilm/sentences.json").at("sentences");
    EXPECT_EQ(sentences.size(), 40U);
    for (auto const& sentence : sentences) {
        EXPECT_EQ(tokenizer.encode_truncated(sentence.at("text").get<std::string>(), 256),
                  sentence.at("ids").get<Ids>());
    }
}

}  // namespace
}  // namespace samner::token
