#include "plan/reference.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/yaml.h"
#include "corpus/dataset.h"
#include "plan/experiment.h"
#include "plan/expression.h"
#include "plan/operators.h"
#include "plan/run_file.h"
#include "temporary_folder.h"

namespace samner::plan {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path const source_folder = SAMNER_SOURCE_DIR;
fs::path const page_path = source_folder / "docs/experiments.md";

std::vector<std::string> lines_of(std::string const& text) {
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// The blocks of YAML on the page and on that of data sets.
std::vector<std::string> examples() {
    std::vector<std::string> blocks;
    bool inside = false;
    auto const own_data = page_path.parent_path() / "own-data.md";
    for (auto const& line : lines_of(read_text(page_path) + read_text(own_data))) {
        if (line == "```yaml") {
            blocks.emplace_back();
            inside = true;
        } else if (line == "```") {
            inside = false;
        } else if (inside) {
            blocks.back() += line + "\n";
        }
    }
    return blocks;
}

Definitions common() {
    auto const path = source_folder / "experiments/common.yaml";
    auto const root = read_yaml(path);
    Definitions result;
    for (auto const& entry : root["let"]) {
        Place const place{path.string(), entry.second.Mark().line + 1, 1};
        result.add(entry.first.Scalar(), parse_definition(entry.second.Scalar(), place), place);
    }
    return result;
}

TEST(Reference, OfThePageIsWhatTheTablesSay) {
    auto const page = read_text(page_path);
    auto const made = with_reference(page);
    auto const* const update = std::getenv("SAMNER_UPDATE");
    if (update && std::string_view{update} == "1") write_atomically(page_path, made);
    auto const now = lines_of(read_text(page_path));
    auto const wanted = lines_of(made);
    auto const [a, b] = std::ranges::mismatch(now, wanted);
    EXPECT_TRUE(a == now.end() && b == wanted.end())
        << "docs/experiments.md, line " << a - now.begin() + 1 << ", is\n  " << (a == now.end() ? "(missing)" : *a)
        << "\nand the tables of the program say\n  " << (b == wanted.end() ? "(nothing)" : *b)
        << "\nTo make the page anew: SAMNER_UPDATE=1 build/tests/plan/plan_test --gtest_filter='Reference.*'";
}

TEST(Reference, HasNoLineOfMoreThanAHundredColumns) {
    for (auto const& line : lines_of(read_text(page_path))) {
        auto const columns = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
        EXPECT_LE(columns, 100) << line;
    }
}

TEST(Reference, KeysThatReproducingThePaperNeedsAreThere) {
    auto const page = read_text(source_folder / "docs/reproducing.md");
    auto const known = read_text(page_path);
    std::regex const key{"`((?:train|prompt|infer|merge|seeds|experts|targets)\\.[A-Za-z_.]+)`"};
    std::set<std::string> keys;
    for (std::sregex_iterator found{page.begin(), page.end(), key}; found != std::sregex_iterator{}; ++found)
        keys.insert(found->str(1));
    EXPECT_GE(keys.size(), 25U);
    for (auto const& name : keys) EXPECT_THAT(known, HasSubstr("- `" + name + "`: ")) << name;
    for (auto const* const name : {"dtype", "encoder", "samples_between", "seeds", "if_empty", "cut", "n", "trials",
                                   "temperature", "weights", "for", "let"}) {
        EXPECT_THAT(page, HasSubstr(fmt::format("`{}`", name)));
        EXPECT_THAT(known,
                    testing::AnyOf(HasSubstr(fmt::format("- `{}`: ", name)), HasSubstr(fmt::format("{}: 5", name))))
            << name;
    }
    for (auto const& line : lines_of(page)) {
        auto const columns = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
        EXPECT_LE(columns, 100) << line;
    }
}

TEST(Reference, ExamplesOfOperatorsGiveWhatTheOperatorGives) {
    auto const definitions = common();
    for (auto const& [name, op] : operators()) {
        EXPECT_THAT(op.help, EndsWith(".")) << name;
        auto const term = definitions.check(parse_expression(op.example, {name, 1, 1}));
        EXPECT_EQ(term->op, name) << op.example;
        EXPECT_EQ(term->type, op.result) << op.example;
    }
}

TEST(Reference, FilesOnThePageAreRead) {
    TemporaryFolder const folder;
    std::vector<Experiment> experiments;
    std::vector<RunFile> runs;
    int datasets = 0;
    for (auto const& text : examples()) {
        SCOPED_TRACE(text);
        if (text.starts_with("experiment:")) {
            write_atomically(folder / "experiment.yaml", text);
            experiments.push_back(load_experiment(folder / "experiment.yaml"));
        } else if (text.starts_with("id:")) {
            fs::create_directory(folder / "descriptions");
            write_atomically(folder / "descriptions/mine.yaml", text);
            EXPECT_EQ(corpus::Catalogue({folder / "descriptions"}).at("mine").types.size(), 1U);
            ++datasets;
        } else {
            runs.push_back(parse_run_file(text, "docs/experiments.md"));
        }
    }
    ASSERT_EQ(experiments.size(), 2U);
    ASSERT_EQ(runs.size(), 3U);
    EXPECT_EQ(runs.back().targets.at("manuals").types.size(), 2U);
    EXPECT_EQ(datasets, 1);
    EXPECT_NO_THROW(check_names(experiments, runs.front()));
    EXPECT_EQ(experiments.back().rows.size(), 6U);
}

TEST(Reference, DefaultsArePrintedAsARunFileWithoutThemHasThem) {
    auto const written = [](std::vector<std::string> overrides) {
        overrides.insert(overrides.begin(), "prompt.parts={}");
        return to_yaml(parse_run_file("base: b\nencoder: e\nexperts: {X: {datasets: [a]}}\ntargets: {X: {dataset: a}}",
                                      "a test", overrides));
    };
    auto const usual = written({});
    std::regex const entry{"^- `([^`]+)`: [^`]*(?:(?:one of )[^;]*)?; default (empty|`[^`]*`)\\..*"};
    std::set<std::string> seen;
    for (auto const& [section, text] : reference_sections()) {
        if (section == "seeds" || section == "operators") continue;
        // Lines of one entry as one.
        auto const joined = std::regex_replace(text, std::regex{"\n  "}, " ");
        for (auto const& line : lines_of(joined)) {
            std::smatch match;
            if (!std::regex_match(line, match, entry) || match.str(1) == "experts.X.texts" ||
                match.str(1) == "targets.X.gold")
                continue;
            auto const value = match.str(2) == "empty" ? "''" : match.str(2).substr(1, match.str(2).size() - 2);
            if (match.str(1) == "prompt.parts") continue;  // above
            EXPECT_EQ(written({match.str(1) + "=" + value}), usual) << line;
            seen.insert(match.str(1));
        }
    }
    EXPECT_GE(seen.size(), 50U);  // not nothing
    for (auto const* key : {"data", "device", "infer.fold", "merge.sign", "train.rank_pattern", "train.target_modules",
                            "experts.X.samples", "targets.X.split", "prompt.parts.formats", "samples_between"})
        EXPECT_TRUE(seen.contains(key)) << key;
}

TEST(Reference, TablesOfHelpNameEveryFieldOnce) {
    auto const names_of = [](std::span<Key const> table) {
        std::vector<std::string> names;
        for (auto const& key : table) {
            EXPECT_THAT(std::string{key.help}, EndsWith(".")) << key.name;
            names.emplace_back(key.name);
        }
        return names;
    };
    auto const fields_of = []<class T>(T const& value) {
        std::vector<std::string> names;
        T::fields(value, [&](std::string const& name, auto const&, bool = true) { names.push_back(name); });
        return names;
    };
    EXPECT_EQ(names_of(train::Options::help()), fields_of(train::Options{}));
    EXPECT_EQ(names_of(Seeds::help()), fields_of(Seeds{}));
    std::vector<std::string> rates;
    auto const json = prompt::Rates{}.to_json();
    for (auto const& [name, value] : json.items()) rates.push_back(name);
    EXPECT_THAT(names_of(prompt::Rates::help()), testing::UnorderedElementsAreArray(rates));
    EXPECT_THROW(key_named(Seeds::help(), "nothing"), Error);
}

TEST(Reference, KeysOfAnExperimentAreReadOrRefusedAsNotThereYet) {
    TemporaryFolder const folder;
    write_atomically(folder / "common.yaml", "let: {}\n");
    write_atomically(folder / "values.yaml", "rows: []\n");
    for (auto const& key : experiment_keys()) {
        std::string const name{key.name};
        std::map<std::string, std::string> const values{{"include", "[common.yaml]"},
                                                        {"average", "mean"},
                                                        {"title", "t"},
                                                        {"exclude", "b == target"},
                                                        {"paper", "{table: 1, values: values.yaml}"},
                                                        {"published", "[]"}};
        // These two stand in place of others.
        if (name == "experiments" || name == "shows") continue;
        std::string const value = values.contains(name) ? values.at(name) : "{}";
        std::string const required = "experiment: a\ntargets: [b]\nrows: {base: base}\n";
        bool const there = required.find(name + ":") != std::string::npos;
        auto const text = there ? required : fmt::format("{}{}: {}\n", required, name, value);
        write_atomically(folder / "experiment.yaml", text);
        auto const load = [&] { load_experiment(folder / "experiment.yaml"); };
        if (key.help.starts_with("Not there yet")) {
            EXPECT_THAT(load, ThrowsMessage<InputError>(HasSubstr(name + "' is not there yet")));
        } else {
            EXPECT_NO_THROW(load()) << text;
        }
    }
}

TEST(Reference, RefusesAPageWithASectionThatIsUnknownOpenOrMissing) {
    EXPECT_THAT([] { with_reference("<!-- generated: oprators -->\n<!-- end -->\n"); },
                ThrowsMessage<InputError>(HasSubstr("'oprators'")));
    EXPECT_THAT([] { with_reference("<!-- generated: operators -->\n"); },
                ThrowsMessage<InputError>(HasSubstr("does not end")));
    EXPECT_THAT([] { with_reference("nothing"); }, ThrowsMessage<InputError>(HasSubstr("has no section")));
    auto page = read_text(page_path);
    auto const end = page.rfind("<!-- end -->");
    page.insert(end, "what nobody generates\n");
    EXPECT_EQ(with_reference(page), with_reference(read_text(page_path)));
}

}  // namespace
}  // namespace samner::plan
