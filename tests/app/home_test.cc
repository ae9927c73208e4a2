#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "command.h"
#include "core/file.h"
#include "temporary_folder.h"

// What samner finds in any working folder: what comes with it, and what a file names.
namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

fs::path const source{SAMNER_SOURCE_DIR};

class AnyFolder : public testing::Test {
protected:
    /// Runs samner in a folder.
    static CommandResult in(fs::path const& working, std::string const& arguments, std::string const& environment = {},
                            fs::path const& program = SAMNER_BINARY) {
        return run_command(fmt::format("cd '{}' && env -u SAMNER_HOME {} '{}' {}", working.string(), environment,
                                       program.string(), arguments));
    }
    void write(std::string const& name, std::string const& text) const {
        fs::create_directories((folder / name).parent_path());
        write_atomically(folder / name, text);
    }
    TemporaryFolder folder;
    fs::path const path = fs::canonical(folder.path());
    std::string const cuts = (source / "tests/data/corpora").string();
};

TEST_F(AnyFolder, FindsTheDescriptionsAndThePaperBesideTheProgram) {
    auto const stats = in(path, "data stats --root " + cuts);
    EXPECT_EQ(stats.code, 0) << stats.output;
    EXPECT_THAT(stats.output, AllOf(HasSubstr("crossner-science"), HasSubstr("Table 11 of the paper")));
    auto const doctor = in(path, "doctor");
    EXPECT_THAT(doctor.output, HasSubstr(fs::canonical(source).string() + " (the program's checkout)"));
}

TEST_F(AnyFolder, FindsShippedExperimentsAndTheirRunFilesAndSaysSo) {
    auto const plan = in(path, "plan experiments/tiny.yaml");
    EXPECT_EQ(plan.code, 0) << plan.output;
    EXPECT_THAT(plan.output, AllOf(HasSubstr(fmt::format("'{}'", (source / "experiments/tiny.yaml").string())),
                                   HasSubstr(fmt::format("'{}'", (source / "configs/runs/tiny.yaml").string()))));
    auto const named = in(path, "plan experiments/tiny.yaml --config configs/runs/tiny.yaml");
    EXPECT_EQ(named.code, 0) << named.output;
    // An own one comes first.
    write("experiments/tiny.yaml", "experiment: own\ntargets: [museum]\nrows: {base: base}\n");
    auto const own = in(path, "plan experiments/tiny.yaml --only own");
    EXPECT_EQ(own.code, 0) << own.output;
    EXPECT_THAT(own.output, Not(HasSubstr("experiments/tiny.yaml' in the working folder")));
    auto const absent = in(path, "plan experiments/none.yaml");
    EXPECT_EQ(absent.code, 2);
    EXPECT_THAT(absent.output, HasSubstr("there is no experiment file 'experiments/none.yaml'"));
}

TEST_F(AnyFolder, FindsWhatIsInstalledBesideAnInstalledProgram) {
    auto const build = fs::path{SAMNER_BINARY}.parent_path();
    auto const installed =
        run_command(fmt::format("cmake --install '{}' --component data --prefix '{}'", build.string(), path.string()));
    ASSERT_EQ(installed.code, 0) << installed.output;
    for (auto const* const name : {"configs/data/ncbi.yaml", "configs/runs/tiny.yaml", "experiments/paper/table02.yaml",
                                   "experiments/paper/values/table11.yaml"})
        EXPECT_TRUE(fs::exists(path / "share/samner" / name)) << name;
    fs::create_directories(path / "bin");
    fs::copy_file(SAMNER_BINARY, path / "bin/samner");
    auto const stats = in("/", "data stats --root " + cuts, "", path / "bin/samner");
    EXPECT_EQ(stats.code, 0) << stats.output;
    auto const doctor = in("/", "doctor", "", path / "bin/samner");
    EXPECT_THAT(doctor.output, HasSubstr((path / "share/samner").string() + " (of the installed program)"));
    fs::remove_all(path / "share");
    auto const alone = in("/", "data stats --root " + cuts, "", path / "bin/samner");
    EXPECT_EQ(alone.code, 2);
    EXPECT_THAT(alone.output, AllOf(HasSubstr("not beside the program"), HasSubstr("SAMNER_HOME")));
    auto const one = in("/", "data export ncbi --as texts --out /dev/null --root " + cuts, "", path / "bin/samner");
    EXPECT_EQ(one.code, 2);
    EXPECT_THAT(one.output, AllOf(HasSubstr("unknown data set 'ncbi'"), HasSubstr("SAMNER_HOME")));
}

TEST_F(AnyFolder, TakesTheHomeThatTheEnvironmentNamesAndRefusesAWrongOne) {
    fs::create_directories(path / "home/configs");
    fs::copy(source / "configs/data", path / "home/configs/data");
    auto const named = "SAMNER_HOME=" + (path / "home").string();
    auto const doctor = in("/", "doctor", named);
    EXPECT_THAT(doctor.output, HasSubstr((path / "home").string() + " (SAMNER_HOME)"));
    EXPECT_EQ(in("/", "data list", named).code, 0);
    auto const without = in("/", "data stats --root " + cuts, named);
    EXPECT_EQ(without.code, 2);
    EXPECT_THAT(without.output, HasSubstr("there is no 'experiments/paper/values/table11.yaml' in the home of samner"));
    auto const wrong = "SAMNER_HOME=" + path.string();
    for (auto const* const verb : {"data list", "plan experiments/tiny.yaml"}) {
        auto const refused = in("/", verb, wrong);
        EXPECT_EQ(refused.code, 2) << verb;
        EXPECT_THAT(refused.output, AllOf(HasSubstr("SAMNER_HOME is '" + path.string()), HasSubstr("configs/data")))
            << verb;
    }
    auto const ill = in("/", "doctor", wrong);
    EXPECT_EQ(ill.code, 2);
    EXPECT_THAT(ill.output, HasSubstr("SAMNER_HOME is '" + path.string()));
}

TEST_F(AnyFolder, AddsOwnDescriptionsToTheShippedOnesAndWarnsWhereTheyReplaceOne) {
    auto const text = [](std::string const& id) {
        return fmt::format(
            "id: {}\ndomain: mine\ndescription: Own.\nsplits: {{test: [{{file: t.tsv}}]}}\ntypes: [{{label: A}}]\n",
            id);
    };
    write("own/recipes.yaml", text("recipes"));
    write("own/ncbi.yaml", text("ncbi"));
    auto const list = in(path, "data list --configs own");
    EXPECT_EQ(list.code, 0) << list.output;
    EXPECT_THAT(list.output, AllOf(HasSubstr("recipes              mine"), HasSubstr("ncbi                 mine"),
                                   HasSubstr("bc5cdr "), HasSubstr("your own descriptions count for ncbi,")));
    // Those that are not named are neither looked for nor downloaded.
    write("t.tsv", "x\tO\n");
    auto const verified = in(path, "data verify --configs own --root .");
    EXPECT_THAT(verified.output, AllOf(HasSubstr("t.tsv"), Not(HasSubstr("bc5cdr"))));
    // The shipped folder itself replaces nothing.
    auto const same = in(source, "data list --configs configs/data");
    EXPECT_EQ(same.code, 0) << same.output;
    EXPECT_THAT(same.output, Not(HasSubstr("your own descriptions")));
}

TEST_F(AnyFolder, GoesOnWithARunOfAnotherWorkingFolder) {
    for (auto const* const name : {"model", "encoder", "data", "first", "second"}) fs::create_directories(path / name);
    auto const tiny = source / "tests/data/tiny";
    fs::create_directory_symlink(tiny, path / "model/tiny");
    fs::create_directory_symlink(source / ".deps/minilm", path / "encoder/minilm");
    fs::create_directory_symlink(tiny / "corpora", path / "data/corpora");
    fs::create_directory_symlink(tiny / "datasets", path / "data/described");
    write("files/e.yaml", "experiment: e\ntargets: [museum]\nrows: {base: base}\n");
    write("files/r.yaml",
          "base: ../model/tiny\nencoder: ../encoder/minilm\ndata: ../data\ndatasets: [../data/described]\n"
          "targets: {museum: {dataset: tiny-museum, sentences: 4}}\nprompt: {layout: short}\n"
          "infer: {max_new_tokens: 4}\n");
    auto const first = in(path / "first", "run ../files/e.yaml --config ../files/r.yaml --out ../run");
    EXPECT_EQ(first.code, 0) << first.output;
    auto const again =
        in(path / "second",
           fmt::format("run {0}/files/e.yaml --config {0}/files/r.yaml --out {0}/run --frozen", path.string()));
    EXPECT_EQ(again.code, 0) << again.output;
    EXPECT_THAT(again.output, HasSubstr("0 tasks are new"));
    for (auto const* const verb : {"report ../run", "show ../run base", "status ../run"}) {
        auto const read = in(path / "second", verb);
        EXPECT_EQ(read.code, 0) << verb << "\n" << read.output;
    }
    // As before paths were relative to the file.
    write("files/r.yaml", read_text(path / "files/r.yaml").replace(6, 13, "model/tiny"));
    auto const old = in(path, "plan files/e.yaml --config files/r.yaml");
    EXPECT_EQ(old.code, 2);
    EXPECT_THAT(old.output, AllOf(HasSubstr("base is 'model/tiny'"), HasSubstr("files/r.yaml:1:7"),
                                  HasSubstr("write '../model/tiny'")));
    auto const given = in(path, "plan files/e.yaml --config files/r.yaml base=model/tiny");
    EXPECT_EQ(given.code, 0) << given.output;
}

}  // namespace
}  // namespace samner
