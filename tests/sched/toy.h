#pragma once

#include <map>
#include <set>

#include "sched/sched.h"

namespace samner::sched {

inline Task task(std::string key, std::vector<std::string> after = {}, double cost = 1) {
    return {key, "toy", {{"name", key}}, std::move(after), cost, 1};
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
    void started(Task const& task, int) override { order.push_back(task.key); }
    void ended(Task const& task, TaskResult const&) override { ended_tasks.push_back(task.key); }
    void sync() override { durable = order.size(); }

    std::vector<std::string> order;
    std::vector<std::string> ended_tasks;
    std::size_t durable = 0;
};

}  // namespace samner::sched
