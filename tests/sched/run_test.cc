#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "core/error.h"
#include "core/stop.h"
#include "mpi_test.h"
#include "toy.h"

namespace samner::sched {
namespace {

/// Doubles the length of a task's name; "broken" fails.
TaskResult work(Task const& task) {
    return execute_safely(task, [&]() -> std::pair<std::string, Json> {
        auto const name = task.payload.at("name").get<std::string>();
        if (name == "broken") throw InputError{"this task cannot be done", "leave it out"};
        return {std::string(64, 'a'), {{"value", 2 * name.size()}, {"padding", std::string(100'000, 'x')}}};
    });
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
    auto const outcome = run_all(source, [&](Task const& given) {
        ++own;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        return work(given);
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
    auto const outcome = run_all(source, [&](Task const& given) {
        return execute_safely(given, [&]() -> std::pair<std::string, Json> {
            if (given.key == "task13") request_stop(SIGUSR1);
            check_stop();
            return {"", nullptr};
        });
    });
    EXPECT_NE(outcome.stop_signal, 0);
    EXPECT_EQ(outcome.done + outcome.not_run, 20);
    EXPECT_GE(outcome.not_run, 1);
}

TEST_F(Runs, EndWithTheCoordinatorsError) {
    ToySource source{{task("a", {"nobody"})}};
    if (mpi_session().size() > 1) GTEST_SKIP() << "an error of the coordinator ends the whole job";
    EXPECT_THROW(run_all(source, work), Error);
}

}  // namespace
}  // namespace samner::sched
