#include "sched/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <future>
#include <new>
#include <thread>

#include "core/error.h"
#include "core/stop.h"
#include "mpi_test.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

/// Doubles the length of a job's name, with any bytes behind it; "broken" fails.
JobResult work_of(Job const& job) {
    return execute_safely(job, [&]() -> Done {
        if (job.task == "broken") throw InputError{"this job cannot be done", "leave it out"};
        return {std::string(64, 'a'), fmt::format("{} ", 2 * job.task.size()) + std::string(100'000, '\xFF')};
    });
}

void work(std::vector<Job> const& jobs, comm::Comm const*, Report const& report) {
    for (auto const& one : jobs) report(work_of(one));
}

class Runs : public testing::Test {
protected:
    void TearDown() override {
        mpi_session().teams().barrier();
        clear_stop();
    }
    bool leads() const { return mpi_session().rank() == 0; }
    Outcome run_all(ToySource& source, Execute const& execute) { return run_all(source, recorder, execute); }
    Outcome run_all(ToySource& source, Recorder& own, Execute const& execute) {
        return run(mpi_session(), leads() ? &source : nullptr, leads() ? &own : nullptr, execute);
    }
    ToyRecorder recorder;
};

TEST_F(Runs, GiveTheSameResultsOnAnyNumberOfRanks) {
    ToySource source{{job("one"), job("three", {"one"}), job("seventeen"), job("broken"), job("lost", {"broken"})}};
    source.after["three"] = {job("late", {"three", "seventeen"})};
    auto const outcome = run_all(source, work);
    EXPECT_EQ(outcome.done, 4);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.not_run, 1);
    if (!leads()) return;
    EXPECT_THAT(source.results.at("late"), StartsWith("8 \xFF"));
    EXPECT_THAT(source.results.at("seventeen"), StartsWith("18 \xFF"));
    EXPECT_EQ(source.results.at("seventeen").size(), 100'003U);
    EXPECT_EQ(source.failures.at("broken"), "this job cannot be done — leave it out");
}

TEST_F(Runs, OfManyJobsUseEveryRank) {
    std::vector<Job> jobs;
    for (int i = 0; i < 40; ++i) jobs.push_back(job("job" + std::to_string(i)));
    ToySource source{jobs};
    std::int64_t own = 0;
    auto const outcome =
        run_all(source, [&](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
            ++own;
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
            work(given, team, report);
        });
    EXPECT_EQ(outcome.done, 40);
    EXPECT_GT(own, 0);
    std::array<std::int64_t, 1> sum{own};
    mpi_session().teams().sum(sum);
    EXPECT_EQ(sum[0], 40);
}

TEST_F(Runs, EndCleanlyWhenAnyJobSeesAStop) {
    std::vector<Job> jobs;
    for (int i = 0; i < 20; ++i) jobs.push_back(job("job" + std::to_string(i)));
    ToySource source{jobs};
    auto const outcome = run_all(source, [&](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        report(execute_safely(given.front(), [&]() -> Done {
            if (given.front().key == "job13") request_stop(SIGUSR1);
            check_stop();
            return {};
        }));
    });
    EXPECT_NE(outcome.stop_signal, 0);
    EXPECT_EQ(outcome.done + outcome.not_run, 20);
    EXPECT_GE(outcome.not_run, 1);
}

TEST_F(Runs, TellEveryRankOfAStopThatOneSawEvenDeepInAJob) {
    // Rank 0 alone is told; each other rank has a job that ends only by what it hears of that.
    std::vector<Job> jobs;
    for (int i = 0; i < mpi_session().size(); ++i) jobs.push_back(job("job" + std::to_string(i)));
    ToySource source{jobs};
    auto const outcome = run_all(source, [&](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        report(execute_safely(given.front(), [&]() -> Done {
            if (leads()) request_stop(SIGTERM);
            for (int wait = 0; wait < 60'000; ++wait) {
                check_stop();
                std::this_thread::sleep_for(std::chrono::milliseconds{1});
            }
            return {};
        }));
    });
    EXPECT_EQ(outcome, (Outcome{.not_run = mpi_session().size(), .stop_signal = SIGTERM}));
}

/// What the members of a team have to say, by way of their communicator.
void team_work(std::vector<Job> const& jobs, comm::Comm const* team, Report const& report) {
    report(execute_safely(jobs.front(), [&]() -> Done {
        auto const own = std::to_string(mpi_session().rank());
        auto const all = team ? team->all_gather(own) : std::vector{own};
        return {"", fmt::format("{} says: {}", !team || team->rank() == 0 ? "first" : "another", fmt::join(all, ","))};
    }));
}

TEST_F(Runs, HaveTeamsThatTalkAmongThemselvesAndReportOnce) {
    // One wide job at a time: all ranks, or as many as have work.
    std::vector<Job> jobs;
    for (int i = 0; i < 60; ++i) {
        jobs.push_back(wide_job("job" + std::to_string(i), 1 + i % 5,
                                i ? std::vector{"job" + std::to_string(i - 1)} : std::vector<std::string>{}));
    }
    ToySource source{jobs};
    auto const outcome = run_all(source, team_work);
    EXPECT_EQ(outcome.done, 60);
    if (!leads()) return;
    EXPECT_EQ(recorder.ended_jobs.size(), 60U);
    for (auto const& one : jobs) {
        auto const& result = source.results.at(one.key);
        auto const& members = recorder.teams.at(one.key);
        if (members.empty()) {
            EXPECT_THAT(result, StartsWith("first says: "));
        } else {
            EXPECT_EQ(result, fmt::format("first says: {}", fmt::join(members, ",")));
        }
        auto const count = std::max(std::ssize(members), std::ptrdiff_t{1});
        auto const most = std::min(one.width, mpi_session().size());
        EXPECT_LE(count, most);
        EXPECT_GE(2 * count, most);
    }
}

TEST_F(Runs, HaveDisjointTeamsAtTheSameTime) {
    std::vector<Job> jobs;
    for (int i = 0; i < 80; ++i) {
        jobs.push_back(wide_job("job" + std::to_string(i), 2,
                                i > 1 ? std::vector{"job" + std::to_string(i - 2)} : std::vector<std::string>{}));
    }
    ToySource source{jobs};
    auto const outcome =
        run_all(source, [](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
            std::this_thread::sleep_for(std::chrono::milliseconds{given.front().key.size() % 3});
            team_work(given, team, report);
        });
    EXPECT_EQ(outcome.done, 80);
    if (!leads() || mpi_session().size() < 4) return;
    auto const teams = std::ranges::count_if(recorder.teams, [](auto const& team) { return team.second.size() == 2; });
    EXPECT_EQ(teams, 80);
}

TEST_F(Runs, FailAJobThatFailsOnAnyMemberAndStopWhereOneIsStopped) {
    ToySource source{{wide_job("ill", 4), wide_job("after", 4, {"ill"}), wide_job("well", 4, {"first"}),
                      wide_job("first", 4, {"stopped"}), wide_job("stopped", 4)}};
    if (mpi_session().size() == 1) GTEST_SKIP() << "needs a team";
    auto const outcome =
        run_all(source, [&](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
            report(execute_safely(given.front(), [&]() -> Done {
                bool const last = !team || team->rank() == team->size() - 1;
                if (given.front().key == "ill" && last) throw InputError{"only this rank cannot read it"};
                if (given.front().key == "stopped" && last) throw Stopped{"only this rank was told"};
                return {};
            }));
        });
    EXPECT_NE(outcome.stop_signal, 0);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.done, 0);
    EXPECT_EQ(outcome.not_run, 4);
    if (!leads()) return;
    EXPECT_THAT(source.failures.at("ill"), HasSubstr("only this rank cannot read it"));
}

TEST_F(Runs, RecordTheFirstResultOfABatchBeforeItsLastJobRuns) {
    /// Says when it has recorded a first job of each batch that rank 0 was given.
    struct Telling : ToyRecorder {
        void ended(Job const& job, JobResult const& result) override {
            ToyRecorder::ended(job, result);
            if (result.rank == 0 && !told) first.set_value(result.key);
            told = told || result.rank == 0;
        }
        std::promise<std::string> first;
        bool told = false;
    } telling;
    std::vector<Job> jobs;  // three for each rank
    for (int i = 0; i < 3 * mpi_session().size(); ++i) jobs.push_back(batched_job("job" + std::to_string(i), "all"));
    ToySource source{jobs};
    auto recorded = telling.first.get_future();
    std::string in_time;
    auto const outcome =
        run_all(source, telling, [&](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
            if (!leads() || !in_time.empty() || given.size() == 1) return work(given, team, report);
            for (auto const& one : given) {
                bool const last = &one == &given.back();
                bool const there = last && recorded.wait_for(std::chrono::seconds{60}) == std::future_status::ready;
                if (last) in_time = there ? recorded.get() : "nothing";
                report(work_of(one));
            }
        });
    EXPECT_EQ(outcome.done, std::ssize(jobs));
    if (leads()) {
        EXPECT_EQ(in_time, "job0");
    }
}

TEST_F(Runs, TellTheRecorderHowFarJobsOfAllRanksAreOnceATeam) {
    // A chain of jobs for all ranks together and one for each alone.
    std::vector<Job> jobs;
    for (int i = 0; i < 4; ++i) {
        jobs.push_back(wide_job("wide" + std::to_string(i), mpi_session().size(),
                                i ? std::vector{"wide" + std::to_string(i - 1)} : std::vector<std::string>{}));
    }
    for (int i = 0; i < mpi_session().size(); ++i) jobs.push_back(job("own" + std::to_string(i), {"wide3"}));
    ToySource source{jobs};
    auto const outcome =
        run_all(source, [](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
            report.progress({given.front().key, 1, 3, std::to_string(mpi_session().rank()), 0});
            work(given, team, report);
        });
    EXPECT_EQ(outcome.done, std::ssize(jobs));
    if (!leads()) return;
    std::map<std::string, int> told;
    for (auto const& progress : recorder.told) {
        ++told[progress.key];
        EXPECT_EQ(progress.done, 1);
        EXPECT_EQ(progress.total, 3);
        EXPECT_EQ(progress.note, std::to_string(progress.rank));
    }
    // The last word of a run may be lost; of those before it none is.
    for (int i = 0; i < 4; ++i) EXPECT_EQ(told["wide" + std::to_string(i)], 1) << i;
}

/// Runs two jobs of a batch on one rank.
class RunsOfOneRank : public Runs {
protected:
    void SetUp() override {
        if (mpi_session().size() > 1) GTEST_SKIP() << "such an error ends the whole job";
    }
    Outcome run_batch(Execute const& execute) {
        ToySource source{{batched_job("a", "both"), batched_job("b", "both")}};
        return run_all(source, execute);
    }
    template <class Failure>
    static void fail(std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        for (auto const& one : given) report(execute_safely(one, []() -> Done { throw Failure{"it is broken"}; }));
    }
};

TEST_F(RunsOfOneRank, EndWhereTheRankCannotGoOn) {
    EXPECT_THROW(run_batch(fail<InfrastructureError>), InfrastructureError);
}

TEST_F(RunsOfOneRank, EndWhereStorageFails) {
    EXPECT_THAT([&] { run_batch(fail<StorageError>); }, ThrowsMessage<StorageError>("it is broken"));
    EXPECT_TRUE(recorder.ended_jobs.empty()) << "a full disk is no failure of a job";
}

TEST_F(RunsOfOneRank, KeepWhatABatchHadDoneBeforeItsRankFailed) {
    auto const half = [](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        report(work_of(given.front()));
        throw StorageError{"the disk is full"};
    };
    EXPECT_THROW(run_batch(half), StorageError);
    EXPECT_THAT(recorder.ended_jobs, testing::ElementsAre("a"));
}

TEST_F(RunsOfOneRank, EndWithTheCoordinatorsError) {
    ToySource source{{job("a", {"nobody"})}};
    EXPECT_THROW(run_all(source, work), Error);
}

TEST_F(RunsOfOneRank, RefuseTooFewTooManyAndOtherResultsThanThoseOfTheJobs) {
    auto const few = [](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        if (given.size() > 2) report(work_of(given.front()));
    };
    EXPECT_THAT([&] { run_batch(few); }, ThrowsMessage<Error>("no result was reported of job toy a (a), toy b (b)"));
    clear_stop();
    auto const many = [](std::vector<Job> const& given, comm::Comm const* team, Report const& report) {
        work(given, team, report);
        report(work_of(given.back()));
    };
    EXPECT_THAT([&] { run_batch(many); },
                ThrowsMessage<Error>("a result of job b was reported where none was expected"));
    clear_stop();
    auto const other = [](std::vector<Job> const& given, comm::Comm const*, Report const& report) {
        report(work_of(given.back()));
        report(work_of(given.front()));
    };
    EXPECT_THAT([&] { run_batch(other); },
                ThrowsMessage<Error>("a result of job b was reported where that of job toy a (a) was expected"));
}

TEST(SafeExecution, MakesResultsOfReturnsErrorsAndStops) {
    auto const done = execute_safely(job("a"), [] { return Done{"hash", "x"}; });
    EXPECT_TRUE(done.ok);
    EXPECT_EQ(done.key, "a");
    EXPECT_EQ(done.sha256, "hash");
    EXPECT_EQ(done.result, "x");
    auto const failed = execute_safely(job("a"), []() -> Done { throw InputError{"bad", "mend it"}; });
    EXPECT_FALSE(failed.ok);
    EXPECT_FALSE(failed.stopped);
    EXPECT_EQ(failed.error, "bad — mend it");
    auto const stopped = execute_safely(job("a"), []() -> Done { throw Stopped{"x"}; });
    EXPECT_TRUE(stopped.stopped);
}

/// Throws one exception in another.
template <class Inner>
Done throw_nested(Inner const& inner) {
    try {
        throw inner;
    } catch (...) {
        std::throw_with_nested(Error{"while reading the adapter"});
    }
}

TEST(SafeExecution, LooksAtWhatAnErrorWraps) {
    auto const stopped = execute_safely(job("a"), [] { return throw_nested(Stopped{"x", ExitCode::interrupted}); });
    EXPECT_TRUE(stopped.stopped) << stopped.error;
    auto const failed = execute_safely(job("a"), [] { return throw_nested(InputError{"bad"}); });
    EXPECT_EQ(failed.error, "while reading the adapter: bad");
}

TEST(SafeExecution, ThrowsWhatIsNoFaultOfTheJob) {
    EXPECT_THROW(execute_safely(job("a"), []() -> Done { throw InfrastructureError{"x"}; }), InfrastructureError);
    EXPECT_THROW(execute_safely(job("a"), []() -> Done { throw StorageError{"x"}; }), StorageError);
    EXPECT_THROW(execute_safely(job("a"), []() -> Done { throw std::bad_alloc{}; }), std::bad_alloc);
    for (auto const& work : std::vector<std::function<Done()>>{[] { return throw_nested(InfrastructureError{"x"}); },
                                                               [] { return throw_nested(StorageError{"x"}); },
                                                               [] { return throw_nested(std::bad_alloc{}); }})
        EXPECT_THROW(execute_safely(job("a"), work), Error);
}

}  // namespace
}  // namespace samner::sched
