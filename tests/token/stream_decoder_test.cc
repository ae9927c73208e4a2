#include "token/stream_decoder.h"

#include <gtest/gtest.h>

#include "golden.h"
#include "token/byte_alphabet.h"
#include "token/utf8.h"

namespace samner::token {
namespace {

TEST(StreamDecoder, PartsAreWholeCharactersAndJoinToTheDecodedText) {
    for (auto const& tokenizer : {style("llama3-style"), style("qwen2-style"), Tokenizer::from_json(minilm)}) {
        for (auto const& text : golden_strings()) {
            auto const ids = tokenizer.encode(text, true);
            for (bool const skip_special : {false, true}) {
                StreamDecoder decoder{tokenizer, skip_special};
                std::string joined;
                for (auto const id : ids) {
                    auto const part = decoder.push(id);
                    EXPECT_TRUE(is_valid_utf8(part));
                    joined += part;
                }
                joined += decoder.finish();
                EXPECT_EQ(joined, tokenizer.decode(ids, skip_special));
            }
        }
    }
}

TEST(StreamDecoder, GivesEachCharacterOutWithItsLastByteWhereverTokensAreCut) {
    auto const tokenizer = style("llama3-style");
    std::string const text = "a\u00e9\u07ff\u0800\u20ac\uffee\U00010000\U0001f600\U0010fffdz";
    std::vector<std::int32_t> byte_tokens;
    for (auto const byte : text) {
        byte_tokens.push_back(tokenizer.id(byte_token(static_cast<std::uint8_t>(byte))).value());
    }
    StreamDecoder decoder{tokenizer};
    std::string given;
    for (std::size_t length = 1; length <= text.size(); ++length) {
        given += decoder.push(byte_tokens[length - 1]);
        auto const prefix = std::string_view{text}.substr(0, length);
        EXPECT_EQ(given, prefix.substr(0, length - cut_tail(prefix))) << length;
    }
    EXPECT_EQ(given, text);
    EXPECT_EQ(decoder.finish(), "");
    for (std::size_t length = 1; length < text.size(); ++length) {  // an answer that ends inside a character
        std::string cut;
        for (auto const id : std::span{byte_tokens}.first(length)) cut += decoder.push(id);
        EXPECT_TRUE(is_valid_utf8(cut));
        EXPECT_EQ(cut + decoder.finish(), to_valid_utf8(std::string_view{text}.substr(0, length)));
    }
}

TEST(StreamDecoder, HoldsBackACharacterUntilItIsComplete) {
    auto const tokenizer = style("llama3-style");
    std::vector<std::int32_t> bytes;
    for (auto const* token : {"ð", "Ł", "ĺ", "Ģ"}) bytes.push_back(tokenizer.id(token).value());  // U+1F600
    StreamDecoder decoder{tokenizer};
    EXPECT_EQ(decoder.push(bytes[0]), "");
    EXPECT_EQ(decoder.push(bytes[1]), "");
    EXPECT_EQ(decoder.push(bytes[2]), "");
    EXPECT_EQ(decoder.push(bytes[3]), "😀");
    EXPECT_EQ(decoder.push(bytes[0]), "");
    EXPECT_EQ(decoder.push(bytes[0]), "\uFFFD");  // the first one can no longer be completed
    EXPECT_EQ(decoder.finish(), "\uFFFD");
    EXPECT_EQ(decoder.finish(), "");
}

}  // namespace
}  // namespace samner::token
