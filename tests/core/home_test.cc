#include "core/home.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// A working folder and an environment of the test's own, which go with it.
class HomeOfFiles : public testing::Test {
protected:
    void SetUp() override {
        if (auto const* const named = std::getenv("SAMNER_HOME")) before_ = named;
        fs::create_directories(home / "configs/data");
        fs::create_directories(working);
        write_atomically(home / "configs/data/x.yaml", "id: x\n");
        write_atomically(working / "here.yaml", "a: 1\n");
        folder_before_ = fs::current_path();
        fs::current_path(working);
        ::setenv("SAMNER_HOME", home.c_str(), 1);
    }
    void TearDown() override {
        fs::current_path(folder_before_);
        before_ ? ::setenv("SAMNER_HOME", before_->c_str(), 1) : ::unsetenv("SAMNER_HOME");
    }
    TemporaryFolder folder;
    fs::path const home = fs::canonical(folder.path()) / "home";
    fs::path const working = fs::canonical(folder.path()) / "working";

private:
    std::optional<std::string> before_;
    fs::path folder_before_;
};

TEST_F(HomeOfFiles, IsTheFolderThatTheEnvironmentNames) {
    auto const found = find_home();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->folder, home);
    EXPECT_EQ(shipped("configs/data/x.yaml"), home / "configs/data/x.yaml");
    EXPECT_THAT([] { shipped("experiments/none.yaml"); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("experiments/none.yaml"), HasSubstr(home.string()))));
    ::setenv("SAMNER_HOME", "../home/", 1);
    EXPECT_EQ(find_home()->folder, home);
}

TEST_F(HomeOfFiles, IsAnErrorWhereTheEnvironmentNamesAnotherFolder) {
    ::setenv("SAMNER_HOME", working.c_str(), 1);
    EXPECT_THAT([] { find_home(); }, ThrowsMessage<InputError>(AllOf(HasSubstr("SAMNER_HOME is '" + working.string()),
                                                                     HasSubstr("configs/data"))));
}

TEST_F(HomeOfFiles, GivesWhatIsNotInTheWorkingFolder) {
    EXPECT_EQ(given_or_shipped("here.yaml"), "here.yaml");
    EXPECT_EQ(given_or_shipped("configs/data/x.yaml"), home / "configs/data/x.yaml");
    EXPECT_EQ(given_or_shipped("nowhere.yaml"), "nowhere.yaml");
    EXPECT_EQ(given_or_shipped("../home/../home/none.yaml"), "../home/../home/none.yaml");
    fs::create_directories(working / "configs/data");
    write_atomically(working / "configs/data/x.yaml", "id: x\n");
    EXPECT_EQ(given_or_shipped("configs/data/x.yaml"), "configs/data/x.yaml");
}

TEST_F(HomeOfFiles, LeavesPathsInAFileRelativeToThatFile) {
    EXPECT_EQ(path_in_file(home / "configs", "../models/m/", "base", "x.yaml:1:1"), home / "models/m");
    EXPECT_EQ(path_in_file(home / "configs", "/models/./m", "base", "x.yaml:1:1"), "/models/m");
    EXPECT_EQ(path_in_file({}, "models", "base", "command line"), working / "models");
    EXPECT_EQ(path_in_file(home, "configs", "data", "x.yaml:1:1"), home / "configs");
}

TEST_F(HomeOfFiles, SaysWhatToWriteForAPathThatIsRelativeToTheWorkingFolder) {
    try {
        path_in_file(home / "configs", "here.yaml", "base", "run.yaml:3:7");
        FAIL() << "accepted";
    } catch (InputError const& error) {
        EXPECT_THAT(describe(error),
                    AllOf(HasSubstr("base is 'here.yaml'"), HasSubstr((home / "configs/here.yaml").string()),
                          HasSubstr("run.yaml:3:7"), HasSubstr("write '../../working/here.yaml'")));
    }
}

}  // namespace
}  // namespace samner
