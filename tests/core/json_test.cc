#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
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
    EXPECT_THROW(parse_json("{\"a\": \"\xff\"}", "x.json"), InputError);
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

TEST(JsonMember, SaysWhatIsMissingAndWhere) {
    EXPECT_THAT([] { member<int>(Json::object(), "r", "adapter_config.json"); },
                ThrowsMessage<InputError>(HasSubstr("'r' is missing (adapter_config.json)")));
    EXPECT_THROW(member<int>(Json{{"r", "x"}}, "r", "f"), InputError);
    EXPECT_EQ(member<int>(Json{{"r", 3}}, "r", "f"), 3);
}

}  // namespace
}  // namespace samner
