#include "token/utf8.h"

#include <gtest/gtest.h>

#include "token/byte_alphabet.h"

namespace samner::token {
namespace {

using namespace std::string_literals;

TEST(Utf8, ReplacesEachMaximalBrokenPartOnce) {
    EXPECT_EQ(to_valid_utf8("a\xE2\x82z"), "a\uFFFDz");                        // cut three-byte sequence
    EXPECT_EQ(to_valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong
    EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // surrogate
    EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
    EXPECT_EQ(to_valid_utf8("\xF0\x9F\x98"), "\uFFFD");
    EXPECT_EQ(to_valid_utf8("\x80\xFF"), "\uFFFD\uFFFD");
    EXPECT_EQ(to_valid_utf8("\0é"s), "\0é"s);
}

TEST(Utf8, EveryCodePointSurvivesWritingAndReading) {
    for (char32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text;
        append_utf8(text, c);
        auto const unit = utf8_unit(text, 0);
        ASSERT_EQ(unit.kind, Utf8Unit::Kind::character);
        ASSERT_EQ(unit.value, c);
        ASSERT_EQ(unit.length, text.size());
        for (std::size_t cut = 1; cut < text.size(); ++cut) ASSERT_EQ(cut_tail(text.substr(0, cut)), cut);
        ASSERT_EQ(cut_tail(text), 0U);
    }
}

TEST(ByteAlphabet, SpellsEveryByteAndReadsItBack) {
    EXPECT_EQ(byte_token(' '), "\u0120");
    EXPECT_EQ(byte_token('\n'), "\u010A");
    EXPECT_EQ(byte_token(0xAD), "\u0143");  // the last one that is not printable
    for (int byte = 0; byte < 256; ++byte) {
        EXPECT_EQ(bytes_of_token(byte_token(static_cast<std::uint8_t>(byte))), std::string(1, static_cast<char>(byte)));
    }
    EXPECT_EQ(bytes_of_token("a b"), std::nullopt);
    EXPECT_EQ(bytes_of_token("\u0144"), std::nullopt);
}

}  // namespace
}  // namespace samner::token
