#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sched/coordinate.h"

namespace samner::sched {

/// Its task is its key.
inline Job job(std::string const& key, std::vector<std::string> after = {}, double seconds = 1) {
    return {key, "toy " + key, std::move(after), seconds, 1, {}, key};
}

inline Job wide_job(std::string const& key, int width, std::vector<std::string> after = {}, double seconds = 1) {
    auto wide = job(key, std::move(after), seconds);
    wide.width = width;
    return wide;
}

inline Job batched_job(std::string const& key, std::string batch, std::vector<std::string> after = {},
                       double seconds = 1) {
    auto batched = job(key, std::move(after), seconds);
    batched.batch = std::move(batch);
    return batched;
}

/// A given graph, with more jobs that become known when some job is finished.
class ToySource : public JobSource {
public:
    explicit ToySource(std::vector<Job> jobs) : fresh_{std::move(jobs)} {}

    std::vector<Job> take_new() override { return std::exchange(fresh_, {}); }
    void finished(JobResult const& result) override {
        results[result.key] = result.result;
        if (auto const found = after.find(result.key); found != after.end())
            fresh_.insert(fresh_.end(), found->second.begin(), found->second.end());
    }
    void failed(JobResult const& result) override { failures[result.key] = result.error; }

    bool claim(Job const& job) override {
        if (!elsewhere.contains(job.key)) return true;
        refused.push_back(job.key);
        return false;
    }
    Elsewhere look_elsewhere() override {
        ++looks;
        return on_look ? on_look() : Elsewhere{};
    }

    std::set<std::string> elsewhere;  ///< keys of jobs that others do
    std::vector<std::string> refused;
    std::function<Elsewhere()> on_look;
    int looks = 0;
    std::map<std::string, std::vector<Job>> after;  ///< jobs by the one that makes them known
    std::map<std::string, std::string> results;
    std::map<std::string, std::string> failures;

private:
    std::vector<Job> fresh_;
};

/// Remembers, and sees to it that nothing is sent before it is durable.
class ToyRecorder : public Recorder {
public:
    void started(Job const& job, std::vector<int> const&) override { order.push_back(job.key); }
    void ended(Job const& job, JobResult const& result) override {
        ended_jobs.push_back(job.key);
        tasks[job.key] = job.task;
        teams[job.key] = result.team;
    }
    void sync() override { durable = order.size(); }
    void progress(Progress const& progress) override { told.push_back(progress); }
    void tick() override { ++ticks; }

    std::vector<std::string> order;
    std::vector<std::string> ended_jobs;
    std::map<std::string, std::string> tasks;       ///< of the jobs that ended
    std::map<std::string, std::vector<int>> teams;  ///< by the job that they ended
    std::size_t durable = 0;
    std::vector<Progress> told;
    int ticks = 0;
};

}  // namespace samner::sched
