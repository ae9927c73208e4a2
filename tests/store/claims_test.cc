#include "store/claims.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

/// A store with run folders beside it. Each has a lease, as a run's rank 0 takes it first.
class SharedStore : public testing::Test {
protected:
    fs::path run(std::string const& name) const {
        fs::create_directories(folder / name / ".lease");
        return folder / name;
    }
    fs::path store() const { return folder / "store"; }

    void SetUp() override { fs::create_directories(store()); }

    /// A process that claims a key and dies without withdrawing it.
    void claim_and_die(std::string const& name, std::string const& key) const {
        auto const home = run(name);
        pid_t const child = ::fork();
        if (child == 0) {
            auto* const claims = new Claims{store(), home};  // never withdrawn
            ::_exit(claims->take(key).ours ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }

    TemporaryFolder const folder;
};

TEST_F(SharedStore, GivesATaskToOneRunAtATimeAndNamesTheOther) {
    Claims a{store(), run("a")};
    Claims b{store(), run("b")};
    EXPECT_TRUE(a.take("key").ours);
    EXPECT_TRUE(a.take("key").ours) << "its own claim is no hindrance";
    auto const answer = b.take("key");
    EXPECT_FALSE(answer.ours);
    EXPECT_EQ(answer.other, fs::canonical(run("a")));
    EXPECT_FALSE(b.is_free("key"));
    b.release("key");
    EXPECT_FALSE(b.is_free("key")) << "a run withdraws its own claims only";
    a.release("key");
    EXPECT_TRUE(b.is_free("key"));
    auto const later = b.take("key");
    EXPECT_TRUE(later.ours);
    EXPECT_EQ(later.dead, fs::path{}) << "no claim has expired";
}

TEST_F(SharedStore, FreesTheClaimsOfARunThatEnds) {
    Claims b{store(), run("b")};
    {
        Claims a{store(), run("a")};
        EXPECT_TRUE(a.take("key").ours);
        EXPECT_FALSE(b.is_free("key"));
    }
    EXPECT_TRUE(b.is_free("key"));
}

TEST_F(SharedStore, GivesTheTaskOfADeadRunToAnotherAndSaysWhoHadIt) {
    claim_and_die("a", "key");
    Claims b{store(), run("b")};
    EXPECT_TRUE(b.is_free("key"));
    auto const answer = b.take("key");
    EXPECT_TRUE(answer.ours);
    EXPECT_EQ(answer.dead, fs::canonical(run("a")));
    Claims c{store(), run("c")};
    EXPECT_FALSE(c.take("key").ours);
}

TEST_F(SharedStore, GoesOnFromItsOwnClaimsOfAnEarlierSessionAsIfThereWereNone) {
    claim_and_die("a", "key");
    Claims again{store(), run("a")};
    EXPECT_TRUE(again.is_free("key"));
    auto const answer = again.take("key");
    EXPECT_TRUE(answer.ours);
    EXPECT_EQ(answer.dead, fs::path{});
}

TEST_F(SharedStore, DoesNotStartATaskTwiceWhenManyClaimIt) {
    constexpr int runs = 8;
    constexpr int keys = 50;
    constexpr int left_by_the_dead = 20;  // of these a dead run's claim stands in the way
    for (int key = 0; key < left_by_the_dead; ++key) claim_and_die("dead" + std::to_string(key), std::to_string(key));
    std::vector<std::unique_ptr<Claims>> claims;
    for (int i = 0; i < runs; ++i) claims.push_back(std::make_unique<Claims>(store(), run("run" + std::to_string(i))));
    std::vector<std::vector<int>> taken(runs);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < runs; ++i) {
        threads.emplace_back([&, i] {
            for (int key = 0; key < keys; ++key)
                if (claims[i]->take(std::to_string(key)).ours) taken[i].push_back(key);
        });
    }
    for (auto& thread : threads) thread.join();
    std::vector<int> all;
    for (auto const& part : taken) all.insert(all.end(), part.begin(), part.end());
    std::ranges::sort(all);
    std::vector<int> expected(keys);
    for (int key = 0; key < keys; ++key) expected[static_cast<std::size_t>(key)] = key;
    EXPECT_EQ(all, expected);
}

TEST_F(SharedStore, GivesATaskThatIsReleasedAndClaimedAtTheSameTimeToOneRunAtATime) {
    constexpr int runs = 4;
    std::vector<std::unique_ptr<Claims>> claims;
    for (int i = 0; i < runs; ++i) claims.push_back(std::make_unique<Claims>(store(), run("run" + std::to_string(i))));
    std::atomic<int> owners = 0;
    std::atomic<int> most = 0;
    std::atomic<int> times = 0;
    std::vector<std::thread> threads;
    for (auto& one : claims) {
        threads.emplace_back([&] {
            while (times < 200) {
                if (!one->take("key").ours) continue;
                most = std::max(most.load(), ++owners);
                ++times;
                --owners;
                one->release("key");
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(most, 1);
}

TEST_F(SharedStore, KnowsACopyOfARunFolderAsAnotherRunAndAMovedOneAsTheSame) {
    std::string id;
    {
        Claims const first{store(), run("a")};
        id = first.run_id();
    }
    fs::copy(run("a"), folder / "copy", fs::copy_options::recursive);
    EXPECT_NE((Claims{store(), folder / "copy"}.run_id()), id);
    fs::rename(run("a"), folder / "moved");
    EXPECT_EQ((Claims{store(), folder / "moved"}.run_id()), id);
    auto const known = runs_of(store());
    ASSERT_EQ(known.size(), 2);
    for (auto const& one : known) {
        EXPECT_EQ(one.folder, fs::canonical(folder / (one.id == id ? "moved" : "copy")));
    }
}

TEST_F(SharedStore, LeavesTheClaimsOfASessionThatHasTakenOverAlone) {
    auto first = std::make_unique<Claims>(store(), run("a"));
    EXPECT_TRUE(first->take("key").ours);
    EXPECT_TRUE(first->take("other").ours);
    Claims second{store(), run("a")};  // it fell silent, and the run was started again
    EXPECT_TRUE(second.take("key").ours);
    first->release("key");
    first.reset();
    EXPECT_FALSE((Claims{store(), run("b")}.is_free("key")));
}

TEST_F(SharedStore, IsNotUsedWhileSomethingIsRemovedFromItAndTellsWhoFellSilentOverThat) {
    {
        Lease const removal{removal_folder(store())};
        EXPECT_THROW((Claims{store(), run("a")}), RunInUseError);
    }
    EXPECT_NO_THROW((Claims{store(), run("a")}));
    Lease const silent{removal_folder(store())};
    fs::last_write_time(removal_folder(store()) / ".lease/epoch-2",
                        fs::file_time_type::clock::now() - std::chrono::hours{1});
    Claims const a{store(), run("a")};
    EXPECT_THROW(silent.check(), RunInUseError);
}

TEST_F(SharedStore, TakesWhatIsNoClaimForNone) {
    Claims a{store(), run("a")};
    fs::create_directories(store() / ".claims/folder/with");
    fs::create_directories(store() / ".claims/empty");
    write_atomically(store() / ".claims/file", "{\"run\": 5}\n");
    for (auto const* const key : {"folder", "empty", "file"}) {
        EXPECT_TRUE(a.is_free(key)) << key;
        EXPECT_TRUE(a.take(key).ours) << key;
        EXPECT_FALSE((Claims{store(), run("b")}.is_free(key))) << key;
    }
}

}  // namespace
}  // namespace samner::store
