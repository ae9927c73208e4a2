#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/stop.h"
#include "sched/sched.h"

namespace samner::sched {
namespace {

constexpr std::size_t most_at_once = 8;  ///< tasks of a batch: what each brings along takes memory

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
        std::size_t missing = 0;   ///< tasks it waits for
        double rest = 0;           ///< cost of the longest path from its end to the graph's end
        double way = 0;            ///< the same from its start
        std::vector<int> made_on;  ///< the workers that did it
        std::vector<std::string> followers;
    };
    /// What goes to one worker or team.
    struct Piece {
        std::vector<Node*> nodes;
        int ranks = 1;
        std::vector<int> team;
    };
    struct Running {
        std::vector<int> team;
        std::set<std::string> open;  ///< keys of the tasks without a result
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
        if (task.width < 1) {
            throw InputError{
                fmt::format("task {} ({}) is {} ranks wide", task.key.substr(0, 12), task.kind, task.width),
                "its width is at least 1"};
        }
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
        bool const ready = node.state == State::ready;
        if (ready) dequeue(node);
        node.way = way;
        if (ready) enqueue(node);
        for (auto const& before : node.task.after) raise(before, way);
    }

    void make_ready(Node& node) {
        node.state = State::ready;
        enqueue(node);
    }

    void enqueue(Node const& node) {
        ready_.insert({node.way, node.task.key});
        if (!node.task.batch.empty()) batches_[node.task.batch].insert({node.way, node.task.key});
    }

    void dequeue(Node const& node) {
        ready_.erase({node.way, node.task.key});
        if (!node.task.batch.empty()) batches_.at(node.task.batch).erase({node.way, node.task.key});
    }

    void sync() {
        recorder_.sync();
        unsynced_ = false;
    }

    bool assign() {
        std::vector<Piece> pieces;
        while (pieces.size() < idle_.size() && !ready_.empty()) pieces.push_back(next_piece());
        if (pieces.empty()) return false;
        widen(pieces, static_cast<int>(idle_.size() - pieces.size()));
        name_teams(pieces);
        std::vector<Assignment> assignments;
        for (auto const& piece : pieces) {
            auto& work = assignments.emplace_back();
            work.team = piece.team;
            work.number = assigned_++;
            auto& running = running_[piece.team.front()];
            running.team = piece.team;
            for (auto* const node : piece.nodes) {
                node->state = State::running;
                running.open.insert(node->task.key);
                recorder_.started(node->task, piece.team);
                work.tasks.push_back(node->task);
            }
        }
        sync();
        for (auto const& work : assignments) channel_.send(work);
        return true;
    }

    /// The ready task of the longest way, with others of its batch.
    Piece next_piece() {
        Piece piece;
        auto const take = [&](std::string const& key) {
            auto& node = nodes_.at(key);
            dequeue(node);
            piece.nodes.push_back(&node);
        };
        auto const batch = nodes_.at(ready_.begin()->key).task.batch;
        take(std::string{ready_.begin()->key});
        if (batch.empty()) return piece;
        auto const& others = batches_.at(batch);
        auto const workers = static_cast<std::size_t>(channel_.workers());
        auto const share = std::min(most_at_once, (others.size() + workers) / workers);
        while (piece.nodes.size() < share) take(std::string{others.begin()->key});
        return piece;
    }

    /// Shares workers that would have nothing to do among the pieces that more of them can do.
    static void widen(std::vector<Piece>& pieces, int spare) {
        for (bool grown = true; grown;) {
            grown = false;
            for (auto& piece : pieces) {
                if (piece.nodes.size() > 1) continue;
                auto const more = larger_team(piece.ranks, piece.nodes.front()->task.width) - piece.ranks;
                if (more == 0 || more > spare) continue;
                piece.ranks += more;
                spare -= more;
                grown = true;
            }
        }
    }

    /// The next larger number of ranks that all have work; `ranks` when there is none.
    static int larger_team(int ranks, int width) {
        int larger = ranks;
        for (int parts = 1; (width + parts - 1) / parts > ranks; parts *= 2) larger = (width + parts - 1) / parts;
        return larger;
    }

    /// Takes the pieces' workers from the idle ones.
    void name_teams(std::vector<Piece>& pieces) {
        for (auto& piece : pieces) {
            std::map<int, int> holds;  // of the idle workers: how much of what the piece needs
            for (auto const* const node : piece.nodes) {
                for (auto const& before : node->task.after) {
                    for (auto const worker : nodes_.at(before).made_on) holds[worker] += idle_.contains(worker) ? 1 : 0;
                }
            }
            std::erase_if(holds, [](auto const& held) { return held.second == 0; });
            std::vector<std::pair<int, int>> best{holds.begin(), holds.end()};
            std::ranges::stable_sort(best, std::greater{}, &std::pair<int, int>::second);
            for (auto const& [worker, held] : best) join(piece, worker);
        }
        for (auto& piece : pieces) {
            while (std::ssize(piece.team) < piece.ranks) join(piece, *idle_.begin());
            std::ranges::sort(piece.team);
        }
    }

    void join(Piece& piece, int worker) {
        if (std::ssize(piece.team) == piece.ranks) return;
        piece.team.push_back(worker);
        idle_.erase(worker);
    }

    void accept(TaskResult result) {
        auto const running = running_.find(result.rank);
        if (running == running_.end() || running->second.open.erase(result.key) == 0) {
            spdlog::warn("ignoring a result of task {} from rank {}, which was not given it", result.key.substr(0, 12),
                         result.rank);
            return;
        }
        auto& node = nodes_.at(result.key);
        auto const& team = running->second.team;
        if (team.size() > 1) result.team = team;
        node.made_on = team;
        if (running->second.open.empty()) {
            idle_.insert(team.begin(), team.end());
            running_.erase(running);
        }
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
    std::map<std::string, std::set<Order>> batches_;  ///< the ready tasks of each
    std::set<int> idle_;
    std::map<int, Running> running_;  ///< by the worker that reports
    int assigned_ = 0;
    bool unsynced_ = false;  ///< results were recorded since the last sync
    Outcome outcome_;
};

}  // namespace

Outcome coordinate(TaskSource& source, Recorder& recorder, TaskChannel& channel) {
    return Coordinator{source, recorder, channel}.run();
}

}  // namespace samner::sched
