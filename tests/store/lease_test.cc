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

}  // namespace
}  // namespace samner::store
