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
