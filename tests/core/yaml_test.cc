#include "core/yaml.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

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

/// A document with two settings of the command line, one of them in a map that it makes.
YamlMap with_settings() {
    auto root = parse_yaml("train: {r: 8, other: 1}\nname: x\n", "run.yaml");
    std::vector<YamlSetting> settings;
    for (auto const* word : {"train.r=[a, b]", "infer.slots=many"}) settings.push_back(set_yaml(root, word));
    return {root, "run.yaml", {}, settings};
}

TEST(YamlOverride, IsNamedInMessagesInPlaceOfTheFile) {
    auto map = with_settings();
    EXPECT_THAT([&] { map.map("train").require<std::int64_t>("r"); },
                ThrowsMessage<InputError>(HasSubstr("train.r is not a single value (command line: train.r=[a, b])")));
    EXPECT_THAT([&] { map.map("infer").require<std::int64_t>("slots"); },
                ThrowsMessage<InputError>(HasSubstr("infer.slots is 'many' (command line: infer.slots=many)")));
    EXPECT_THAT([&] { map.map("infer").finish(); },
                ThrowsMessage<InputError>(HasSubstr("unknown key infer.slots (command line: infer.slots=many)")));
    EXPECT_THAT([&] { map.map("infer").require<std::string>("fold"); },
                ThrowsMessage<InputError>(HasSubstr("infer.fold is missing (command line: infer.slots=many)")));
    EXPECT_EQ(map.map("train").place("r"), "command line: train.r=[a, b]");
    EXPECT_EQ(map.map("train").places().of("r.x"), "command line: train.r=[a, b]");
}

TEST(YamlOverride, LeavesThePlacesOfTheFileToWhatTheFileSays) {
    auto map = with_settings();
    EXPECT_EQ(map.map("train").place("other"), "run.yaml:1:22");
    EXPECT_EQ(map.map("train").places().of("other"), "run.yaml:1:22");
    EXPECT_EQ(map.map("train").place(), "run.yaml:1:8");
    EXPECT_EQ(map.place("absent"), "run.yaml:1:1");
    EXPECT_THAT([&] { map.require<std::int64_t>("name"); }, ThrowsMessage<InputError>(HasSubstr("(run.yaml:2:7)")));
    YAML::Node root;
    EXPECT_THAT([&] { set_yaml(root, "a=[1"); }, ThrowsMessage<InputError>(HasSubstr("(command line: a=[1")));
}

TEST(YamlMap, NamesTheKeyThatAnAliasStandsFor) {
    std::vector<Key> const keys{{.name = "learning_rate", .help = "", .aliases = "rate lr"}, {.name = "r", .help = ""}};
    YamlMap map{parse_yaml("lr: 1\n", "x"), "x", "train"};
    map.has("r");
    try {
        map.finish(keys);
        FAIL() << "accepted";
    } catch (InputError const& error) {
        EXPECT_EQ(error.remedy(), "did you mean train.learning_rate?");
    }
    EXPECT_EQ(known_as(keys, "rate"), "learning_rate");
    EXPECT_EQ(known_as(keys, "at"), "");
    EXPECT_EQ(known_as(keys, ""), "");
}

TEST(YamlMap, TakesAKeyThatIsNearToAMissingOneForIt) {
    YamlMap map{parse_yaml("id: a\ndomian: b\n", "x"), "x"};
    EXPECT_EQ(map.require<std::string>("id"), "a");
    EXPECT_THAT([&] { map.require<std::string>("domain"); },
                ThrowsMessage<InputError>(HasSubstr("unknown key domian (x:2:1)")));
    try {
        map.require<std::vector<std::string>>("types", "What is found. And more.");
        FAIL() << "accepted";
    } catch (InputError const& error) {
        EXPECT_STREQ(error.what(), "types is missing (x:1:1)");
        EXPECT_EQ(error.remedy(), "give it a list of texts, [a, b]: What is found");
    }
}

TEST(DidYouMean, FindsASlipAndNoWordThatHasNothingInCommon) {
    EXPECT_EQ(did_you_mean("rwos", {"rows", "let"}), "rows");
    EXPECT_EQ(did_you_mean("row", {"rows", "let"}), "rows");
    EXPECT_EQ(did_you_mean("rnu", {"plan", "run"}), "run");
    EXPECT_EQ(did_you_mean("lr", {"r", "seed"}), std::nullopt);
    EXPECT_EQ(did_you_mean("a", {"r"}), std::nullopt);
    EXPECT_EQ(did_you_mean("bs", {"r", "as"}), "as");
    EXPECT_EQ(did_you_mean("max", {"r", "mask"}), std::nullopt);
}

}  // namespace
}  // namespace samner
