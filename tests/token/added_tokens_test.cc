#include "token/added_tokens.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samner::token {
namespace {

using testing::ElementsAre;

/// The scan as text: ids in brackets, what lies between in quotes.
std::vector<std::string> scan(AddedTokens const& tokens, std::string_view text) {
    std::vector<std::string> result;
    tokens.scan(
        text, [&](std::int32_t id) { result.push_back(fmt::format("[{}]", id)); },
        [&](std::string_view part) { result.push_back(fmt::format("'{}'", part)); });
    return result;
}

TEST(AddedTokens, TheLongestAtTheLeftmostPlaceIsTaken) {
    AddedTokens const tokens{{{"<a>", 1}, {"<a><b>", 2}, {"a", 3}, {"<a", 4}, {"><", 5}}};
    EXPECT_THAT(scan(tokens, "<a><b>"), ElementsAre("[2]"));
    EXPECT_THAT(scan(tokens, "<a><c"), ElementsAre("[1]", "'<c'"));
    EXPECT_THAT(scan(tokens, "x<a y><z"), ElementsAre("'x'", "[4]", "' y'", "[5]", "'z'"));
    EXPECT_THAT(scan(tokens, "b<"), ElementsAre("'b<'"));
    EXPECT_THAT(scan(tokens, ""), ElementsAre());
}

TEST(AddedTokens, TheSameContentTwiceCountsOnceAlsoBesideNulBytes) {
    using namespace std::string_literals;
    AddedTokens const tokens{{{"ab", 1}, {"ab", 1}, {"ab\0c"s, 2}}};
    EXPECT_THAT(scan(tokens, "ab\0ab"s), ElementsAre("[1]", "'\0'"s, "[1]"));
    EXPECT_THAT(scan(tokens, "ab\0c"s), ElementsAre("[2]"));
}

}  // namespace
}  // namespace samner::token
