#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/input_lines.h"
#include "log_capture.h"
#include "temporary_folder.h"

namespace samner {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Json, RefusesDuplicateKeysDeepNestingAndBrokenText) {
    EXPECT_THAT([] { parse_json(R"({"a": 1, "a": 2})", "x.json"); },
                ThrowsMessage<InputError>(HasSubstr("'a' stands twice")));
    EXPECT_THROW(parse_json(std::string(1000, '[') + std::string(1000, ']'), "x.json"), InputError);
    EXPECT_THAT([] { parse_json("{", "x.json"); }, ThrowsMessage<InputError>(HasSubstr("x.json")));
    EXPECT_THAT([] { parse_json("{\"a\": \"\xff\"}", "x.jsonl:3"); },
                ThrowsMessage<InputError>(HasSubstr("not valid UTF-8 at byte 8 (x.jsonl:3)")));
}

TEST(Json, RefusesNumbersThatADoubleCannotHold) {
    EXPECT_THROW(parse_json("[1e999]", "x.json"), InputError);
}

TEST(Json, HasOneCanonicalSpelling) {
    EXPECT_EQ(canonical(parse_json(R"({ "b":1.50, "a":"é" })", "x")), R"({"a":"é","b":1.5})");
}

TEST(Jsonl, NamesFileAndLineOfABrokenLine) {
    TemporaryFolder const folder;
    write_atomically(folder / "t.jsonl", "{\"id\": 1}\n\n[2]\n");
    EXPECT_THAT([&] { for_each_jsonl(folder / "t.jsonl", [](Json const&, std::string const&) {}); },
                ThrowsMessage<InputError>(HasSubstr("t.jsonl:3")));
}

TEST(Jsonl, OfAUserThatHasNoLinesIsWarnedOf) {
    TemporaryFolder const folder;
    write_atomically(folder / "empty.jsonl", "\n \n");
    write_atomically(folder / "one.jsonl", "{\"id\": 1}\n");
    LogCapture const log;
    auto const ignore = [](Json const&, std::string const&) {};
    for_each_input(folder / "one.jsonl", ignore);
    EXPECT_EQ(log.text(), "");
    for_each_input(folder / "empty.jsonl", ignore);
    EXPECT_THAT(log.text(), HasSubstr("empty.jsonl' has no lines"));
}

TEST(Jsonl, RefusesAnIdThatStandsTwiceAndNamesBothPlaces) {
    Distinct ids;
    ids.add("1", "t.jsonl:1");
    ids.add("2", "t.jsonl:2");
    EXPECT_THAT([&] { ids.add("1", "t.jsonl:9"); },
                ThrowsMessage<InputError>(HasSubstr("id 1 stands twice (t.jsonl:9, first t.jsonl:1)")));
}

TEST(JsonMember, SaysWhatIsMissingAndWhere) {
    EXPECT_THAT([] { member<int>(Json::object(), "r", "adapter_config.json"); },
                ThrowsMessage<InputError>(HasSubstr("'r' is missing (adapter_config.json)")));
    EXPECT_THROW(member<int>(Json{{"r", "x"}}, "r", "f"), InputError);
    EXPECT_EQ(member<int>(Json{{"r", 3}}, "r", "f"), 3);
}

TEST(JsonMember, OfAnIntegerIsAWholeNumberInItsRange) {
    using Ids = std::vector<std::int32_t>;
    for (auto const* broken :
         {"2.5", "1e30", "-1e300", "3000000000", "-3000000000", "18446744073709551615", "true", "null"}) {
        auto const object = Json{{"n", Json::parse(broken)}, {"list", Json::array({1, Json::parse(broken)})}};
        EXPECT_THROW(member<std::int32_t>(object, "n", "f"), InputError) << broken;
        EXPECT_THROW(member<Ids>(object, "list", "f"), InputError) << broken;
    }
    EXPECT_EQ(member<std::int32_t>(Json{{"n", 16.0}}, "n", "f"), 16);
    EXPECT_EQ(member<std::uint64_t>(Json::parse(R"({"n": 18446744073709551615})"), "n", "f"), 18446744073709551615U);
    EXPECT_THROW(member<std::uint64_t>(Json{{"n", -1}}, "n", "f"), InputError);
    EXPECT_EQ(member<Ids>(Json{{"list", {1, -2, 3.0}}}, "list", "f"), (Ids{1, -2, 3}));
}

}  // namespace
}  // namespace samner
