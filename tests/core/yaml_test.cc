#include "core/yaml.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace samner {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

auto refuses(std::string const& text, std::string const& part) {
    try {
        parse_yaml(text, "x.yaml");
    } catch (InputError const& error) {
        return testing::Matches(HasSubstr(part))(std::string{error.what()});
    }
    return false;
}

TEST(Yaml, RefusesWhatYamlCppLetsPass) {
    EXPECT_TRUE(refuses("a: 1\nb: 2\na: 3\n", "'a' stands twice (x.yaml:3:1)"));
    EXPECT_TRUE(refuses("base: &b {x: 1}\nc:\n  <<: *b\n", "merge key"));
    EXPECT_TRUE(refuses("a: 1\n---\nb: 2\n", "second YAML document"));
    EXPECT_TRUE(refuses("a: &a [*a]\n", "alias to an enclosing node"));
    EXPECT_TRUE(refuses(std::string(200, '['), "x.yaml"));
    EXPECT_TRUE(refuses("a: [1\n", "x.yaml"));
}

TEST(Yaml, CountsWhatAliasesStandFor) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        std::string list;
        for (int j = 0; j < 10; ++j) list += fmt::format("{}*a{}", j ? ", " : "", i - 1);
        bomb += fmt::format("a{}: &a{} [{}]\n", i, i, list);
    }
    EXPECT_TRUE(refuses(bomb, "more than 1000000 values"));
    EXPECT_FALSE(refuses("a: &a [1, 2]\nb: [*a, *a]\nc: &c 3\nd: *c\n", ""));
}

TEST(YamlMap, NamesAnUnknownKeyWithItsPlaceAndTheNearestKnownOne) {
    YamlMap map{parse_yaml("select:\n  treshold: 1\n", "demo.yaml"), "demo.yaml"};
    auto select = map.map("select");
    select.get("threshold", 0.5);
    EXPECT_THAT([&] { select.finish(); },
                ThrowsMessage<InputError>(HasSubstr("unknown key select.treshold (demo.yaml:2:3)")));
    try {
        select.finish();
    } catch (InputError const& error) {
        EXPECT_EQ(error.remedy(), "did you mean select.threshold?");
    }
}

TEST(YamlMap, ReadsNumbersAsTheyLookAndOnlyTrueAndFalseAsBooleans) {
    YamlMap map{parse_yaml("a: 010\nb: no\nc: 1e-3\nd: [1, 2]\ne: \"5\"\n", "x"), "x"};
    EXPECT_EQ(map.require<std::int64_t>("a"), 10);
    EXPECT_THROW(map.require<bool>("b"), InputError);
    EXPECT_DOUBLE_EQ(map.require<double>("c"), 1e-3);
    EXPECT_EQ(map.require<std::vector<std::int64_t>>("d"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_THROW(map.require<std::int64_t>("e"), InputError);
    EXPECT_EQ(map.require<std::string>("b"), "no");
    EXPECT_THROW(map.require<std::string>("absent"), InputError);
}

TEST(YamlOverride, SetsNestedKeysAndRefusesWhatIsNoAssignment) {
    auto root = parse_yaml("train: {r: 8}\n", "x");
    set_yaml(root, "train.r=32");
    set_yaml(root, "train.targets=[a, b]");
    set_yaml(root, "infer.slots=4");
    EXPECT_EQ(root["train"]["r"].as<int>(), 32);
    EXPECT_EQ(root["train"]["targets"][1].as<std::string>(), "b");
    EXPECT_EQ(root["infer"]["slots"].as<int>(), 4);
    EXPECT_THROW(set_yaml(root, "train"), InputError);
    EXPECT_THROW(set_yaml(root, "train.r.x=1"), InputError);
}

}  // namespace
}  // namespace samner
