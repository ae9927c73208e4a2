#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "core/error.h"
#include "core/stop.h"
#include "mpi_test.h"
#include "toy.h"

namespace samner::sched {
namespace {

/// Doubles the length of a task's name; "broken" fails.
TaskResult work_of(Task const& task) {
    return execute_safely(task, [&]() -> std::pair<std::string, Json> {
        auto const name = task.payload.at("name").get<std::string>();
        if (name == "broken") throw InputError{"this task cannot be done", "leave it out"};
        return {std::string(64, 'a'), {{"value", 2 * name.size()}, {"padding", std::string(100'000, 'x')}}};
    });
}

std::vector<TaskResult> work(std::vector<Task> const& tasks, comm::Comm const*) {
    std::vector<TaskResult> results;
    for (auto const& task : tasks) results.push_back(work_of(task));
    return results;
}

class Runs : public testing::Test {
protected:
    void TearDown() override {
        mpi_session().teams().barrier();
        clear_stop();
    }
    bool leads() const { return mpi_session().rank() == 0; }
    Outcome run_all(ToySource& source, Execute const& execute) {
        return run(mpi_session(), leads() ? &source : nullptr, leads() ? &recorder : nullptr, execute);
    }
    ToyRecorder recorder;
};

TEST_F(Runs, GiveTheSameResultsOnAnyNumberOfRanks) {
    ToySource source{
        {task("one"), task("three", {"one"}), task("seventeen"), task("broken"), task("lost", {"broken"})}};
    source.after["three"] = {task("late", {"three", "seventeen"})};
    auto const outcome = run_all(source, work);
    EXPECT_EQ(outcome.done, 4);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.not_run, 1);
    if (!leads()) return;
    EXPECT_EQ(source.results.at("late").at("value"), 8);
    EXPECT_EQ(source.results.at("seventeen").at("value"), 18);
    EXPECT_EQ(source.failures.at("broken"), "this task cannot be done — leave it out");
}

TEST_F(Runs, OfManyTasksUseEveryRank) {
    std::vector<Task> tasks;
    for (int i = 0; i < 40; ++i) tasks.push_back(task("task" + std::to_string(i)));
    ToySource source{tasks};
    std::int64_t own = 0;
    auto const outcome = run_all(source, [&](std::vector<Task> const& given, comm::Comm const* team) {
        ++own;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        return work(given, team);
    });
    EXPECT_EQ(outcome.done, 40);
    EXPECT_GT(own, 0);
    std::vector<std::int64_t> sum{own};
    mpi_session().teams().sum(sum);
    EXPECT_EQ(sum[0], 40);
}

TEST_F(Runs, EndCleanlyWhenAnyTaskSeesAStop) {
    std::vector<Task> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(task("task" + std::to_string(i)));
    ToySource source{tasks};
    auto const outcome = run_all(source, [&](std::vector<Task> const& given, comm::Comm const*) {
        return std::vector{execute_safely(given.front(), [&]() -> std::pair<std::string, Json> {
            if (given.front().key == "task13") request_stop(SIGUSR1);
            check_stop();
            return {"", nullptr};
        })};
    });
    EXPECT_NE(outcome.stop_signal, 0);
    EXPECT_EQ(outcome.done + outcome.not_run, 20);
    EXPECT_GE(outcome.not_run, 1);
}

/// What the members of a team have to say, by way of their communicator.
std::vector<TaskResult> team_work(std::vector<Task> const& tasks, comm::Comm const* team) {
    return {execute_safely(tasks.front(), [&]() -> std::pair<std::string, Json> {
        auto const own = std::to_string(mpi_session().rank());
        auto const all = team ? team->all_gather(own) : std::vector{own};
        return {"", {{"members", all}, {"leads", !team || team->rank() == 0}}};
    })};
}

TEST_F(Runs, HaveTeamsThatTalkAmongThemselvesAndReportOnce) {
    // One wide task at a time: all ranks, or as many as have work.
    std::vector<Task> tasks;
    for (int i = 0; i < 60; ++i) {
        tasks.push_back(wide_task("task" + std::to_string(i), 1 + i % 5,
                                  i ? std::vector{"task" + std::to_string(i - 1)} : std::vector<std::string>{}));
    }
    ToySource source{tasks};
    auto const outcome = run_all(source, team_work);
    EXPECT_EQ(outcome.done, 60);
    if (!leads()) return;
    EXPECT_EQ(recorder.ended_tasks.size(), 60U);
    for (auto const& task : tasks) {
        auto const& result = source.results.at(task.key);
        EXPECT_TRUE(result.at("leads"));
        std::vector<std::string> members;
        for (int const rank : recorder.teams.at(task.key)) members.push_back(std::to_string(rank));
        if (members.empty()) members.resize(1, result.at("members")[0]);
        EXPECT_EQ(result.at("members"), Json(members));
        auto const most = std::min(task.width, mpi_session().size());
        EXPECT_LE(std::ssize(members), most);
        EXPECT_GE(2 * std::ssize(members), most);
    }
}

TEST_F(Runs, HaveDisjointTeamsAtTheSameTime) {
    std::vector<Task> tasks;
    for (int i = 0; i < 80; ++i) {
        tasks.push_back(wide_task("task" + std::to_string(i), 2,
                                  i > 1 ? std::vector{"task" + std::to_string(i - 2)} : std::vector<std::string>{}));
    }
    ToySource source{tasks};
    auto const outcome = run_all(source, [](std::vector<Task> const& given, comm::Comm const* team) {
        std::this_thread::sleep_for(std::chrono::milliseconds{given.front().key.size() % 3});
        return team_work(given, team);
    });
    EXPECT_EQ(outcome.done, 80);
    if (!leads() || mpi_session().size() < 4) return;
    auto const teams = std::ranges::count_if(recorder.teams, [](auto const& team) { return team.second.size() == 2; });
    EXPECT_EQ(teams, 80);
}

TEST_F(Runs, FailATaskThatFailsOnAnyMemberAndStopWhereOneIsStopped) {
    ToySource source{{wide_task("ill", 4), wide_task("after", 4, {"ill"}), wide_task("well", 4, {"first"}),
                      wide_task("first", 4, {"stopped"}), wide_task("stopped", 4)}};
    if (mpi_session().size() == 1) GTEST_SKIP() << "needs a team";
    auto const outcome = run_all(source, [&](std::vector<Task> const& given, comm::Comm const* team) {
        return std::vector{execute_safely(given.front(), [&]() -> std::pair<std::string, Json> {
            bool const last = !team || team->rank() == team->size() - 1;
            if (given.front().key == "ill" && last) throw InputError{"only this rank cannot read it"};
            if (given.front().key == "stopped" && last) throw Stopped{"only this rank was told"};
            return {"", nullptr};
        })};
    });
    EXPECT_NE(outcome.stop_signal, 0);
    EXPECT_EQ(outcome.failed, 1);
    EXPECT_EQ(outcome.done, 0);
    EXPECT_EQ(outcome.not_run, 4);
    if (!leads()) return;
    EXPECT_NE(source.failures.at("ill").find("only this rank cannot read it"), std::string::npos);
}

TEST_F(Runs, EndWhenARankCannotGoOn) {
    ToySource source{{task("a"), task("b")}};
    if (mpi_session().size() > 1) GTEST_SKIP() << "such an error ends the whole job";
    auto const broken = [](std::vector<Task> const& given, comm::Comm const*) {
        return std::vector{execute_safely(
            given.front(), []() -> std::pair<std::string, Json> { throw InfrastructureError{"a collective failed"}; })};
    };
    EXPECT_THROW(run_all(source, broken), InfrastructureError);
}

TEST_F(Runs, EndWithTheCoordinatorsError) {
    ToySource source{{task("a", {"nobody"})}};
    if (mpi_session().size() > 1) GTEST_SKIP() << "an error of the coordinator ends the whole job";
    EXPECT_THROW(run_all(source, work), Error);
}

}  // namespace
}  // namespace samner::sched
