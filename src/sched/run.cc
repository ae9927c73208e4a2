#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <tuple>

#include "core/error.h"
#include "core/stop.h"
#include "sched/sched.h"

namespace samner::sched {
namespace {

/// Passes values between two threads.
template <class T>
class Queue {
public:
    void push(T value) {
        {
            std::lock_guard const lock{mutex_};
            values_.push_back(std::move(value));
        }
        filled_.notify_one();
    }
    std::optional<T> pop(std::chrono::milliseconds wait) {
        std::unique_lock lock{mutex_};
        if (!filled_.wait_for(lock, wait, [&] { return !values_.empty(); })) return std::nullopt;
        auto value = std::move(values_.front());
        values_.pop_front();
        return value;
    }

private:
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<T> values_;
};

Json to_json(Task const& task) {
    return {{"key", task.key},   {"kind", task.kind},   {"payload", task.payload}, {"after", task.after},
            {"cost", task.cost}, {"width", task.width}, {"batch", task.batch}};
}

Task task_from_json(Json const& object) {
    return {
        object.at("key"),  object.at("kind"),  object.at("payload"), object.at("after").get<std::vector<std::string>>(),
        object.at("cost"), object.at("width"), object.at("batch")};
}

Json to_json(Assignment const& work) {
    auto tasks = Json::array();
    for (auto const& task : work.tasks) tasks.push_back(to_json(task));
    return {{"tasks", tasks}, {"team", work.team}, {"number", work.number}};
}

Assignment assignment_from_json(Json const& object) {
    Assignment work;
    for (auto const& task : object.at("tasks")) work.tasks.push_back(task_from_json(task));
    work.team = object.at("team").get<std::vector<int>>();
    work.number = object.at("number").get<int>();
    return work;
}

/// What rank 0's worker is told by the coordinator in the other thread; nothing: the end.
using Orders = Queue<std::optional<Assignment>>;

/// What it answers; nothing: it cannot go on.
using OwnResults = Queue<std::optional<TaskResult>>;

/// Rank 0 itself through queues, all others through messages.
class WorldChannel : public TaskChannel {
public:
    WorldChannel(comm::Messenger* messenger, int size, Orders& orders, OwnResults& own_results)
        : messenger_{messenger}, size_{size}, orders_{orders}, own_results_{own_results} {}

    int workers() const override { return size_; }

    void send(Assignment const& work) override {
        std::string message;
        for (auto const worker : work.team) {
            if (worker == 0) {
                orders_.push(work);
            } else {
                if (message.empty()) message = Json{{"type", "work"}, {"work", to_json(work)}}.dump();
                messenger_->send(worker, message);
            }
        }
    }

    std::optional<TaskResult> receive(std::chrono::milliseconds wait) override {
        if (auto result = own_results_.pop(messenger_ ? std::chrono::milliseconds{0} : wait)) {
            if (*result) return *result;
            throw InfrastructureError{"rank 0 cannot go on", "see what it says"};
        }
        if (!messenger_) return std::nullopt;
        // Both sources are watched: short waits on messages, and the queue again.
        auto const message = messenger_->poll(std::min(wait, std::chrono::milliseconds{1}));
        if (!message) return std::nullopt;
        auto const object = Json::parse(message->second);
        if (object.at("type") != "result")
            throw Error{"a worker sent a message of type " + object.at("type").get<std::string>()};
        auto result = TaskResult::from_json(object.at("result"));
        result.rank = message->first;
        return result;
    }

    void stop(int signal) override { tell_workers({{"type", "stop"}, {"signal", signal}}); }
    void finish() override {
        orders_.push(std::nullopt);
        tell_workers({{"type", "finish"}});
    }

private:
    void tell_workers(Json const& message) {
        for (int worker = 1; worker < size_; ++worker) messenger_->send(worker, message.dump());
    }

    comm::Messenger* messenger_;  ///< null in a world of one rank
    int size_;
    Orders& orders_;
    OwnResults& own_results_;
};

/// The team's result of a task: its first rank's, unless another one failed or was stopped. Collective.
TaskResult agreed(TaskResult own, comm::Comm const& team) {
    auto const word = Json{{"ok", own.ok}, {"stopped", own.stopped}, {"error", own.error}};
    auto const words = team.all_gather(word.dump(-1, ' ', false, Json::error_handler_t::replace));
    for (std::size_t rank = 0; rank < words.size(); ++rank) {
        auto const other = Json::parse(words[rank]);
        bool const stopped = other.at("stopped").get<bool>();
        if (other.at("ok").get<bool>() || (stopped && !own.ok)) continue;
        if (!own.ok && !own.stopped) break;  // its own error says it
        own.ok = false;
        own.stopped = stopped;
        if (!stopped) own.error = fmt::format("rank {} of the team: {}", rank, other.at("error").get<std::string>());
    }
    return own;
}

/// What this rank has to report of its assignment: nothing when it is not the first of a team.
std::vector<TaskResult> perform(comm::Session const& session, Assignment const& work, Execute const& execute) {
    if (work.team.size() == 1) return execute(work.tasks, nullptr);
    constexpr int tags = 16384;
    auto const team = session.teams().team(work.team, work.number % tags);
    auto result = agreed(execute(work.tasks, &team).front(), team);
    if (team.rank() != 0) return {};
    return {std::move(result)};
}

Outcome lead(comm::Session const& session, comm::Messenger* messenger, TaskSource& source, Recorder& recorder,
             Execute const& execute) {
    Orders orders;
    OwnResults own_results;
    WorldChannel channel{messenger, session.size(), orders, own_results};
    Outcome outcome;
    std::exception_ptr failure;
    std::thread coordinator{[&] {
        try {
            outcome = coordinate(source, recorder, channel);
        } catch (...) {
            failure = std::current_exception();
            request_stop(SIGTERM);  // whatever this rank's worker does now is in vain
        }
        try {
            channel.finish();
        } catch (...) {
            if (!failure) failure = std::current_exception();
        }
    }};
    std::exception_ptr own_failure;
    while (!own_failure) {
        auto const order = orders.pop(std::chrono::milliseconds{1000});
        if (!order) continue;
        if (!*order) break;
        try {
            for (auto& result : perform(session, **order, execute)) own_results.push(std::move(result));
        } catch (...) {
            own_failure = std::current_exception();
            own_results.push(std::nullopt);
        }
    }
    coordinator.join();
    if (own_failure) std::rethrow_exception(own_failure);
    if (failure) std::rethrow_exception(failure);
    return outcome;
}

/// Whether a message is a stop, which is then asked for.
bool take_stop(std::string const& message) {
    if (!message.starts_with("{\"signal\":")) return false;
    request_stop(Json::parse(message).at("signal").get<int>());
    return true;
}

void follow(comm::Session const& session, comm::Messenger& messenger, Execute const& execute) {
    for (;;) {
        auto const message = messenger.poll(std::chrono::milliseconds{1000});
        if (!message) continue;
        if (take_stop(message->second)) continue;  // it came before there was an interceptor
        auto const object = Json::parse(message->second);
        if (object.at("type") == "finish") return;
        for (auto const& result : perform(session, assignment_from_json(object.at("work")), execute)) {
            messenger.send(0, Json{{"type", "result"}, {"result", result.json()}}.dump(-1, ' ', false,
                                                                                       Json::error_handler_t::replace));
        }
    }
}

}  // namespace

Json TaskResult::json() const {
    return {{"key", key},       {"kind", kind},   {"ok", ok},           {"stopped", stopped}, {"sha256", sha256},
            {"result", result}, {"error", error}, {"seconds", seconds}, {"rank", rank}};
}

TaskResult TaskResult::from_json(Json const& object) {
    return {object.at("key"),    object.at("kind"),  object.at("ok"),      object.at("stopped"), object.at("sha256"),
            object.at("result"), object.at("error"), object.at("seconds"), object.at("rank")};
}

Json Outcome::json() const {
    return {{"done", done}, {"failed", failed}, {"not_run", not_run}, {"stop_signal", stop_signal}};
}

Outcome Outcome::from_json(Json const& object) {
    return {object.at("done"), object.at("failed"), object.at("not_run"), object.at("stop_signal")};
}

TaskResult execute_safely(Task const& task, std::function<std::pair<std::string, Json>()> const& work) {
    TaskResult result;
    result.key = task.key;
    result.kind = task.kind;
    auto const start = std::chrono::steady_clock::now();
    try {
        std::tie(result.sha256, result.result) = work();
        result.ok = true;
    } catch (std::exception const& error) {
        if (exit_code(error) == ExitCode::infrastructure) throw;
        result.stopped = is_stop(error);
        if (!result.stopped) result.error = describe(error);
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

Outcome run(comm::Session& session, TaskSource* source, Recorder* recorder, Execute const& execute,
            comm::MessengerOptions const& options) {
    if (session.size() == 1) return lead(session, nullptr, *source, *recorder, execute);
    comm::Messenger messenger{session.control(), options};
    std::string outcome;
    if (session.rank() == 0) {
        outcome = lead(session, &messenger, *source, *recorder, execute).json().dump();
    } else {
        // A stop has to reach a worker that is deep in a task.
        messenger.intercept([](int, std::string const& message) { return take_stop(message); });
        follow(session, messenger, execute);
    }
    messenger.close();
    session.teams().broadcast(outcome);
    return Outcome::from_json(Json::parse(outcome));
}

}  // namespace samner::sched
