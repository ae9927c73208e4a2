#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace samner::sched {

/// A piece of work as the scheduler sees it. It may start when all of `after` are done.
struct Job {
    std::string key;                 ///< unique in a run
    std::string label;               ///< for people: messages name it
    std::vector<std::string> after;  ///< keys of the jobs it waits for
    double seconds = 0;              ///< expected, on one rank
    int width = 1;                   ///< the most ranks that can work on it together
    std::string batch;               ///< jobs of one batch may go to a rank together; empty: alone
    std::string task;                ///< what is to be done: opaque here

    bool operator==(Job const&) const = default;
};

/// What became of a job.
struct JobResult {
    std::string key;
    bool ok = false;
    bool stopped = false;  ///< neither done nor failed: a stop came first
    std::string sha256;    ///< of the artifact, empty where there is none
    std::string result;    ///< opaque here
    std::string error;
    double seconds = 0;
    int rank = 0;                ///< that reports
    std::vector<int> team = {};  ///< the ranks that did it, where there were several; the coordinator knows

    bool operator==(JobResult const&) const = default;
};

/// How far a job is that runs. For people alone: nothing depends on it, and one that is lost does no harm.
struct Progress {
    std::string key;
    std::int64_t done = 0;
    std::int64_t total = 0;  ///< 0: not known
    std::string note;
    int rank = 0;  ///< that reports

    bool operator==(Progress const&) const = default;
};

/// What became of all jobs.
struct Outcome {
    std::int64_t done = 0;
    std::int64_t failed = 0;
    std::int64_t not_run = 0;  ///< they wait for what failed or was stopped
    int stop_signal = 0;

    bool operator==(Outcome const&) const = default;
};

/// What ranks are given at once: one job, for a team or one rank alone, or several of one batch for one rank.
struct Assignment {
    std::vector<Job> jobs;
    std::vector<int> team;  ///< rising; the first reports, a result a job
    int number = 0;         ///< from 0, rising

    bool operator==(Assignment const&) const = default;
};

}  // namespace samner::sched
