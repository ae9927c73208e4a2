#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/stop.h"
#include "sched/sched.h"

namespace samner::sched {
namespace {

class Coordinator {
public:
    Coordinator(TaskSource& source, Recorder& recorder, TaskChannel& channel)
        : source_{source}, recorder_{recorder}, channel_{channel} {
        for (int worker = 0; worker < channel.workers(); ++worker) idle_.insert(worker);
    }

    Outcome run() {
        take_new();
        for (;;) {
            if (int const signal = stop_signal(); signal != 0 && outcome_.stop_signal == 0) {
                outcome_.stop_signal = signal;
                channel_.stop(signal);
            }
            bool const sent = outcome_.stop_signal == 0 && assign();
            if (!sent && unsynced_) sync();  // nothing may become ready for a long time
            if (running_.empty() && !sent) break;
            // One durable record for all that has come in together.
            if (auto result = channel_.receive(std::chrono::milliseconds{5})) {
                do accept(*result);
                while ((result = channel_.receive(std::chrono::milliseconds{0})));
                take_new();
            }
        }
        recorder_.sync();
        for (auto const& [key, node] : nodes_) {
            if (!node.known || (node.state != State::waiting && node.state != State::ready)) continue;
            ++outcome_.not_run;
            if (outcome_.stop_signal == 0 && !waits_for_failure(key)) {
                throw Error{
                    fmt::format("task {} ({}) waits for tasks that nobody has", key.substr(0, 12), node.task.kind),
                    "this is a fault of the plan: please report it"};
            }
        }
        return outcome_;
    }

private:
    enum class State { waiting, ready, running, done, failed };
    struct Node {
        Task task;
        bool known = false;  ///< else another task waits for it, and it has not come yet
        State state = State::waiting;
        std::size_t missing = 0;  ///< tasks it waits for
        double rest = 0;          ///< cost of the longest path from its end to the graph's end
        double way = 0;           ///< the same from its start
        std::vector<std::string> followers;
    };
    struct Order {
        double way;
        std::string key;
        bool operator<(Order const& other) const { return way != other.way ? way > other.way : key < other.key; }
    };

    void take_new() {
        auto tasks = source_.take_new();
        std::erase_if(tasks, [&](Task const& task) { return !make_known(task); });  // named twice
        for (auto const& task : tasks) {
            auto& node = nodes_[task.key];
            for (auto const& before : task.after) {
                auto& predecessor = nodes_[before];
                if (predecessor.state == State::done) continue;
                predecessor.followers.push_back(task.key);
                ++node.missing;
            }
        }
        // Costs flow from the end of the graph to its start; new tasks come after known ones.
        for (auto task = tasks.rbegin(); task != tasks.rend(); ++task) raise(task->key, nodes_[task->key].rest);
        for (auto const& task : tasks) {
            auto& node = nodes_[task.key];
            if (node.state == State::waiting && node.missing == 0) make_ready(node);
        }
    }

    bool make_known(Task const& task) {
        if (task.width != 1)
            throw InputError{
                fmt::format("task {} ({}) is {} ranks wide", task.key.substr(0, 12), task.kind, task.width),
                "only a width of 1 is there yet"};
        auto& node = nodes_[task.key];
        if (std::exchange(node.known, true)) return false;
        node.task = task;
        node.way = 0;  // it was without its cost
        return true;
    }

    /// Makes the rest of the way after a task at least `rest`, and with it that of those before it longer.
    void raise(std::string const& key, double rest) {
        auto& node = nodes_[key];
        node.rest = std::max(node.rest, rest);
        auto const way = std::max(node.task.cost, 1e-9) + node.rest;
        if (way <= node.way) return;
        if (node.state == State::ready) ready_.erase({node.way, key});
        node.way = way;
        if (node.state == State::ready) ready_.insert({node.way, key});
        for (auto const& before : node.task.after) raise(before, way);
    }

    void make_ready(Node& node) {
        node.state = State::ready;
        ready_.insert({node.way, node.task.key});
    }

    void sync() {
        recorder_.sync();
        unsynced_ = false;
    }

    bool assign() {
        std::vector<std::pair<int, Node*>> assignments;
        while (!idle_.empty() && !ready_.empty()) {
            auto& node = nodes_.at(ready_.begin()->key);
            ready_.erase(ready_.begin());
            auto const worker = *idle_.begin();
            idle_.erase(idle_.begin());
            node.state = State::running;
            running_[worker] = node.task.key;
            recorder_.started(node.task, worker);
            assignments.emplace_back(worker, &node);
        }
        if (assignments.empty()) return false;
        sync();
        for (auto const& [worker, node] : assignments) channel_.send(worker, node->task);
        return true;
    }

    void accept(TaskResult const& result) {
        auto const running = running_.find(result.rank);
        if (running == running_.end() || running->second != result.key) {
            spdlog::warn("ignoring a result of task {} from rank {}, which was not given it", result.key.substr(0, 12),
                         result.rank);
            return;
        }
        running_.erase(running);
        idle_.insert(result.rank);
        auto& node = nodes_.at(result.key);
        if (result.stopped) {
            node.state = State::waiting;
            if (stop_signal() == 0) request_stop(SIGTERM);  // its rank alone was told to stop: all do
            return;
        }
        recorder_.ended(node.task, result);
        unsynced_ = true;
        if (!result.ok) {
            node.state = State::failed;
            ++outcome_.failed;
            source_.failed(result);
            return;
        }
        node.state = State::done;
        ++outcome_.done;
        for (auto const& follower : node.followers) {
            auto& next = nodes_.at(follower);
            if (--next.missing == 0 && next.state == State::waiting) make_ready(next);
        }
        node.followers.clear();
        source_.finished(result);
    }

    bool waits_for_failure(std::string const& key) const {
        auto const& node = nodes_.at(key);
        return std::ranges::any_of(node.task.after, [&](std::string const& before) {
            auto const& predecessor = nodes_.at(before);
            return predecessor.state == State::failed ||
                   (predecessor.state == State::waiting && waits_for_failure(before));
        });
    }

    TaskSource& source_;
    Recorder& recorder_;
    TaskChannel& channel_;
    std::map<std::string, Node> nodes_;
    std::set<Order> ready_;
    std::set<int> idle_;
    std::map<int, std::string> running_;  ///< by worker
    bool unsynced_ = false;               ///< results were recorded since the last sync
    Outcome outcome_;
};

}  // namespace

Outcome coordinate(TaskSource& source, Recorder& recorder, TaskChannel& channel) {
    return Coordinator{source, recorder, channel}.run();
}

}  // namespace samner::sched
