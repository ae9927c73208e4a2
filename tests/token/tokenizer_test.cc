#include "token/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "golden.h"
#include "token/utf8.h"

namespace samner::token {
namespace {

using Ids = std::vector<std::int32_t>;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Tokenizer, DecodingGivesBackAnyTextThatByteLevelBpeEncodes) {
    auto const tokenizer = style("llama3-style");
    std::mt19937_64 random{3};
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (auto length = random() % 30; length > 0; --length) {
            auto c = static_cast<char32_t>(random() % (round % 2 == 0 ? 0x80 : 0x110000));
            if (c >= 0xD800 && c < 0xE000) c = ' ';
            append_utf8(text, c);
        }
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), false), text);
    }
}

TEST(Tokenizer, TakesBrokenUtf8AsReplacementCharacters) {
    for (auto const& tokenizer : {style("llama3-style"), style("qwen2-style"), Tokenizer::from_json(minilm)}) {
        std::mt19937_64 random{5};
        for (int round = 0; round < 500; ++round) {
            std::string bytes;
            for (auto length = random() % 40; length > 0; --length) bytes += static_cast<char>(random());
            EXPECT_EQ(tokenizer.encode(bytes), tokenizer.encode(to_valid_utf8(bytes)));
        }
    }
}

TEST(Tokenizer, GivesTheSameOnManyThreads) {
    auto const tokenizer = style("llama3-style");
    auto const texts = golden_strings();
    auto const encode_all = [&] {
        std::vector<Ids> all;
        for (auto const& text : texts) all.push_back(tokenizer.encode(text));
        return all;
    };
    auto const expected = encode_all();
    std::vector<std::vector<Ids>> results(4);
    std::vector<std::jthread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = encode_all(); });
    threads.clear();
    for (auto const& result : results) EXPECT_EQ(result, expected);
}

TEST(Tokenizer, KeepsTheEndsOfATruncatedText) {
    auto const tokenizer = Tokenizer::from_json(minilm);
    auto const cls = tokenizer.id("[CLS]").value();
    auto const sep = tokenizer.id("[SEP]").value();
    auto const full = tokenizer.encode("one two three four", true);
    ASSERT_EQ(full.size(), 6U);
    EXPECT_EQ(tokenizer.encode_truncated("one two three four", 6), full);
    EXPECT_EQ(tokenizer.encode_truncated("one two three four", 4), (Ids{cls, full[1], full[2], sep}));
    EXPECT_EQ(tokenizer.encode_truncated("one", 2), (Ids{cls, sep}));
    EXPECT_THROW(tokenizer.encode_truncated("one", 1), InputError);
}

TEST(Tokenizer, AnswersAboutItsVocabulary) {
    auto const tokenizer = style("qwen2-style");
    EXPECT_EQ(tokenizer.vocabulary_size(), 2005);
    EXPECT_EQ(tokenizer.id("<|im_end|>"), 2002);
    EXPECT_EQ(tokenizer.piece(2002), "<|im_end|>");
    EXPECT_EQ(tokenizer.id("no such token"), std::nullopt);
    EXPECT_TRUE(tokenizer.is_special(2002));
    EXPECT_FALSE(tokenizer.is_special(2003));  // <tool_call> is added but not special
    EXPECT_FALSE(tokenizer.is_special(0));
    EXPECT_FALSE(tokenizer.is_special(-1));
    EXPECT_THROW(tokenizer.piece(2005), InputError);
    EXPECT_THROW(tokenizer.piece(-1), InputError);
}

TEST(Tokenizer, DecodesIdsThatNoTokenHasToNothing) {
    auto const tokenizer = style("qwen2-style");
    auto ids = tokenizer.encode("some text");
    ids.insert(ids.begin() + 1, 2005);
    EXPECT_EQ(tokenizer.decode(ids, false), "some text");
    EXPECT_THROW(tokenizer.decode(Ids{-1}, false), InputError);
}

TEST(Tokenizer, IsIdentifiedByItsFile) {
    auto const path = golden / "tokenizers/qwen2-style.tokenizer.json";
    EXPECT_EQ(style("qwen2-style").hash(), sha256_file(path));
    EXPECT_NE(style("qwen2-style").hash(), style("llama3-style").hash());
}

TEST(Tokenizer, OpenSaysWhatItTakes) {
    EXPECT_THAT([] { Tokenizer::open("model.bin"); }, ThrowsMessage<InputError>(HasSubstr("model.bin")));
    EXPECT_THROW(Tokenizer::open("/nowhere/tokenizer.json"), InputError);
}

}  // namespace
}  // namespace samner::token
