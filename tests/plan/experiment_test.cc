#include "plan/experiment.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/error.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner::plan {
namespace {

using testing::HasSubstr;
std::filesystem::path const source{SAMNER_SOURCE_DIR};

class ExperimentFile : public testing::Test {
protected:
    std::filesystem::path folder =
        std::filesystem::path{testing::TempDir()} / testing::UnitTest::GetInstance()->current_test_info()->name();
    void SetUp() override { std::filesystem::create_directories(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }
    std::filesystem::path write(std::string const& name, std::string const& text) const {
        write_atomically(folder / name, text);
        return folder / name;
    }
    std::string error_of(std::string const& text) const {
        try {
            load_experiment(write("x.yaml", text));
        } catch (InputError const& error) {
            return describe(error);
        }
        return "no error";
    }
};

TEST_F(ExperimentFile, TheDemoHasNineSystemsInTheOrderOfTheFile) {
    auto const demo = load_experiment(source / "experiments/demo.yaml");
    std::vector<std::string> names;
    for (auto const& row : demo.rows) names.push_back(row.name);
    EXPECT_THAT(names, testing::ElementsAre("base", "unified", "expert_biomedical", "expert_tweets", "expert_web",
                                            "expert_stem", "similarity_only", "sampling_only", "sam"));
    EXPECT_THAT(demo.targets.columns(), testing::ElementsAre("science", "politics"));
    EXPECT_TRUE(demo.average);
}

TEST_F(ExperimentFile, RefusesWhatExpandsWithoutEnd) {
    std::string text = "experiment: x\ntargets: [a]\nlet:\n  v0: base\n";
    for (int i = 1; i < 9; ++i) {
        text += fmt::format("  v{}: union(", i);
        for (int copy = 0; copy < 10; ++copy) text += fmt::format("v{}{}", i - 1, copy < 9 ? ", " : ")\n");
    }
    EXPECT_THAT(error_of(text + "rows: {r: v8}\n"), HasSubstr("expand to more than 1000000 parts"));
    std::string loops = "experiment: x\ntargets: [a]\nfor:\n";
    for (char const variable : std::string{"abcdefg"})
        loops += fmt::format("  {}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", variable);
    EXPECT_THAT(error_of(loops + "rows: {'{a}{b}{c}{d}{e}{f}{g}': base}\n"),
                HasSubstr("`for` has more than 10000 combinations (" + (folder / "x.yaml:8").string()));
}

TEST_F(ExperimentFile, RefusesNamesThatResultsCannotHave) {
    std::string const head = "experiment: x\ntargets: [a]\nrows:\n";
    EXPECT_THAT(error_of(head + "  \"a\\0b\": base\n"), HasSubstr("the name of a row has control characters"));
    EXPECT_THAT(error_of(head + "  \"a\\nb\": base\n"), HasSubstr("the name of a row has control characters"));
    EXPECT_THAT(error_of(head + "  ~: base\n"), HasSubstr("a key is no text"));
    EXPECT_THAT(error_of(head + "  ? [a]\n  : base\n"), HasSubstr("a key is no text"));
    EXPECT_THAT(error_of(head + "  '': base\n"), HasSubstr("the name of a row is empty"));
    EXPECT_THAT(error_of(head + "  " + std::string(201, 'r') + ": base\n"), HasSubstr("has 201 bytes"));
    EXPECT_THAT(error_of("experiment: \"x\\x07\"\ntargets: [a]\nrows: {r: base}\n"),
                HasSubstr("the name of an experiment has control characters"));
}

TEST_F(ExperimentFile, RefusesConditionsAndVariablesWithoutEffect) {
    std::string const head = "experiment: x\ntargets: [zoo, lab]\nfor: {l: [zoo, lab]}\nrows: {'{l}': 'expert(pool(zoo, lab), {l})'}\n";
    EXPECT_EQ(error_of(head + "exclude: l == target\n"), "no error");
    EXPECT_EQ(error_of(head + "exclude: l == zoo and target != lab\n"), "no error");
    EXPECT_THAT(error_of(head + "exclude: l == taret\n"), HasSubstr("did you mean target?"));
    EXPECT_THAT(error_of(head + "exclude: target == target\n"), HasSubstr("exclude compares 'target' with 'target'"));
    EXPECT_THAT(error_of(head + "exclude: zoo == lab\n"), HasSubstr("exclude compares 'zoo' with 'lab'"));
    EXPECT_THAT(error_of("experiment: x\ntargets: [a]\nfor: {m: [1], n: [2]}\nrows: {'m{m}': base}\n"),
                HasSubstr("no row uses the variable 'n'"));
}

TEST_F(ExperimentFile, RefusesWeightsOfAnotherNumberThanTheSetHas) {
    std::string const head = "experiment: x\ntargets: [a]\nrows: {r: 'merge(";
    EXPECT_THAT(error_of(head + "select(pool(a, b, c), similarity, 2), weights=[1, 2, 3])'}\n"),
                HasSubstr("3 weights for 2 experts"));
    EXPECT_THAT(error_of(head + "pool(a, b, c), weights=[1, 2])'}\n"), HasSubstr("2 weights for 3 experts"));
    EXPECT_EQ(error_of(head + "select(pool(a, b, c), similarity, 2), weights=[1, 2])'}\n"), "no error");
}

TEST_F(ExperimentFile, RefusesPrintedValuesThatCannotBe) {
    auto const with = [&](std::string const& paper, std::string const& values) {
        write("v.yaml", values);
        return error_of("experiment: x\ntargets: [a]\nrows: {r: base}\npaper: " + paper + "\n");
    };
    std::string const good = "rows: [{system: r, base: b, cells: {a: 50}}]\n";
    EXPECT_EQ(with("{table: 1, values: v.yaml}", good), "no error");
    EXPECT_THAT(with("{tabel: 1, values: v.yaml}", good), HasSubstr("did you mean"));
    EXPECT_THAT(with("{table: two, values: v.yaml}", good), HasSubstr("x.yaml:4"));
    EXPECT_THAT(with("{table: -2, values: v.yaml}", good), HasSubstr("paper.table is -2"));
    EXPECT_THAT(with("{table: 1, values: w.yaml}", good), HasSubstr("there is no file '" + (folder / "w.yaml").string()));
    EXPECT_THAT(with("{table: 1, values: v.yaml}", "rows: [{system: r, base: b, cells: {a: 500}}]\n"),
                HasSubstr("give it a number in percent, 0 to 100"));
    EXPECT_THAT(with("{table: 1, values: v.yaml}",
                     "rows: [{system: r, base: b, cells: {a: 5}}, {system: r, base: b, cells: {a: 6}}]\n"),
                HasSubstr("r on the base b is printed twice"));
}

TEST_F(ExperimentFile, RefusesListsOfNothingAndOfFilesThatAreNotThere) {
    EXPECT_THROW(load_experiments({write("empty.yaml", "experiments: []\n")}), InputError);
    try {
        load_experiments({write("list.yaml", "experiments: [nowhere.yaml]\n")});
        FAIL();
    } catch (InputError const& error) {
        EXPECT_THAT(describe(error), testing::AllOf(HasSubstr("nowhere.yaml"), HasSubstr("list.yaml:1")));
    }
}

TEST_F(ExperimentFile, SaysWhereAFileWouldBeThatIsRelativeToTheWorkingFolder) {
    std::filesystem::create_directories(folder / "experiments");
    write("common.yaml", "let: {p: \"pool(a, b)\"}\n");
    auto const before = std::filesystem::current_path();
    std::filesystem::current_path(folder);
    try {
        load_experiment(
            write("experiments/e.yaml", "experiment: e\ninclude: [common.yaml]\ntargets: [t]\nrows: {b: base}\n"));
        ADD_FAILURE() << "accepted";
    } catch (InputError const& error) {
        EXPECT_THAT(describe(error), testing::AllOf(HasSubstr("include is 'common.yaml'"), HasSubstr("e.yaml:2:10"),
                                                    HasSubstr("write '../common.yaml'")));
    }
    std::filesystem::current_path(before);
}

TEST_F(ExperimentFile, ErrorsNameTheLineAndColumnInTheFile) {
    EXPECT_THAT(error_of("experiment: x\ntargets: [a]\nrows:\n  r: \"merg(six)\"\n"), HasSubstr("x.yaml:4:7"));
    EXPECT_THAT(error_of("experiment: x\ntargets: [a, a]\nrows: {r: base}\n"), HasSubstr("target 'a' is named twice"));
    EXPECT_THAT(error_of("experiment: x\ntargets: [a]\nrow: {r: base}\n"), HasSubstr("did you mean rows?"));
    EXPECT_THAT(error_of("experiment: x\ntargets: [a]\nrows: {r: base}\naverag: mean\n"), HasSubstr("did you mean"));
    for (std::string const wrong :
         {"{}", "{pooled: [a], domains: [b]}", "{one_sentence: {trials: 5}}", "{one_sentence: {of: [a], trials: 0}}",
          "{pooled: []}", "{pooled: [pooled]}", "{domains: {of: [a]}}", "7"})
        EXPECT_THAT(error_of(fmt::format("experiment: x\ntargets: {}\nrows: {{r: base}}\n", wrong)),
                    HasSubstr("x.yaml:2:10"))
            << wrong;
    EXPECT_THAT(error_of("experiment: x\ntargets: {poold: [a]}\nrows: {r: base}\n"), HasSubstr("did you mean"));
    EXPECT_THAT(error_of("experiment: x\ntargets: [a]\nfor: {i: [1, 2]}\nrows: {r: \"expert(pool(a, b), {i})\"}\n"),
                HasSubstr("row 'r' is named twice"));
}

TEST_F(ExperimentFile, ANameThatCannotNameAGroupOfResultsIsAnError) {
    for (auto const* name : {"/x", "x/", "a/b", ".", "..", "''"})
        EXPECT_THAT(error_of(fmt::format("experiment: {}\ntargets: [a]\nrows: {{r: base}}\n", name)),
                    HasSubstr("the experiment is named"))
            << name;
}

TEST_F(ExperimentFile, CyclicIncludesAreAnErrorAndSharedOnesAreReadOnce) {
    write("a.yaml", "include: [b.yaml]\n");
    write("b.yaml", "include: [a.yaml]\n");
    EXPECT_THAT(error_of("experiment: x\ninclude: [a.yaml]\ntargets: [a]\nrows: {r: base}\n"),
                HasSubstr("includes itself"));
    write("c.yaml", "let: {p: pool(u)}\n");
    write("d.yaml", "include: [c.yaml]\n");
    EXPECT_EQ(error_of("experiment: x\ninclude: [c.yaml, d.yaml]\ntargets: [a]\nrows: {r: unified(p)}\n"), "no error");
}

TEST_F(ExperimentFile, TheSharedDefinitionsAreWellTypedWhenUsed) {
    EXPECT_EQ(
        error_of("experiment: x\ninclude: ['" + (source / "experiments/common.yaml").string() +
                 "']\ntargets: [ai]\nrows: {a: sam(three), b: sam(nine), c: sam(mixed), d: 'expert(langs, ru)', e: "
                 "'merge(unite(ds(), se(), cut=3))'}\n"),
        "no error");
}

TEST_F(ExperimentFile, TwoExperimentsOfOneNameAreAnError) {
    auto const first = write("1.yaml", "experiment: x\ntargets: [a]\nrows: {r: base}\n");
    auto const second = write("2.yaml", "experiment: x\ntargets: [a]\nrows: {r: base}\n");
    EXPECT_THROW(load_experiments({first, second}), InputError);
}

TEST(Experiment, TakesAMisspeltKeyForTheOneThatIsMissing) {
    TemporaryFolder const folder;
    auto const refusal = [&](std::string const& text) {
        write_atomically(folder / "e.yaml", text);
        try {
            load_experiment(folder / "e.yaml");
        } catch (InputError const& error) {
            return describe(error);
        }
        return std::string{"accepted"};
    };
    std::string const rest = "let: {}\n";
    for (auto const* rows : {"rwos", "row", "rowss"})
        EXPECT_THAT(refusal(fmt::format("experiment: a\ntargets: [b]\n{}: {{base: base}}\n{}", rows, rest)),
                    testing::AllOf(HasSubstr(fmt::format("unknown key {} (", rows)), HasSubstr("e.yaml:3:1"),
                                   HasSubstr("did you mean rows?")));
    EXPECT_THAT(refusal("experiment: a\ntarget: [b]\nrows: {base: base}\n"), HasSubstr("did you mean targets?"));
    EXPECT_THAT(refusal("experimnt: a\ntargets: [b]\nrows: {base: base}\n"), HasSubstr("did you mean experiment?"));
    EXPECT_THAT(refusal("experiment: a\nrows: {base: base}\n"), HasSubstr("targets is missing ("));
    EXPECT_THAT(refusal("experiment: a\ntargets: b\nrows: {base: base}\n"), HasSubstr("e.yaml:2:10"));
    EXPECT_THAT(refusal("experiment: a\ntargets: [b]\nrows: {}\n"), HasSubstr("the experiment has no rows"));
    EXPECT_THAT(refusal("targets: [b]\nrows: {base: base}\n"), HasSubstr("give it a text: The name under which"));
}

TEST_F(ExperimentFile, ListsOthersWithoutGoingRoundInCircles) {
    write("a.yaml", "experiment: a\ntargets: [x]\nrows: {r: base}\n");
    write("b.yaml", "experiment: b\nshows: {data: 'pool(p, q)'}\n");
    write("inner.yaml", "experiments: [b.yaml]\n");
    auto const all = load_experiments({write("all.yaml", "experiments: [a.yaml, inner.yaml]\n")});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "a");
    EXPECT_TRUE(all[1].shows_data());
    auto const refusal = [&](std::string const& text) {
        try {
            load_experiments({write("all.yaml", text)});
        } catch (InputError const& error) {
            return std::string{error.what()};
        }
        return std::string{"no error"};
    };
    EXPECT_THAT(refusal("experiments: [all.yaml]\n"), HasSubstr("lists itself"));
    EXPECT_THAT(refusal("experiments: [a.yaml, a.yaml]\n"), HasSubstr("two experiments are named 'a'"));
    EXPECT_THAT(refusal("experiments: [a.yaml]\ntitle: t\n"), HasSubstr("'title' of a file that lists experiments"));
    EXPECT_THAT(refusal("experiment: c\nshows: {data: 'pool(p)'}\nrows: {r: base}\n"),
                HasSubstr("'rows' of an experiment that"));
    EXPECT_THAT(refusal("experiment: c\ntargets: [x]\nrows: {r: base}\npublished: [y]\n"),
                HasSubstr("'y' has no printed values"));
}

}  // namespace
}  // namespace samner::plan
