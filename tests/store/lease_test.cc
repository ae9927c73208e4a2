#include "store/lease.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "core/error.h"
#include "temporary_folder.h"

namespace samner::store {
namespace {

using namespace std::chrono_literals;

TEST(Lease, RefusesASecondHolderAndNamesTheFirst) {
    TemporaryFolder const run;
    Lease const first{run.path()};
    try {
        Lease const second{run.path()};
        FAIL() << "two holders";
    } catch (RunInUseError const& error) {
        EXPECT_EQ(error.code(), ExitCode::run_in_use);
        EXPECT_NE(std::string{error.what()}.find(std::to_string(::getpid())), std::string::npos) << error.what();
    }
    EXPECT_NO_THROW(first.check());
}

TEST(Lease, GoesToTheNextOneWhenItIsLetGo) {
    TemporaryFolder const run;
    { EXPECT_EQ(Lease{run.path()}.epoch(), 1); }
    EXPECT_EQ(Lease{run.path()}.epoch(), 2);
}

/// A process that takes the lease and ends without letting go. @return its number; 0 is its exit code when it held
/// epoch 1
pid_t hold_and_die(TemporaryFolder const& run) {
    pid_t const child = ::fork();
    if (child == 0) {
        auto* const held = new Lease{run.path()};  // never let go
        ::_exit(held->epoch() == 1 ? 0 : 1);
    }
    return child;
}

TEST(Lease, IsTakenOverFromADeadProcessAtOnce) {
    TemporaryFolder const run;
    auto const child = hold_and_die(run);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    EXPECT_EQ(Lease{run.path()}.epoch(), 2);
}

TEST(Lease, IsTakenOverFromAProcessThatHasEndedButIsNotYetWaitedFor) {
    TemporaryFolder const run;
    auto const child = hold_and_die(run);
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(Lease{run.path()}.epoch(), 2);
    ::waitpid(child, nullptr, 0);
}

TEST(Lease, IsTakenOverFromASilentHolderWhichThenFindsOut) {
    TemporaryFolder const run;
    Lease const silent{run.path(), {.refresh = 1h, .limit = 60s}};
    std::filesystem::last_write_time(run.path() / ".lease/epoch-1", std::filesystem::file_time_type::clock::now() - 1h);
    Lease const next{run.path()};
    EXPECT_EQ(next.epoch(), 2);
    EXPECT_THROW(silent.check(), RunInUseError);
    EXPECT_NO_THROW(next.check());
}

TEST(Lease, HalfWrittenHolderFileCountsAsAliveUntilTheLimit) {
    TemporaryFolder const run;
    { Lease const first{run.path()}; }
    auto const file = run.path() / ".lease/epoch-1";
    std::filesystem::resize_file(file, 5);
    EXPECT_THROW(Lease{run.path()}, RunInUseError);
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - 1h);
    EXPECT_EQ(Lease{run.path()}.epoch(), 2);
}

TEST(LeaseHolder, IsNobodyOneWhoLivesOneWhoLetGoOrOneWhoIsGone) {
    TemporaryFolder const run;
    EXPECT_FALSE(last_holder(run.path()));
    EXPECT_FALSE(std::filesystem::exists(run.path() / ".lease")) << "looking made it";
    {
        Lease const first{run.path()};
        auto const holder = last_holder(run.path());
        ASSERT_TRUE(holder);
        EXPECT_TRUE(holder->alive);
        EXPECT_EQ(holder->epoch, 1);
        EXPECT_EQ(holder->pid, ::getpid());
        EXPECT_FALSE(holder->host.empty());
        EXPECT_FALSE(holder->released);
        EXPECT_NO_THROW(first.check()) << "looking took it";
    }
    EXPECT_FALSE(last_holder(run.path())->alive);
    EXPECT_TRUE(last_holder(run.path())->released);

    TemporaryFolder const other;
    auto const child = hold_and_die(other);
    ::waitpid(child, nullptr, 0);
    auto const dead = last_holder(other.path());
    ASSERT_TRUE(dead);
    EXPECT_FALSE(dead->alive);
    EXPECT_FALSE(dead->released);
    EXPECT_EQ(dead->pid, child);
}

TEST(LeaseHolder, WhoIsSilentForTooLongIsGone) {
    TemporaryFolder const run;
    Lease const silent{run.path(), {.refresh = 1h, .limit = 60s}};
    EXPECT_TRUE(last_holder(run.path())->alive);
    std::filesystem::last_write_time(run.path() / ".lease/epoch-1", std::filesystem::file_time_type::clock::now() - 1h);
    EXPECT_FALSE(last_holder(run.path())->alive);
}

TEST(LeaseHolder, WhoseFileIsDamagedHasNoName) {
    TemporaryFolder const run;
    Lease const held{run.path()};
    std::filesystem::resize_file(run.path() / ".lease/epoch-1", 5);
    auto const holder = last_holder(run.path());
    ASSERT_TRUE(holder);
    EXPECT_TRUE(holder->alive);
    EXPECT_EQ(holder->host, "");
    EXPECT_EQ(holder->pid, 0);
}

}  // namespace
}  // namespace samner::store
