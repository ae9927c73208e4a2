#include "core/file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;

TEST(File, WrittenAtomicallyIsReadBackAndLeavesNoPartial) {
    TemporaryFolder const folder;
    write_atomically(folder / "a.txt", "one\ntwo\n");
    write_atomically(folder / "a.txt", "three");
    EXPECT_EQ(read_text(folder / "a.txt"), "three");
    EXPECT_FALSE(fs::exists(folder / "a.txt.partial"));
}

TEST(File, ThatIsMissingOrAFolderIsAnInputError) {
    TemporaryFolder const folder;
    EXPECT_THROW(MappedFile{folder / "absent"}, InputError);
    EXPECT_THROW(MappedFile{folder.path()}, InputError);
}

TEST(File, InAFolderThatDoesNotExistIsAStorageError) {
    TemporaryFolder const folder;
    EXPECT_THROW(write_atomically(folder / "no" / "a.txt", "x"), StorageError);
}

TEST(Lines, EndWithLfOrCrlfAndTheLastOneMayLackIt) {
    std::vector<std::string> lines;
    for_each_line("a\r\n\nb", [&](std::string_view line, std::size_t number) {
        lines.push_back(std::to_string(number) + std::string{line});
    });
    EXPECT_EQ(lines, (std::vector<std::string>{"1a", "2", "3b"}));
}

TEST(FolderWrittenAtomically, DoesNotAppearWhenFillingItFails) {
    TemporaryFolder const folder;
    auto const target = folder / "adapter";
    EXPECT_THROW(write_folder_atomically(target,
                                         [](fs::path const& partial) {
                                             std::ofstream{partial / "half"} << "half";
                                             throw Error{"out of memory"};
                                         }),
                 Error);
    EXPECT_FALSE(fs::exists(target));
    EXPECT_FALSE(fs::exists(folder / "adapter.partial"));
}

TEST(FolderWrittenAtomically, ReplacesAnOldOneOnlyWhenAsked) {
    TemporaryFolder const folder;
    auto const fill = [](char const* text) {
        return [text](fs::path const& partial) { std::ofstream{partial / "file"} << text; };
    };
    write_folder_atomically(folder / "a", fill("old"));
    EXPECT_THROW(write_folder_atomically(folder / "a", fill("new")), StorageError);
    EXPECT_EQ(read_text(folder / "a" / "file"), "old");
    write_folder_atomically(folder / "a", fill("new"), true);
    EXPECT_EQ(read_text(folder / "a" / "file"), "new");
}

}  // namespace
}  // namespace samner
