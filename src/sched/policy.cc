#include "sched/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/error.h"

namespace samner::sched {
namespace {

constexpr std::size_t most_at_once = 8;  ///< jobs of a batch: what each brings along takes memory

using May = Policy::May;
using Index = std::uint32_t;  ///< of a node

enum class State : std::uint8_t {
    awaited,  ///< another job waits for it, and it has not come yet
    waiting,
    ready,
    held,     ///< ready, and may not start
    running,  ///< from here on it has started
    done,
    failed,
    stopped,
};

bool has_started(State state) {
    return state >= State::running;
}

/// Ready jobs are sorted by this: the longest critical path first.
struct Ready {
    double critical_path;
    std::string_view key;
    Index index;
    bool operator<(Ready const& other) const {
        return critical_path != other.critical_path ? critical_path > other.critical_path : key < other.key;
    }
};

struct Node {
    std::string_view key;
    Job job;  ///< until it starts
    State state = State::awaited;
    std::uint32_t visit = 0;           ///< by followers_first, which numbers its walks
    std::size_t missing = 0;           ///< jobs it waits for
    double critical_path = 0;          ///< seconds of the longest path from its start to the end of the graph
    double followers_path = 0;         ///< the longest critical path of its followers
    std::vector<Index> after;          ///< until it starts
    std::vector<Index> followers;      ///< that still wait for it
    std::vector<int> made_on;          ///< the team that did it
    std::set<Ready>* batch = nullptr;  ///< the ready jobs of its batch
};

/// What goes to one worker or team.
struct Piece {
    std::vector<Index> jobs;
    int width = 1;
    int ranks = 1;
    std::vector<int> team = {};
};

/// What the first rank of a team has to report.
struct Running {
    std::vector<Index> open;  ///< jobs without a result
    std::vector<int> team;
};

/// The next larger number of ranks that all have work; `ranks` when there is none.
int larger_team(int ranks, int width) {
    int larger = ranks;
    for (int parts = 1; (width + parts - 1) / parts > ranks; parts *= 2) larger = (width + parts - 1) / parts;
    return larger;
}

/// Shares workers that would have nothing to do among the pieces that more of them can do.
void widen(std::vector<Piece>& pieces, int spare) {
    for (bool grown = spare > 0; grown;) {
        grown = false;
        for (auto& piece : pieces) {
            if (piece.jobs.size() > 1) continue;
            auto const more = larger_team(piece.ranks, piece.width) - piece.ranks;
            if (more == 0 || more > spare) continue;
            piece.ranks += more;
            spare -= more;
            grown = true;
        }
    }
}

}  // namespace

struct Policy::Impl {
    std::deque<Node> nodes;
    std::unordered_map<std::string, Index> index_of_key;
    std::set<Ready> ready;
    std::unordered_map<std::string, std::set<Ready>> batches;
    std::set<int> idle;
    std::vector<Running> running_on;  ///< by the worker that reports
    std::int64_t running = 0;
    std::int64_t not_run = 0;
    std::int64_t held = 0;
    int assigned = 0;
    std::uint32_t visits = 0;

    /// The node of a key, which is made when there is none.
    Index index_of(std::string const& key) {
        auto const [entry, made] = index_of_key.try_emplace(key, static_cast<Index>(nodes.size()));
        if (made) nodes.emplace_back().key = entry->first;
        return entry->second;
    }

    /// Makes nodes of jobs. @return those that are new
    std::vector<Index> take(std::vector<Job> jobs) {
        std::vector<Index> fresh;
        for (auto& job : jobs) {
            auto const index = index_of(job.key);
            auto& node = nodes[index];
            if (node.state != State::awaited) continue;  // named twice
            node.state = State::waiting;
            node.job = std::move(job);
            if (!node.job.batch.empty()) node.batch = &batches[node.job.batch];
            fresh.push_back(index);
        }
        not_run += std::ssize(fresh);
        return fresh;
    }

    void connect(Index index) {
        auto& node = nodes[index];
        node.after.reserve(node.job.after.size());
        for (auto const& key : node.job.after) {
            auto const before = index_of(key);
            node.after.push_back(before);
            if (nodes[before].state == State::done) continue;
            nodes[before].followers.push_back(index);
            ++node.missing;
        }
    }

    /// The given jobs and all before them that have not started, each after those that wait for it. Chains may be long:
    /// no recursion.
    std::vector<Index> followers_first(std::vector<Index> const& given) {
        struct Step {
            Index index;
            std::size_t next;  ///< of `after`
        };
        auto const open = ++visits;
        auto const closed = ++visits;
        std::vector<Index> order;
        std::vector<Step> path;
        auto const enter = [&](Index index) {
            nodes[index].visit = open;
            path.push_back({index, 0});
        };
        for (auto const start : given) {
            if (nodes[start].visit != closed) enter(start);
            while (!path.empty()) {
                auto& [index, next] = path.back();
                auto& node = nodes[index];
                if (next == node.after.size()) {
                    node.visit = closed;
                    order.push_back(index);
                    path.pop_back();
                    continue;
                }
                auto const before = node.after[next++];
                auto const& other = nodes[before];
                if (other.visit == open) {
                    throw Error{fmt::format("job {} ({}) waits for itself", other.job.label, other.key.substr(0, 12)),
                                "this is a fault of the plan: please report it"};
                }
                if (other.visit != closed && !has_started(other.state)) enter(before);
            }
        }
        std::ranges::reverse(order);
        return order;
    }

    /// Critical paths grow from the end of the graph to its start.
    void lengthen_paths(std::vector<Index> const& fresh) {
        for (auto const index : followers_first(fresh)) {
            auto& node = nodes[index];
            if (node.state == State::awaited) continue;  // that waits until it is known
            auto const path = std::max(node.job.seconds, 1e-9) + node.followers_path;
            if (path <= node.critical_path) continue;
            bool const queued = node.state == State::ready;
            if (queued) dequeue(index);
            node.critical_path = path;
            if (queued) enqueue(index);
            for (auto const before : node.after)
                nodes[before].followers_path = std::max(nodes[before].followers_path, path);
        }
    }

    void enqueue(Index index) {
        auto& node = nodes[index];
        node.state = State::ready;
        Ready const entry{node.critical_path, node.key, index};
        ready.insert(entry);
        if (node.batch) node.batch->insert(entry);
    }

    void dequeue(Index index) {
        auto const& node = nodes[index];
        Ready const entry{node.critical_path, node.key, index};
        ready.erase(entry);
        if (node.batch) node.batch->erase(entry);
    }

    /// Takes the first of the ready jobs that may start. @return nothing when none may
    std::optional<Index> next_of(std::set<Ready>& jobs, May const& may) {
        while (!jobs.empty()) {
            auto const index = jobs.begin()->index;
            dequeue(index);
            if (!may || may(nodes[index].job)) return index;
            nodes[index].state = State::held;
            ++held;
        }
        return std::nullopt;
    }

    /// The ready job of the longest critical path, with others of its batch. Without jobs where none may start.
    Piece next_piece(May const& may) {
        auto const first = next_of(ready, may);
        if (!first) return {};
        Piece piece{{*first}, nodes[*first].job.width};
        auto* const others = nodes[*first].batch;
        if (!others) return piece;
        auto const workers = running_on.size();
        auto const share = std::min(most_at_once, (others->size() + workers) / workers);
        while (piece.jobs.size() < share) {
            auto const next = next_of(*others, may);
            if (!next) break;
            piece.jobs.push_back(*next);
        }
        return piece;
    }

    /// Takes the idle workers that made most of what a piece needs.
    void name_makers(Piece& piece) {
        std::vector<int> makers;
        for (auto const index : piece.jobs) {
            for (auto const before : nodes[index].after) {
                for (auto const worker : nodes[before].made_on)
                    if (idle.contains(worker)) makers.push_back(worker);
            }
        }
        std::ranges::sort(makers);
        std::vector<std::pair<std::ptrdiff_t, int>> made;  // how much, and by whom
        for (auto worker = makers.begin(); worker != makers.end();) {
            auto const next = std::upper_bound(worker, makers.end(), *worker);
            made.emplace_back(next - worker, *worker);
            worker = next;
        }
        std::ranges::stable_sort(made, std::greater{}, &std::pair<std::ptrdiff_t, int>::first);
        made.resize(std::min(made.size(), static_cast<std::size_t>(piece.ranks)));
        for (auto const& [much, worker] : made) join(piece, worker);
    }

    void join(Piece& piece, int worker) {
        piece.team.push_back(worker);
        idle.erase(worker);
    }

    /// Makes a piece with its team what the team is told.
    Assignment start(Piece const& piece) {
        Assignment work;
        work.team = piece.team;
        work.number = assigned++;
        work.jobs.reserve(piece.jobs.size());
        for (auto const index : piece.jobs) {
            auto& node = nodes[index];
            node.state = State::running;
            node.after = {};
            work.jobs.push_back(std::exchange(node.job, {}));
        }
        running_on[static_cast<std::size_t>(piece.team.front())] = {piece.jobs, piece.team};
        running += std::ssize(piece.jobs);
        not_run -= std::ssize(piece.jobs);
        return work;
    }

    std::vector<Assignment> assign(May const& may) {
        std::vector<Piece> pieces;
        while (pieces.size() < idle.size() && !ready.empty()) {
            auto piece = next_piece(may);
            if (!piece.jobs.empty()) pieces.push_back(std::move(piece));
        }
        widen(pieces, static_cast<int>(idle.size() - pieces.size()));
        for (auto& piece : pieces) name_makers(piece);
        std::vector<Assignment> assignments;
        assignments.reserve(pieces.size());
        for (auto& piece : pieces) {
            while (std::ssize(piece.team) < piece.ranks) join(piece, *idle.begin());
            std::ranges::sort(piece.team);
            assignments.push_back(start(piece));
        }
        return assignments;
    }

    /// Takes a job from those that a worker has to report. @return whether it was one of them
    bool close(int worker, Index index) {
        if (worker < 0 || worker >= std::ssize(running_on)) return false;
        auto& [open, team] = running_on[static_cast<std::size_t>(worker)];
        if (std::erase(open, index) == 0) return false;
        nodes[index].made_on = team;
        if (open.empty()) idle.insert(team.begin(), team.end());
        --running;
        return true;
    }

    /// @throws InputError unless the job is held
    Index unhold(std::string const& key) {
        auto const found = index_of_key.find(key);
        if (found == index_of_key.end() || nodes[found->second].state != State::held)
            throw InputError{fmt::format("job {} is not held", key.substr(0, 12))};
        --held;
        return found->second;
    }

    void free_followers(Node& node) {
        for (auto const follower : std::exchange(node.followers, {})) {
            auto& next = nodes[follower];
            if (--next.missing == 0 && next.state == State::waiting) enqueue(follower);
        }
    }

    /// Which nodes wait for a job that failed or was stopped, at once or through others.
    std::vector<bool> held_back() const {
        std::vector<bool> behind(nodes.size());
        std::vector<Index> found;
        for (Index index = 0; index < nodes.size(); ++index) {
            auto const state = nodes[index].state;
            if (state == State::failed || state == State::stopped) found.push_back(index);
        }
        while (!found.empty()) {
            auto const index = found.back();
            found.pop_back();
            for (auto const follower : nodes[index].followers) {
                if (behind[follower]) continue;
                behind[follower] = true;
                found.push_back(follower);
            }
        }
        return behind;
    }
};

Policy::Policy(int workers) : impl_{std::make_unique<Impl>()} {
    if (workers < 1) throw InputError{fmt::format("{} workers can do no jobs", workers), "there is at least one"};
    impl_->running_on.resize(static_cast<std::size_t>(workers));
    for (int worker = 0; worker < workers; ++worker) impl_->idle.insert(worker);
}

Policy::Policy(Policy&&) noexcept = default;
Policy& Policy::operator=(Policy&&) noexcept = default;
Policy::~Policy() = default;

void Policy::add(std::vector<Job> jobs) {
    for (auto const& job : jobs) {
        if (job.width >= 1) continue;
        throw InputError{fmt::format("job {} ({}) is {} ranks wide", job.label, job.key.substr(0, 12), job.width),
                         "its width is at least 1"};
    }
    auto const fresh = impl_->take(std::move(jobs));
    if (fresh.empty()) return;
    for (auto const index : fresh) impl_->connect(index);
    impl_->lengthen_paths(fresh);
    for (auto const index : fresh)
        if (impl_->nodes[index].missing == 0) impl_->enqueue(index);
}

std::vector<Assignment> Policy::assign(May const& may) {
    return impl_->assign(may);
}

void Policy::release(std::string const& key) {
    impl_->enqueue(impl_->unhold(key));
}

void Policy::done_elsewhere(std::string const& key) {
    auto& node = impl_->nodes[impl_->unhold(key)];
    node.state = State::done;
    --impl_->not_run;
    impl_->free_followers(node);
}

std::vector<int> const* Policy::ended(JobResult const& result) {
    auto const found = impl_->index_of_key.find(result.key);
    if (found == impl_->index_of_key.end() || !impl_->close(result.rank, found->second)) return nullptr;
    auto& node = impl_->nodes[found->second];
    if (result.stopped) {
        node.state = State::stopped;
        ++impl_->not_run;
    } else if (result.ok) {
        node.state = State::done;
        impl_->free_followers(node);
    } else {
        node.state = State::failed;
    }
    return &node.made_on;
}

std::int64_t Policy::running() const {
    return impl_->running;
}

std::int64_t Policy::ready() const {
    return std::ssize(impl_->ready);
}

std::int64_t Policy::held() const {
    return impl_->held;
}

std::int64_t Policy::not_run() const {
    return impl_->not_run;
}

int Policy::idle() const {
    return static_cast<int>(impl_->idle.size());
}

double Policy::critical_path(std::string const& key) const {
    auto const found = impl_->index_of_key.find(key);
    if (found == impl_->index_of_key.end() || impl_->nodes[found->second].state == State::awaited)
        throw InputError{fmt::format("there is no job {}", key.substr(0, 12))};
    return impl_->nodes[found->second].critical_path;
}

Job const* Policy::stuck() const {
    if (not_run() == 0) return nullptr;
    auto const held = impl_->held_back();
    Node const* first = nullptr;
    for (Index index = 0; index < held.size(); ++index) {
        auto const& node = impl_->nodes[index];
        if (held[index] || (node.state != State::waiting && node.state != State::ready)) continue;
        if (!first || node.key < first->key) first = &node;
    }
    return first ? &first->job : nullptr;
}

}  // namespace samner::sched
