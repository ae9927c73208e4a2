#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "command.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// Each is exit code 2 with one error that names place and remedy, and nothing is run.
class BadInput : public testing::Test {
protected:
    void expect_refused(std::string const& settings, testing::Matcher<std::string> const& message) {
        for (auto const* ranks : {"", " -n 2"}) {
            auto const run = folder / "run";
            auto const result =
                samner_command(fmt::format("run experiments/tiny.yaml --out {} {}{}", run.string(), settings, ranks));
            EXPECT_EQ(result.code, 2) << result.output;
            EXPECT_THAT(result.output, message);
            EXPECT_FALSE(fs::exists(run / "journal")) << result.output;
            EXPECT_EQ(result.output.find("error:"), result.output.rfind("error:")) << result.output;
        }
    }
    TemporaryFolder folder;
};

TEST_F(BadInput, AMisspeltKey) {
    expect_refused("train.learning_rte=1",
                   AllOf(HasSubstr("unknown training option learning_rte"), HasSubstr("did you mean learning_rate?")));
}

TEST_F(BadInput, AMisspeltKeyOfTheRunFile) {
    expect_refused("merge.densty=1",
                   AllOf(HasSubstr("unknown key merge.densty"), HasSubstr("did you mean merge.density?")));
}

TEST_F(BadInput, AnUnknownCorpus) {
    expect_refused("experts.zoo.datasets=[tiny-zo]",
                   AllOf(HasSubstr("unknown data set 'tiny-zo'"), HasSubstr("did you mean 'tiny-zoo'?")));
}

TEST_F(BadInput, AMissingModel) {
    expect_refused("base=absent.gguf", HasSubstr("absent.gguf"));
}

TEST_F(BadInput, ATruncatedModel) {
    auto const model = folder / "model";
    fs::copy(fs::path{SAMNER_SOURCE_DIR} / "tests/data/tiny", model, fs::copy_options::recursive);
    fs::resize_file(model / "model.safetensors", fs::file_size(model / "model.safetensors") / 2);
    expect_refused(fmt::format("base={}", model.string()), HasSubstr("model.safetensors"));
}

TEST_F(BadInput, ACorpusWithABrokenLine) {
    auto const data = folder / "data";
    fs::create_directories(data);
    fs::copy(fs::path{SAMNER_SOURCE_DIR} / "tests/data/tiny/corpora", data / "corpora", fs::copy_options::recursive);
    std::ofstream{data / "corpora/tiny-zoo/train.tsv", std::ios::app} << "broken line\n";
    expect_refused(fmt::format("data={}", data.string()),
                   AllOf(HasSubstr("too few columns in 'broken line'"), HasSubstr("train.tsv:")));
}

TEST_F(BadInput, AMissingCorpusFile) {
    expect_refused(fmt::format("data={}", folder.path().string()), HasSubstr("is missing"));
}

TEST_F(BadInput, ARunFolderThatCannotBeWritten) {
    std::ofstream{folder / "file"} << "x";
    auto const result =
        samner_command(fmt::format("run experiments/tiny.yaml --out {}", (folder / "file" / "run").string()));
    EXPECT_EQ(result.code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr("cannot create the run folder"));
}

/// @return the output of a call that is refused
std::string refused(std::string const& arguments) {
    auto const result = samner_command(arguments);
    EXPECT_EQ(result.code, 2) << arguments << "\n" << result.output;
    return result.output;
}

TEST_F(BadInput, AnAdapterForAVerbThatTakesNone) {
    EXPECT_THAT(refused("train --model tests/data/tiny --data tiny-zoo --adapter a --out b"), HasSubstr("--adapter"));
    EXPECT_THAT(refused("select --model tests/data/tiny --data tiny-zoo --experts a --adapter b"),
                HasSubstr("--adapter"));
}

TEST_F(BadInput, TypesThatAreEmptyTwiceOrNoText) {
    write_atomically(folder / "texts.jsonl", "{\"id\": 1, \"text\": \"a\"}\n");
    for (auto const* types : {"a,a", "' '", "'an\xff'"}) {
        EXPECT_THAT(refused(fmt::format("predict --model tests/data/tiny --in {} --types {} --out {}",
                                        (folder / "texts.jsonl").string(), types, (folder / "out").string())),
                    HasSubstr("--types"))
            << types;
    }
}

TEST_F(BadInput, AChoiceOfMoreExpertsThanThereAre) {
    for (auto const* m : {"0", "2"})
        EXPECT_THAT(refused(fmt::format("select --model tests/data/tiny --data tiny-zoo --experts a -m {}", m)),
                    HasSubstr("-m is"));
}

TEST_F(BadInput, NoModulesToTrain) {
    expect_refused("train.target_modules=[]", HasSubstr("target_modules is empty"));
}

TEST(Predict, ReadsTextsOfAPathInAnyBytes) {
    TemporaryFolder const folder;
    auto const name = folder / "n\xff.jsonl";
    write_atomically(name, "{\"id\": 1, \"text\": \"The cat saw a dog .\"}\n");
    auto const result =
        samner_command(fmt::format("predict --model tests/data/tiny --in '{}' --types a --max-new-tokens 4 --out {}",
                                   name.string(), (folder / "out").string()));
    EXPECT_EQ(result.code, 0) << result.output;
}

TEST_F(BadInput, AnUnknownVerbOrOption) {
    EXPECT_EQ(samner_command("rnu x").code, 2);
    EXPECT_EQ(samner_command("run experiments/tiny.yaml --out x --densty 1").code, 2);
    EXPECT_EQ(samner_command("gc x").code, 2);
    EXPECT_EQ(samner_command("--version").code, 0);
}

}  // namespace
}  // namespace samner
