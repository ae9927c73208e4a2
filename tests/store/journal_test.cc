#include "store/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "temporary_folder.h"

namespace samner::store {
namespace {

void write(std::filesystem::path const& path, std::string const& text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::string three_records(std::filesystem::path const& path) {
    Journal journal{path, 1};
    for (auto const* key : {"a", "b", "ü"}) journal.append({{"kind", "done"}, {"key", key}});
    journal.sync();
    return read_text(path);
}

std::vector<std::string> keys(Replay const& replay) {
    std::vector<std::string> found;
    for (auto const& record : replay.records) {
        if (record.contains("key")) found.push_back(record["key"]);
    }
    return found;
}

TEST(Journal, EndsEachLineInTheChecksumOfTheBytesBeforeItsComma) {
    TemporaryFolder const folder;
    auto const text = three_records(folder / "journal");
    for_each_line(text, [](std::string_view line, std::size_t) {
        auto const comma = line.rfind(',');
        EXPECT_EQ(line.substr(comma), fmt::format(",\"crc32c\":\"{:08x}\"}}", crc32c(line.substr(0, comma))));
    });
    EXPECT_EQ(keys(replay_journal(folder / "journal")), (std::vector<std::string>{"a", "b", "ü"}));
}

TEST(Journal, TakesTextsInAnyBytes) {
    TemporaryFolder const folder;
    {
        Journal journal{folder / "journal", 1};
        journal.append({{"kind", "failed"}, {"key", "a"}, {"error", "cannot read '/tmp/f_\xff'"}});
        journal.sync();
    }
    auto const replay = replay_journal(folder / "journal");
    EXPECT_TRUE(replay.problems.empty());
    EXPECT_EQ(replay.records.back()["error"], "cannot read '/tmp/f_\xEF\xBF\xBD'");
}

TEST(Journal, CutAtAnyByteLosesOnlyTheLineThatWasCut) {
    TemporaryFolder const folder;
    auto const path = folder / "journal";
    auto const text = three_records(path);
    for (std::size_t size = 0; size < text.size(); ++size) {
        write(path, text.substr(0, size));
        auto const whole =
            static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<long>(size), '\n'));
        {
            Journal journal{path, 2};
            ASSERT_EQ(journal.history().records.size(), whole) << size;
            ASSERT_TRUE(journal.history().problems.empty()) << size;
            journal.append({{"kind", "done"}, {"key", "later"}});
            journal.sync();
        }
        auto const again = replay_journal(path);
        ASSERT_EQ(again.records.size(), whole + 2) << size;
        ASSERT_TRUE(again.problems.empty() && !again.torn) << size;
    }
}

TEST(Journal, AnyChangedByteInTheMiddleDropsThatLineAndSaysSo) {
    TemporaryFolder const folder;
    auto const path = folder / "journal";
    auto const text = three_records(path);
    auto const begin = text.find('\n') + 1;  // the line of "a"
    auto const end = text.find('\n', begin);
    for (auto at = begin; at < end; ++at) {
        auto damaged = text;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        if (damaged[at] == '\n') continue;
        write(path, damaged);
        auto const replay = replay_journal(path);
        ASSERT_EQ(keys(replay), (std::vector<std::string>{"b", "ü"})) << at;
        ASSERT_EQ(replay.problems.size(), 1U) << at;
        ASSERT_EQ(replay.problems.front().line, 2U);
    }
}

TEST(Journal, RemovedLineIsReported) {
    TemporaryFolder const folder;
    auto const path = folder / "journal";
    auto text = three_records(path);
    auto const begin = text.find('\n') + 1;
    text.erase(begin, text.find('\n', begin) + 1 - begin);
    write(path, text);
    EXPECT_EQ(replay_journal(path).problems.size(), 1U);
}

TEST(Journal, RecordsOfATakenOverWriterAreDropped) {
    TemporaryFolder const folder;
    auto const path = folder / "journal";
    Journal old{path, 1};
    old.append({{"kind", "done"}, {"key", "before"}});
    old.sync();
    Journal fresh{path, 2};
    old.append({{"kind", "done"}, {"key", "stale"}});
    old.sync();
    fresh.append({{"kind", "something new"}, {"key", "after"}});
    fresh.sync();
    auto const replay = replay_journal(path);
    EXPECT_EQ(keys(replay), (std::vector<std::string>{"before", "after"}));
    EXPECT_EQ(replay.problems.size(), 1U);
}

TEST(Journal, WritesNothingOnceItsGuardThrows) {
    TemporaryFolder const folder;
    bool lost = false;
    Journal journal{folder / "journal", 1, [&] {
                        if (lost) throw RunInUseError{"taken over"};
                    }};
    auto const before = read_text(folder / "journal");
    lost = true;
    journal.append({{"kind", "done"}});
    EXPECT_THROW(journal.sync(), RunInUseError);
    EXPECT_EQ(read_text(folder / "journal"), before);
}

}  // namespace
}  // namespace samner::store
