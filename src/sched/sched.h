#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/comm.h"
#include "comm/messenger.h"
#include "core/json.h"
#include "plan/task.h"

namespace samner::sched {

using plan::Task;

struct TaskResult {
    std::string key;
    std::string kind;
    bool ok = false;
    bool stopped = false;  ///< neither done nor failed: a stop came first
    std::string sha256;    ///< of the artifact, empty where there is none
    Json result;
    std::string error;
    double seconds = 0;
    int rank = 0;                ///< that reports
    std::vector<int> team = {};  ///< the ranks that did it, where there were several; the coordinator knows

    Json json() const;
    static TaskResult from_json(Json const& object);
};

/// Where tasks come from. The graph may grow while it runs.
class TaskSource {
public:
    virtual ~TaskSource() = default;
    virtual std::vector<Task> take_new() = 0;  ///< those that became known since the last call
    virtual void finished(TaskResult const& result) = 0;
    virtual void failed(TaskResult const& result) = 0;
};

/// Keeps what happens for a later run.
class Recorder {
public:
    virtual ~Recorder() = default;
    virtual void started(Task const& task, std::vector<int> const& team) = 0;
    virtual void ended(Task const& task, TaskResult const& result) = 0;
    virtual void sync() = 0;  ///< makes what was recorded durable; called before assignments are sent
};

/// What ranks are given at once: one task, for a team or one rank alone, or several of one batch for one rank.
struct Assignment {
    std::vector<Task> tasks;
    std::vector<int> team;  ///< rising; the first reports, a result a task
    int number = 0;         ///< from 0, rising
};

/// The workers, wherever they are. One assignment at a time each.
class TaskChannel {
public:
    virtual ~TaskChannel() = default;
    virtual int workers() const = 0;
    virtual void send(Assignment const& work) = 0;                                  ///< to all of its team
    virtual std::optional<TaskResult> receive(std::chrono::milliseconds wait) = 0;  ///< with .rank set to the worker
    virtual void stop(int signal) = 0;  ///< asks every worker to stop at its next safe point
    virtual void finish() = 0;          ///< no more tasks come
};

struct Outcome {
    std::int64_t done = 0;
    std::int64_t failed = 0;
    std::int64_t not_run = 0;  ///< they wait for what failed or was stopped
    int stop_signal = 0;

    Json json() const;
    static Outcome from_json(Json const& object);
};

/// Runs a task graph to its end: of the ready tasks the one with the longest way to the end of the graph goes first. A
/// failed task leaves out what depends on it, the rest goes on. A stop (core/stop.h) lets running tasks end and starts
/// none.
///
/// Work goes to idle workers only. Where there are more of them than ready tasks, the wide ones share the others: a
/// team of a task of width w has w / 2^k ranks, rounded up, which is how many have work when a rank takes 2^k of w
/// parts. Of the ready tasks of one batch a worker is given as many at once as make its even share, at most 8. Of the
/// idle workers those are taken first on which most of what the task waited for was made.
/// @throws InputError for a width below 1; Error for a graph that cannot go on
Outcome coordinate(TaskSource& source, Recorder& recorder, TaskChannel& channel);

/// Does what a rank is given. Never throws for a failed task: see execute_safely.
/// @param tasks  one, or several of one batch
/// @param team   the ranks that do the task together, each by this call; null: this one alone
/// @return a result a task, in their order
using Execute = std::function<std::vector<TaskResult>(std::vector<Task> const& tasks, comm::Comm const* team)>;

/// Runs `work` and makes a result of what it returns (artifact hash, result) or throws.
/// @throws InfrastructureError or what wraps one: that is no failure of the task
TaskResult execute_safely(Task const& task, std::function<std::pair<std::string, Json>()> const& work);

/// Collective over the session: rank 0 coordinates in a thread of its own and works too, the others work. The ranks of
/// a team have a communicator while they work, and the task has failed when it failed on one of them.
/// @param source, recorder  on rank 0; null elsewhere
/// @return the same on every rank
Outcome run(comm::Session& session, TaskSource* source, Recorder* recorder, Execute const& execute,
            comm::MessengerOptions const& options = {});

}  // namespace samner::sched
