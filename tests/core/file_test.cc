#include "core/file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <future>

#include "core/error.h"
#include "core/growing_file.h"
#include "core/stop.h"
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

/// Everything that a reader of a FIFO gets until its writer closes it.
std::future<std::string> reader_of(fs::path const& fifo) {
    return std::async(std::launch::async, [fifo] {
        std::ifstream file{fifo, std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{file}, {}};
    });
}

TEST(Output, ThatIsAFifoGetsTheBytesAndStaysOne) {
    TemporaryFolder const folder;
    auto const fifo = folder / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::string const large(300'000, 'x');  // more than a pipe holds
    auto read = reader_of(fifo);
    write_atomically(fifo, large);
    EXPECT_EQ(read.get(), large);
    fs::create_symlink("fifo", folder / "link");
    read = reader_of(fifo);
    write_atomically(folder / "link", "through a link");
    EXPECT_EQ(read.get(), "through a link");
    std::ofstream{folder / "whole"} << "moved";
    read = reader_of(fifo);
    move_into_place(folder / "whole", fifo);
    EXPECT_EQ(read.get(), "moved");
    EXPECT_TRUE(fs::is_fifo(fifo));
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
    EXPECT_EQ(std::distance(fs::directory_iterator{folder.path()}, fs::directory_iterator{}), 2);
}

TEST(Output, ThatIsAFifoWithoutAReaderWaitsUntilAStopAndInPassingGetsNothing) {
    TemporaryFolder const folder;
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
    write_in_passing(folder / "fifo", "nobody reads this");
    request_stop(SIGTERM);
    EXPECT_THROW(write_atomically(folder / "fifo", "x"), Stopped);
    clear_stop();
}

TEST(Output, WhoseReaderIsGoneIsAStorageError) {
    TemporaryFolder const folder;
    auto const fifo = folder / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    auto const reader = std::async(std::launch::async, [&] { std::ifstream{fifo}.get(); });
    EXPECT_THROW(write_atomically(fifo,
                                  [&](auto const& append) {
                                      for (int i = 0; i < 1000; ++i) append(std::string(100'000, 'x'));
                                  }),
                 StorageError);
}

TEST(Output, ThatIsASocketOrADeviceGetsTheBytes) {
    TemporaryFolder const folder;
    int const server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy((folder / "socket").native(), address.sun_path);
    ASSERT_EQ(::bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(server, 1), 0);
    write_atomically(folder / "socket", "over a socket");
    int const client = ::accept(server, nullptr, nullptr);
    std::array<char, 64> bytes{};
    EXPECT_EQ(::read(client, bytes.data(), bytes.size()), 13);
    ::close(client);
    ::close(server);
    EXPECT_TRUE(fs::is_socket(folder / "socket"));

    if (::mknod((folder / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) {  // as root
        write_atomically(folder / "null", "x");
        EXPECT_TRUE(fs::is_character_file(folder / "null"));
    }
}

TEST(Output, ThatIsAnOpenFileOfThisProcessIsWrittenOnFromWhereItStands) {
    TemporaryFolder const folder;
    auto* const file = std::fopen((folder / "log").c_str(), "w");
    std::fputs("before ", file);
    std::fflush(file);
    auto const path = fmt::format("/proc/self/fd/{}", ::fileno(file));
    check_output_file(path, Existing::refused);
    write_atomically(path, "and");
    std::fputs(" after", file);
    std::fclose(file);
    EXPECT_EQ(read_text(folder / "log"), "before and after");
}

TEST(Output, ThatIsALinkIsWrittenBehindItAndTheLinkStays) {
    TemporaryFolder const folder;
    fs::create_directory(folder / "elsewhere");
    fs::create_symlink("elsewhere/file", folder / "link");  // leads to nothing yet
    fs::create_symlink("link", folder / "second");
    write_atomically(folder / "second", "new");
    write_atomically(folder / "link", "newer");
    EXPECT_EQ(read_text(folder / "elsewhere/file"), "newer");
    EXPECT_TRUE(fs::is_symlink(folder / "second") && fs::is_symlink(folder / "link"));
    fs::create_symlink("round", folder / "about");
    fs::create_symlink("about", folder / "round");
    EXPECT_THROW(write_atomically(folder / "round", "x"), InputError);
    fs::create_symlink("elsewhere/adapter", folder / "adapter");
    write_folder_atomically((folder / "adapter/").string(),
                            [](fs::path const& partial) { std::ofstream{partial / "f"} << "a"; });
    EXPECT_EQ(read_text(folder / "elsewhere/adapter/f"), "a");
    EXPECT_TRUE(fs::is_symlink(folder / "adapter"));
    EXPECT_FALSE(fs::exists(folder / "elsewhere/adapter.partial"));
}

TEST(Output, IsCheckedBeforeTheWork) {
    TemporaryFolder const folder;
    using enum Existing;
    write_atomically(folder / "file", "x");
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
    fs::create_symlink("file", folder / "link");
    fs::create_directories(folder / "other/of");
    check_output_file(folder / "new", refused);
    check_output_file(folder / "fifo", refused);
    check_output_file(folder / "file", replaced);
    for (auto const* taken : {"file", "link", "other", "no/file", "other/"})
        EXPECT_THROW(check_output_file(folder / taken, refused), InputError) << taken;
    for (auto const* never : {"other", "no/file", "file/x", ""})
        EXPECT_THROW(check_output_file(*never ? folder / never : fs::path{}, replaced), InputError) << never;

    constexpr std::array<std::string_view, 1> marks{"mark"};
    check_output_folder(folder / "new/", refused, marks);
    check_output_folder(folder / "made/below/", refused, marks);
    check_output_folder(folder / "other/of", replaced, marks);  // empty
    for (auto const* taken : {"other/", "other", "file", "file/x", "fifo"})
        EXPECT_THROW(check_output_folder(folder / taken, refused, marks), InputError) << taken;
    EXPECT_THROW(check_output_folder(folder / "other", replaced, marks), InputError) << "it holds something else";
    std::ofstream{folder / "other/mark"} << "";
    check_output_folder(folder / "other", replaced, marks);
    if (::geteuid() != 0) {
        ::chmod((folder / "other").c_str(), 0500);
        EXPECT_THROW(check_output_file(folder / "other/file", refused), InputError);
        ::chmod((folder / "other").c_str(), 0700);
    }
}

TEST(GrowingFiles, GoOnAfterTheLastWholeLineOfTheSameSettings) {
    TemporaryFolder const folder;
    auto const path = folder / "lines";
    auto const partial = folder / "lines.partial";
    auto const write = [&](std::string const& model, std::size_t stop_at, Existing existing = Existing::refused) {
        GrowingFile const file{path, existing, Json{{"model", model}}, [](std::size_t index, std::string_view line) {
                                   if (line != std::to_string(index)) throw InputError{"another line"};
                               }};
        std::size_t first = 9;
        file.write([&](std::size_t there, GrowingFile::Append const& append) {
            first = there;
            for (auto i = there; i < 4; ++i) {
                if (i == stop_at) throw Stopped{"stopped"};
                append(std::to_string(i) + "\n");
            }
        });
        return first;
    };
    EXPECT_THROW(write("a", 0), Stopped);
    EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing was there to go on with";
    EXPECT_THROW(write("a", 2), Stopped);
    EXPECT_EQ(read_text(partial), "0\n1\n");
    std::ofstream{partial, std::ios::app} << "torn";
    EXPECT_THROW(write("b", 9), InputError);
    EXPECT_EQ(write("a", 9), 2U);
    EXPECT_EQ(read_text(path), "0\n1\n2\n3\n");
    EXPECT_EQ(std::distance(fs::directory_iterator{folder.path()}, fs::directory_iterator{}), 1);

    fs::remove(path);
    EXPECT_THROW(write("a", 2), Stopped);
    EXPECT_EQ(write("b", 9, Existing::replaced), 0U) << "of other settings: anew";
    EXPECT_THROW(write("a", 3, Existing::replaced), Stopped);
    EXPECT_EQ(write("a", 9, Existing::replaced), 3U);

    std::ofstream{partial} << "0\n7\n";
    EXPECT_THROW(write("a", 9), InputError) << "nothing says of what it is a part";
    std::ofstream{folder / "lines.partial.json"} << "{\"model\": \"a\"}";
    EXPECT_THROW(write("a", 9), InputError) << "a line that cannot be";
}

TEST(GrowingFiles, AreWrittenByOneProcessAtATimeAndToAFifoAsTheyCome) {
    TemporaryFolder const folder;
    GrowingFile const file{folder / "lines", Existing::refused, Json::object(), {}};
    file.write([&](std::size_t, GrowingFile::Append const&) {
        EXPECT_THROW(file.write([](std::size_t, GrowingFile::Append const&) {}), RunInUseError);
    });
    ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
    auto read = reader_of(folder / "fifo");
    GrowingFile const stream{folder / "fifo", Existing::refused, Json::object(), {}};
    stream.write([](std::size_t there, GrowingFile::Append const& append) {
        EXPECT_EQ(there, 0U);
        append("a line\n");
    });
    EXPECT_EQ(read.get(), "a line\n");
}

TEST(FolderWrittenAtomically, MayHaveASlashAtItsEnd) {
    TemporaryFolder const folder;
    auto const fill = [](fs::path const& partial) { std::ofstream{partial / "file"} << "x"; };
    write_folder_atomically((folder / "a").string() + "//", fill);
    EXPECT_EQ(read_text(folder / "a/file"), "x");
    EXPECT_EQ(std::distance(fs::directory_iterator{folder.path()}, fs::directory_iterator{}), 1);
}

TEST(File, ThatIsUnfinishedIsRemovedByAProcessThatEndsAtOnce) {
    TemporaryFolder const folder;
    EXPECT_EXIT(write_folder_atomically(folder / "adapter",
                                        [](fs::path const& partial) {
                                            write_atomically(partial / "whole", "x");
                                            write_atomically(partial / "half", [](auto const& append) {
                                                append("half");
                                                remove_unfinished();
                                                ::_exit(75);
                                            });
                                        }),
                testing::ExitedWithCode(75), "");
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace samner
