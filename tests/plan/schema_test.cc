#include "plan/schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "plan/run_file.h"

namespace samner::plan {
namespace {

namespace fs = std::filesystem;

fs::path const folder = fs::path{SAMNER_SOURCE_DIR} / "configs/schemas";

TEST(Schemas, AreWhatTheTablesSay) {
    auto const* const update = std::getenv("SAMNER_UPDATE");
    std::set<std::string> names;
    for (auto const& [name, schema] : schemas()) {
        names.insert(name);
        auto const path = folder / name;
        if (update && std::string_view{update} == "1") {
            fs::create_directories(folder);
            write_atomically(path, schema_text(schema));
        }
        ASSERT_TRUE(fs::exists(path)) << path;
        EXPECT_TRUE(read_text(path) == schema_text(schema))
            << "configs/schemas/" << name << " is not what the tables of the program say.\nTo make it anew: "
            << "SAMNER_UPDATE=1 build/tests/plan/plan_test --gtest_filter='Schemas.*'";
    }
    for (auto const& entry : fs::directory_iterator{folder})
        EXPECT_TRUE(names.contains(entry.path().filename().string())) << entry.path();
}

/// Whether a run file with these settings is read.
bool is_read(std::vector<std::string> settings) {
    // `mask` is at most `definitions`.
    if (settings.front().starts_with("prompt.parts.mask="))
        settings.insert(settings.begin(), "prompt.parts.definitions=1");
    if (settings.front().starts_with("prompt.parts.definitions="))
        settings.insert(settings.begin(), "prompt.parts.mask=0");
    try {
        parse_run_file("base: b\nencoder: e\nexperts: {X: {datasets: [a]}}\ntargets: {X: {dataset: a}}", "a test",
                       settings);
        return true;
    } catch (InputError const&) {
        return false;
    }
}

/// Calls visit(name, shape) with each key of a run file that is no map.
void for_each_key(Json const& shape, std::string const& path,
                  std::function<void(std::string const&, Json const&)> const& visit) {
    if (shape.contains("else")) return for_each_key(shape.at("else"), path, visit);
    if (shape.contains("properties")) {
        for (auto const& [name, inside] : shape.at("properties").items())
            for_each_key(inside, path.empty() ? name : path + "." + name, visit);
    } else if (shape.contains("additionalProperties") && shape.at("additionalProperties").contains("else")) {
        for_each_key(shape.at("additionalProperties"), path + ".X", visit);
    } else if (shape.contains("anyOf")) {
        for (auto const& one : shape.at("anyOf"))
            if (path != "seeds") for_each_key(one, path, visit);
    } else if (!path.empty()) {
        visit(path, shape);
    }
}

TEST(Schemas, HaveTheBoundsThatTheProgramHas) {
    int bounds = 0;
    for_each_key(schemas().at("run.schema.json"), "", [&](std::string const& name, Json const& shape) {
        auto const type = shape.value("type", Json{});
        bool const list = type == "array";
        auto const& number = list ? shape.at("items") : shape;
        if (number.value("type", Json{}) != "number" && number.value("type", Json{}) != "integer") return;
        double const step = number.at("type") == "integer" ? 1 : 1.0 / 128;
        auto const reads = [&](double value) {
            return is_read({list ? fmt::format("{0}=[{1}, {1}]", name, value) : fmt::format("{}={}", name, value)});
        };
        auto const expect = [&](char const* key, double outside, bool included) {
            if (!number.contains(key)) return;
            auto const bound = number.at(key).get<double>();
            ++bounds;
            EXPECT_EQ(reads(bound), included) << name << " " << key << " " << bound;
            EXPECT_EQ(reads(bound + outside * step), false) << name << " beyond " << bound;
            EXPECT_EQ(reads(bound - outside * step), name != "train.max_steps") << name << " within " << bound;
        };
        expect("minimum", -1, true);
        expect("exclusiveMinimum", -1, false);
        expect("maximum", 1, true);
        expect("exclusiveMaximum", 1, false);
    });
    EXPECT_GT(bounds, 40);
}

TEST(Schemas, RefuseValuesOfAnotherTypeWhereTheProgramDoes) {
    int keys = 0;
    for_each_key(schemas().at("run.schema.json"), "", [&](std::string const& name, Json const& shape) {
        ++keys;
        auto const type = shape.value("type", Json{});
        if (name == "train.target_modules" || name == "targets.X.types") return;  // of several shapes
        auto const* const wrong = type == "array" ? "word" : shape.contains("enum") ? "nonsense" : "[[]]";
        EXPECT_FALSE(is_read({fmt::format("{}={}", name, wrong)})) << name;
        bool const number = type == "number" || type == "integer";
        EXPECT_FALSE((number || type == "boolean") && is_read({name + "=word"})) << name;
        EXPECT_FALSE(type == "integer" && is_read({name + "=1.5"})) << name;
    });
    EXPECT_GT(keys, 60);
}

TEST(Schemas, HaveTheDefaultsThatTheProgramHas) {
    auto const usual =
        to_yaml(parse_run_file("base: b\nencoder: e\nexperts: {X: {datasets: [a]}}\ntargets: {X: {dataset: a}}",
                               "a test", {"prompt.parts={}"}));
    int defaults = 0;
    for_each_key(schemas().at("run.schema.json"), "", [&](std::string const& name, Json const& shape) {
        if (!shape.contains("default")) return;
        ++defaults;
        auto const given = to_yaml(
            parse_run_file("base: b\nencoder: e\nexperts: {X: {datasets: [a]}}\ntargets: {X: {dataset: a}}", "a test",
                           {"prompt.parts={}", fmt::format("{}={}", name, shape.at("default").dump())}));
        EXPECT_EQ(given, usual) << name;
    });
    EXPECT_GT(defaults, 40);
}

}  // namespace
}  // namespace samner::plan
