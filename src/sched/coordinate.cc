#include "sched/coordinate.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/stop.h"
#include "sched/policy.h"

namespace samner::sched {
namespace {

class Coordinator {
public:
    Coordinator(JobSource& source, Recorder& recorder, Channel& channel)
        : source_{source}, recorder_{recorder}, channel_{channel}, policy_{channel.workers()} {}

    Outcome run() {
        policy_.add(source_.take_new());
        for (;;) {
            if (int const signal = stop_signal(); signal != 0 && outcome_.stop_signal == 0) {
                outcome_.stop_signal = signal;
                channel_.stop(signal);
            }
            bool const going_on = outcome_.stop_signal == 0;
            bool const sent = going_on && assign();
            bool const waiting = going_on && policy_.held() > 0;
            if (waiting) look_elsewhere();
            if (!sent && unsynced_) sync();  // nothing may become ready for a long time
            if (running_.empty() && !sent && !waiting) break;
            // One durable record for all that has come in together.
            if (auto result = channel_.receive(std::chrono::milliseconds{5})) {
                do accept(std::move(*result));
                while ((result = channel_.receive(std::chrono::milliseconds{0})));
                policy_.add(source_.take_new());
            }
            for (auto const& progress : channel_.take_progress()) recorder_.progress(progress);
            recorder_.tick();
        }
        recorder_.sync();
        outcome_.not_run = policy_.not_run();
        if (outcome_.stop_signal == 0) refuse_stuck();
        return outcome_;
    }

private:
    void sync() {
        recorder_.sync();
        unsynced_ = false;
    }

    bool assign() {
        auto assignments = policy_.assign([&](Job const& job) { return source_.claim(job); });
        if (assignments.empty()) return false;
        for (auto const& work : assignments)
            for (auto const& job : work.jobs) recorder_.started(job, work.team);
        sync();
        for (auto& work : assignments) {
            channel_.send(work);
            for (auto& job : work.jobs) {
                auto key = job.key;
                running_.emplace(std::move(key), std::move(job));
            }
        }
        return true;
    }

    /// What other runs have done meanwhile, or given up.
    void look_elsewhere() {
        auto const now = std::chrono::steady_clock::now();
        if (now < next_look_) return;
        next_look_ = now + std::chrono::milliseconds{200};
        auto const news = source_.look_elsewhere();
        for (auto const& key : news.done) policy_.done_elsewhere(key);
        for (auto const& key : news.free) policy_.release(key);
        if (news.done.empty()) return;
        unsynced_ = true;
        policy_.add(source_.take_new());
    }

    void accept(JobResult result) {
        auto const* const team = policy_.ended(result);
        if (!team) {
            spdlog::warn("ignoring a result of job {} from rank {}, which was not given it", result.key.substr(0, 12),
                         result.rank);
            return;
        }
        if (team->size() > 1) result.team = *team;
        auto const job = std::move(running_.extract(result.key).mapped());
        if (result.stopped) {
            if (stop_signal() == 0) request_stop(SIGTERM);  // its rank alone was told to stop: all do
            return;
        }
        recorder_.ended(job, result);
        unsynced_ = true;
        if (result.ok) {
            ++outcome_.done;
            source_.finished(result);
        } else {
            ++outcome_.failed;
            source_.failed(result);
        }
    }

    void refuse_stuck() const {
        auto const* const job = policy_.stuck();
        if (!job) return;
        throw Error{fmt::format("job {} ({}) waits for jobs that nobody has", job->label, job->key.substr(0, 12)),
                    "this is a fault of the plan: please report it"};
    }

    JobSource& source_;
    Recorder& recorder_;
    Channel& channel_;
    Policy policy_;
    std::unordered_map<std::string, Job> running_;  ///< by key
    bool unsynced_ = false;                         ///< results were recorded since the last sync
    std::chrono::steady_clock::time_point next_look_;
    Outcome outcome_;
};

}  // namespace

Outcome coordinate(JobSource& source, Recorder& recorder, Channel& channel) {
    return Coordinator{source, recorder, channel}.run();
}

}  // namespace samner::sched
