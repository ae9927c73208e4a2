#include "core/hash_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/hashed_file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::ContainerEq;
using testing::HasSubstr;

std::pair<std::int64_t, std::int64_t> time_of_change(fs::path const& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return {status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
}

/// Writes in place until the file system's clock has moved on.
void change(fs::path const& path, std::string const& text) {
    auto const before = time_of_change(path);
    do std::ofstream{path} << text;
    while (time_of_change(path) == before);
}

class HashMemories : public testing::Test {
protected:
    HashMemories() { write_atomically(data, "some text"); }

    /// Of a process that comes later. @param settled  without the wait for files to settle
    HashMemory later(std::size_t limit = 100) const { return HashMemory{file, {limit, std::chrono::seconds{0}}}; }
    /// Whether a later process hashes the file rightly without reading it.
    bool is_remembered(fs::path const& path) const {
        auto memory = later();
        EXPECT_EQ(memory.hash(path), sha256_file(path)) << path;
        return memory.cost().hashed == 0;
    }

    TemporaryFolder const folder;
    fs::path const data = folder / "data";
    fs::path const file = folder / "cache/samner/hashes";
};

TEST_F(HashMemories, RemembersAFileThatHasNotChanged) {
    {
        auto memory = later();
        EXPECT_EQ(memory.hash(data), sha256("some text"));
        EXPECT_EQ(memory.cost().hashed, 9U);
        EXPECT_EQ(memory.cost().remembered, 0U);
    }
    auto memory = later();
    EXPECT_EQ(memory.hasher()(data), sha256("some text"));
    EXPECT_EQ(memory.cost().hashed, 0U);
    EXPECT_EQ(memory.cost().remembered, 9U);
}

TEST_F(HashMemories, ReadsAFileAgainThatHasChanged) {
    is_remembered(data);
    change(data, "other");
    EXPECT_FALSE(is_remembered(data));
    EXPECT_TRUE(is_remembered(data));
}

TEST_F(HashMemories, ReadsAFileAgainWhoseSizeAndTimeOfModificationWereKept) {
    is_remembered(data);
    auto const time = fs::last_write_time(data);
    change(data, "SOME TEXT");
    fs::last_write_time(data, time);
    EXPECT_FALSE(is_remembered(data));
}

TEST_F(HashMemories, ReadsAFileAgainThatWasReplaced) {
    is_remembered(data);
    write_atomically(folder / "other", "SOME TEXT");
    fs::last_write_time(folder / "other", fs::last_write_time(data));
    fs::rename(folder / "other", data);
    EXPECT_FALSE(is_remembered(data));
}

TEST_F(HashMemories, SeesWhereALinkLeadsNow) {
    write_atomically(folder / "other", "SOME TEXT");
    fs::create_symlink(data, folder / "link");
    is_remembered(folder / "link");
    EXPECT_TRUE(is_remembered(data));
    fs::remove(folder / "link");
    fs::create_symlink(folder / "other", folder / "link");
    EXPECT_FALSE(is_remembered(folder / "link"));
}

TEST_F(HashMemories, DoesNotRememberAFileThatChangedShortlyBefore) {
    HashMemory{file, {100, std::chrono::hours{1}}}.hash(data);
    EXPECT_FALSE(is_remembered(data));
}

TEST_F(HashMemories, TakesNoDamagedLineForAHash) {
    is_remembered(data);
    auto const lines = read_text(file);
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
        auto damaged = lines;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        write_atomically(file, damaged);
        EXPECT_FALSE(is_remembered(data)) << "byte " << i;
    }
    write_atomically(file, "\n \n" + std::string(3, '\0') + "\n" + lines.substr(0, 40) + "\n" + lines);
    EXPECT_TRUE(is_remembered(data)) << "the lines beside them count";
}

TEST_F(HashMemories, HashesWithoutAMemoryThatCanBeReadOrWritten) {
    write_atomically(folder / "cache", "a file in the folder's place");
    EXPECT_FALSE(is_remembered(data));
    EXPECT_FALSE(is_remembered(data));
    HashMemory on_a_folder{folder.path(), {100, std::chrono::seconds{0}}};
    EXPECT_EQ(on_a_folder.hash(data), sha256("some text"));
    HashMemory of_nothing{{}};
    EXPECT_EQ(of_nothing.hash(data), sha256("some text"));
}

TEST_F(HashMemories, SaysWhatCannotBeRead) {
    EXPECT_THAT([&] { later().hash(folder / "absent"); },
                testing::ThrowsMessage<InputError>(HasSubstr((folder / "absent").string())));
}

TEST_F(HashMemories, DropsTheOldest) {
    for (auto const* name : {"z", "b", "a", "y"}) {
        write_atomically(folder / name, name);
        later(3).hash(folder / name);
    }
    EXPECT_TRUE(is_remembered(folder / "b"));
    EXPECT_TRUE(is_remembered(folder / "a"));
    EXPECT_TRUE(is_remembered(folder / "y"));
    EXPECT_FALSE(is_remembered(folder / "z"));
}

TEST_F(HashMemories, RemembersPathsOfAnyBytesOrLeavesThemOut) {
    for (auto const* name : {"with space", "\xff\xfe", "two\nlines"}) {
        write_atomically(folder / name, name);
        is_remembered(folder / name);
        EXPECT_EQ(is_remembered(folder / name), std::string{name} != "two\nlines") << name;
    }
    EXPECT_TRUE(is_remembered(folder / "with space"));
}

TEST_F(HashMemories, OfSeveralProcessesLeaveEachOthersHashesWhole) {
    constexpr int writers = 4;
    constexpr int files = 20;
    auto const name = [&](int writer, int i) { return folder / (std::to_string(writer) + "-" + std::to_string(i)); };
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer) {
        threads.emplace_back([&, writer] {
            for (int i = 0; i < files; ++i) {
                write_atomically(name(writer, i), std::string(static_cast<std::size_t>(i), 'x'));
                later().hash(name(writer, i));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    int remembered = 0;
    for (int writer = 0; writer < writers; ++writer)
        for (int i = 0; i < files; ++i) remembered += is_remembered(name(writer, i));
    EXPECT_GT(remembered, 0);
    std::vector<std::string> left;
    for (auto const& entry : fs::directory_iterator{file.parent_path()}) left.push_back(entry.path().filename());
    EXPECT_THAT(left, ContainerEq(std::vector<std::string>{"hashes"}));
}

/// Environment variables that are as before after the test.
class HashMemoryFile : public testing::Test {
protected:
    HashMemoryFile() {
        for (auto const* name : {"SAMNER_CACHE", "XDG_CACHE_HOME", "HOME"}) {
            auto const* const value = std::getenv(name);
            before.emplace_back(name, value ? value : "");
            ::unsetenv(name);
        }
    }
    ~HashMemoryFile() override {
        for (auto const& [name, value] : before)
            value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
    }

    std::vector<std::pair<std::string, std::string>> before;
};

TEST_F(HashMemoryFile, LiesWhereTheEnvironmentSaysOrNowhere) {
    EXPECT_EQ(HashMemory::default_file(), "");
    ::setenv("HOME", "/home/ada", 1);
    EXPECT_EQ(HashMemory::default_file(), "/home/ada/.cache/samner/hashes");
    ::setenv("XDG_CACHE_HOME", "/cache", 1);
    EXPECT_EQ(HashMemory::default_file(), "/cache/samner/hashes");
    ::setenv("SAMNER_CACHE", "/scratch", 1);
    EXPECT_EQ(HashMemory::default_file(), "/scratch/hashes");
    ::setenv("SAMNER_CACHE", "", 1);
    EXPECT_EQ(HashMemory::default_file(), "/cache/samner/hashes");
}

TEST(HashingCost, SaysWhatWasReadAndWhatWasNot) {
    EXPECT_EQ(to_text(HashMemory::Cost{0.94, 1'234'000'000, 410'000'000}),
              "1.2 GB of inputs in 0.9 s, 410.0 MB remembered");
    EXPECT_EQ(to_text(HashMemory::Cost{0, 0, 91'400'000}), "0 B of inputs in 0.0 s, 91.4 MB remembered");
}

class HashedFiles : public testing::Test {
protected:
    HashedFiles() { write_atomically(data, "some text"); }

    TemporaryFolder const folder;
    fs::path const data = folder / "data";
};

TEST_F(HashedFiles, AreKnownAgain) {
    auto hashed = HashedFile::of(data, sha256_file);
    EXPECT_EQ(hashed.sha256, sha256("some text"));
    EXPECT_TRUE(hashed.check());
}

TEST_F(HashedFiles, MayBeCopiesWithOtherTimes) {
    auto hashed = HashedFile::of(data, sha256_file);
    fs::last_write_time(data, fs::last_write_time(data) + std::chrono::hours{1});
    EXPECT_TRUE(hashed.check());
    EXPECT_TRUE(hashed.check());
}

TEST_F(HashedFiles, AreNotThoseThatWereWrittenOrRemovedSince) {
    auto const hashed = HashedFile::of(data, sha256_file);
    auto const check = [&] { return HashedFile{hashed}.check(); };
    change(data, "SOME TEXT");
    EXPECT_FALSE(check());
    change(data, "more than some text");
    EXPECT_FALSE(check());
    fs::remove(data);
    EXPECT_FALSE(check());
}

}  // namespace
}  // namespace samner
