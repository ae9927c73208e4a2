#include "token/stream_decoder.h"

#include <gtest/gtest.h>

#include "golden.h"
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
