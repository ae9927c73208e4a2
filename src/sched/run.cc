#include "sched/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include "core/error.h"
#include "core/stop.h"
#include "sched/messages.h"

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

/// What rank 0's worker is told by the coordinator in the other thread; null: the end.
using Orders = Queue<std::unique_ptr<Assignment>>;

/// What it answers; null: it cannot go on.
using OwnResults = Queue<std::unique_ptr<JobResult>>;

/// How far it is with its jobs.
using OwnProgress = Queue<Progress>;

/// Rank 0 itself through queues, all others through messages.
class WorldChannel : public Channel {
public:
    WorldChannel(comm::Messenger* messenger, int size, Orders& orders, OwnResults& own_results,
                 OwnProgress& own_progress)
        : messenger_{messenger}, size_{size}, orders_{orders}, own_results_{own_results}, own_progress_{own_progress} {}

    int workers() const override { return size_; }

    void send(Assignment const& work) override {
        std::string message;
        for (auto const worker : work.team) {
            if (worker == 0) {
                orders_.push(std::make_unique<Assignment>(work));
            } else {
                if (message.empty()) message = encode(work);
                messenger_->send(worker, message);
            }
        }
    }

    std::optional<JobResult> receive(std::chrono::milliseconds wait) override {
        if (auto result = own_results_.pop(messenger_ ? std::chrono::milliseconds{0} : wait)) {
            if (*result) return std::move(**result);
            throw InfrastructureError{"rank 0 cannot go on", "see what it says"};
        }
        if (!messenger_) return std::nullopt;
        // Both sources are watched: short waits on messages, and the queue again.
        auto limit = std::min(wait, std::chrono::milliseconds{1});
        while (auto const message = messenger_->poll(std::exchange(limit, std::chrono::milliseconds{0}))) {
            auto said = decode(message->second);
            if (auto* const progress = std::get_if<Progress>(&said)) {
                progress->rank = message->first;
                progress_.push_back(std::move(*progress));
                continue;
            }
            auto* const result = std::get_if<JobResult>(&said);
            if (!result) throw Error{fmt::format("rank {} sent a message that is no result", message->first)};
            result->rank = message->first;
            return std::move(*result);
        }
        return std::nullopt;
    }

    std::vector<Progress> take_progress() override {
        while (auto progress = own_progress_.pop(std::chrono::milliseconds{0}))
            progress_.push_back(std::move(*progress));
        return std::exchange(progress_, {});
    }

    void stop(int signal) override { tell_workers(Stop{signal}); }
    void finish() override {
        orders_.push(nullptr);
        tell_workers(Finish{});
    }

private:
    void tell_workers(Message const& message) {
        for (int worker = 1; worker < size_; ++worker) messenger_->send(worker, encode(message));
    }

    comm::Messenger* messenger_;  ///< null in a world of one rank
    int size_;
    Orders& orders_;
    OwnResults& own_results_;
    OwnProgress& own_progress_;
    std::vector<Progress> progress_;  ///< that was not taken yet
};

std::string name_of(Job const& job) {
    return fmt::format("{} ({})", job.label, job.key.substr(0, 12));
}

/// Has jobs done and passes on their results, each at once.
/// @throws Error unless there is one a job, in their order
void execute_all(std::vector<Job> const& jobs, comm::Comm const* team, Execute const& execute, Report const& report) {
    std::size_t reported = 0;
    std::string wrong;  // it is thrown below: what is thrown in a report might be taken for a failure of the job
    auto const take = [&](JobResult result) {
        if (reported < jobs.size() && result.key == jobs[reported].key) {
            ++reported;
            report(std::move(result));
        } else if (wrong.empty()) {
            wrong = fmt::format("a result of job {} was reported where {} was expected", result.key.substr(0, 12),
                                reported < jobs.size() ? "that of job " + name_of(jobs[reported]) : "none");
        }
    };
    execute(jobs, team, {take, report.progress});
    constexpr auto remedy = "this is a fault of the program: please report it";
    if (!wrong.empty()) throw Error{wrong, remedy};
    if (reported == jobs.size()) return;
    std::vector<std::string> missing;
    for (; reported < jobs.size(); ++reported) missing.push_back(name_of(jobs[reported]));
    throw Error{fmt::format("no result was reported of job {}", fmt::join(missing, ", ")), remedy};
}

/// The team's result of a job: its first rank's, unless another one failed or was stopped. Collective.
JobResult agreed(JobResult own, comm::Comm const& team) {
    JobResult word;
    word.ok = own.ok;
    word.stopped = own.stopped;
    word.error = own.error;
    auto const words = team.all_gather(encode(word));
    for (std::size_t rank = 0; rank < words.size(); ++rank) {
        auto const other = std::get<JobResult>(decode(words[rank]));
        if (other.ok || (other.stopped && !own.ok)) continue;
        if (!own.ok && !own.stopped) break;  // its own error says it
        own.ok = false;
        own.stopped = other.stopped;
        if (!other.stopped) own.error = fmt::format("rank {} of the team: {}", rank, other.error);
    }
    return own;
}

/// Does an assignment. Only the first of a team reports.
void perform(comm::Session const& session, Assignment const& work, Execute const& execute, Report const& report) {
    if (work.team.size() == 1) return execute_all(work.jobs, nullptr, execute, report);
    constexpr int tags = 16384;
    auto const team = session.teams().team(work.team, work.number % tags);
    JobResult own;
    Report within{[&](JobResult result) { own = std::move(result); }};
    if (team.rank() == 0) within.progress = report.progress;
    execute_all(work.jobs, &team, execute, within);
    own = agreed(std::move(own), team);
    if (team.rank() == 0) report(std::move(own));
}

Outcome lead(comm::Session const& session, comm::Messenger* messenger, JobSource& source, Recorder& recorder,
             Execute const& execute) {
    Orders orders;
    OwnResults own_results;
    OwnProgress own_progress;
    WorldChannel channel{messenger, session.size(), orders, own_results, own_progress};
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
            perform(session, **order, execute,
                    {[&](JobResult result) { own_results.push(std::make_unique<JobResult>(std::move(result))); },
                     [&](Progress progress) { own_progress.push(std::move(progress)); }});
        } catch (...) {
            own_failure = std::current_exception();
            own_results.push(nullptr);
        }
    }
    coordinator.join();
    if (own_failure) std::rethrow_exception(own_failure);
    if (failure) std::rethrow_exception(failure);
    return outcome;
}

/// Whether a message is a stop, which is then asked for.
bool take_stop(std::string_view message) {
    auto const stop = decode_stop(message);
    if (stop) request_stop(stop->signal);
    return stop.has_value();
}

void follow(comm::Session const& session, comm::Messenger& messenger, Execute const& execute) {
    for (;;) {
        auto const message = messenger.poll(std::chrono::milliseconds{1000});
        if (!message) continue;
        if (take_stop(message->second)) continue;  // it came before there was an interceptor
        auto const said = decode(message->second);
        if (std::holds_alternative<Finish>(said)) return;
        auto const* const work = std::get_if<Assignment>(&said);
        if (!work) throw Error{"rank 0 sent a message that is no assignment"};
        perform(session, *work, execute,
                {[&](JobResult const& result) { messenger.send(0, encode(result)); },
                 [&](Progress const& progress) { messenger.send(0, encode(progress)); }});
    }
}

/// Whether another job would most likely meet the same, so that it is no failure of this one.
bool is_no_fault_of_the_job(std::exception const& error) {
    auto const code = exit_code(error);  // infrastructure also for memory that is not there
    return code == ExitCode::infrastructure || code == ExitCode::storage;
}

}  // namespace

JobResult execute_safely(Job const& job, std::function<Done()> const& work) {
    JobResult result;
    result.key = job.key;
    auto const start = std::chrono::steady_clock::now();
    try {
        auto done = work();
        result.sha256 = std::move(done.sha256);
        result.result = std::move(done.result);
        result.ok = true;
    } catch (std::exception const& error) {
        if (is_no_fault_of_the_job(error)) throw;
        result.stopped = is_stop(error);
        if (!result.stopped) result.error = describe(error);
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

Outcome run(comm::Session& session, JobSource* source, Recorder* recorder, Execute const& execute,
            comm::MessengerOptions const& options) {
    if (session.size() == 1) return lead(session, nullptr, *source, *recorder, execute);
    comm::Messenger messenger{session.control(), options};
    std::string outcome;
    if (session.rank() == 0) {
        outcome = encode(lead(session, &messenger, *source, *recorder, execute));
    } else {
        // A stop has to reach a worker that is deep in a job.
        messenger.intercept([](int, std::string const& message) { return take_stop(message); });
        follow(session, messenger, execute);
    }
    messenger.close();
    session.teams().broadcast(outcome);
    return std::get<Outcome>(decode(outcome));
}

}  // namespace samner::sched
