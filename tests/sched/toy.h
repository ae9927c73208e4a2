#pragma once

#include <map>
#include <set>

#include "sched/sched.h"

namespace samner::sched {

inline Task task(std::string key, std::vector<std::string> after = {}, double cost = 1) {
    return {key, "toy", {{"name", key}}, std::move(after), cost, 1};
}

inline Task wide_task(std::string key, int width, std::vector<std::string> after = {}, double cost = 1) {
    auto wide = task(std::move(key), std::move(after), cost);
    wide.width = width;
    return wide;
}

/// A given graph, with more tasks that become known when some task is finished.
class ToySource : public TaskSource {
public:
    explicit ToySource(std::vector<Task> tasks) : fresh_{std::move(tasks)} {}

    std::vector<Task> take_new() override { return std::exchange(fresh_, {}); }
    void finished(TaskResult const& result) override {
        results[result.key] = result.result;
        if (auto const found = after.find(result.key); found != after.end())
            fresh_.insert(fresh_.end(), found->second.begin(), found->second.end());
    }
    void failed(TaskResult const& result) override { failures[result.key] = result.error; }

    std::map<std::string, std::vector<Task>> after;  ///< tasks by the one that makes them known
    std::map<std::string, Json> results;
    std::map<std::string, std::string> failures;

private:
    std::vector<Task> fresh_;
};

/// Remembers, and sees to it that nothing is sent before it is durable.
class ToyRecorder : public Recorder {
public:
    void started(Task const& task, std::vector<int> const&) override { order.push_back(task.key); }
    void ended(Task const& task, TaskResult const& result) override {
        ended_tasks.push_back(task.key);
        teams[task.key] = result.team;
    }
    void sync() override { durable = order.size(); }

    std::vector<std::string> order;
    std::vector<std::string> ended_tasks;
    std::map<std::string, std::vector<int>> teams;  ///< by the task that they ended
    std::size_t durable = 0;
};

}  // namespace samner::sched
