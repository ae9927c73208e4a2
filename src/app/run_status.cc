#include "app/run_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "app/run_display.h"
#include "app/run_folder.h"
#include "app/run_progress.h"
#include "core/file.h"
#include "store/lease.h"
#include "work/result.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t finished_shown = 5;

/// A JSON file that need not be there and is not the truth: null where it cannot be used.
Json read_aside(fs::path const& path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return {};
    try {
        return read_json(path);
    } catch (InputError const&) {
        return {};
    }
}

template <class T>
T field(Json const& object, char const* name, T otherwise) {
    auto const found = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || found == object.end()) return otherwise;
    return detail::convert<T>(*found).value_or(otherwise);
}

Json list(Json const& object, char const* name) {
    auto found = field(object, name, Json::array());
    return found.is_array() ? found : Json::array();
}

/// A run folder's files, read once.
class Reader {
public:
    explicit Reader(fs::path const& run)
        : journal_(read_journal(run).records),  // braces would make a JSON list of it
          holder_{store::last_holder(run)},
          progress_(read_aside(progress_path(run))),
          plan_(read_aside(run / "plan.json")) {
        // One of an earlier call says nothing of this one. Who let go without one has not run, such as a report.
        if (holder_ && !holder_->released && field<std::int64_t>(progress_, "epoch", 0) != holder_->epoch)
            progress_ = {};
        for (auto const& task : list(plan_, "tasks")) {
            auto const key = field<std::string>(task, "key", "");
            planned_[key] = task;
            labels_[key] = field<std::string>(task, "label", "");
        }
        read_records();
    }

    RunStatus status() const {
        RunStatus status;
        set_counts(status);
        set_state(status);
        set_left(status);
        set_running(status);
        for (auto const& record : ended_) {
            auto task = task_of(record.key, record.kind);
            task.ranks = record.team.empty() ? std::vector{record.rank} : record.team;
            task.seconds = record.seconds;
            task.note = record.error;
            if (is_asked_for(record.key)) (record.ok ? status.finished : status.failed).push_back(std::move(task));
        }
        if (status.finished.size() > finished_shown)
            status.finished.erase(status.finished.begin(), status.finished.end() - finished_shown);
        return status;
    }

private:
    /// The last record of each task in the order of the journal, and what the last call began.
    void read_records() {
        std::map<std::string, std::size_t> last;
        auto const records = work::task_records(journal_);
        open_ = work::started_tasks(journal_);
        for (std::size_t i = 0; i < journal_.size(); ++i) {
            auto const kind = field<std::string>(journal_[i], "kind", "");
            auto const key = field<std::string>(journal_[i], "key", "");
            if (kind == "opened") {
                started_now_.clear();
            } else if (kind == "started") {
                started_now_.insert(key);
            } else if (work::says_ended(kind)) {
                last[key] = i;
            }
            if (auto const label = field<std::string>(journal_[i], "label", ""); !label.empty()) labels_[key] = label;
        }
        std::vector<std::pair<std::size_t, std::string>> order;
        for (auto const& [key, i] : last) order.emplace_back(i, key);
        std::ranges::sort(order);
        for (auto const& [i, key] : order)
            if (auto const record = records.find(key); record != records.end()) ended_.push_back(record->second);
        std::erase_if(open_, [&](auto const& task) { return !started_now_.contains(task.first); });
        // What is done again has not ended.
        std::erase_if(ended_, [&](work::TaskRecord const& record) { return open_.contains(record.key); });
    }

    /// Whether the experiment of the last call has a task: an earlier one may have had others.
    bool is_asked_for(std::string const& key) const {
        return planned_.empty() || planned_.contains(key) || started_now_.contains(key);
    }

    RunStatus::Task task_of(std::string const& key, std::string const& kind) const {
        auto const label = labels_.find(key);
        RunStatus::Task task;
        task.key = key;
        task.kind = kind;
        task.label = label != labels_.end() && !label->second.empty() ? label->second
                                                                      : fmt::format("{} {}", kind, key.substr(0, 12));
        return task;
    }

    void set_counts(RunStatus& status) const {
        std::map<std::string, std::set<std::string>> keys;
        for (auto const& [key, task] : planned_) keys[field<std::string>(task, "kind", "")].insert(key);
        for (auto const& [key, task] : open_) keys[task.kind].insert(key);
        for (auto const& record : ended_) {
            if (!is_asked_for(record.key)) continue;
            keys[record.kind].insert(record.key);
            auto& kind = status.kinds[record.kind];
            kind.done += record.ok;
            kind.failed += !record.ok;
            if (record.ok) kind.rank_seconds += record.rank_seconds();
        }
        for (auto const& [kind, of_kind] : keys) status.kinds[kind].all = std::ssize(of_kind);
        // What became known on the way and has not begun stands there alone.
        auto const told = field(progress_, "kinds", Json::object());
        if (!told.is_object()) return;
        for (auto const& [name, kind] : told.items()) {
            auto& all = status.kinds[name].all;
            all = std::max(all, field<std::int64_t>(kind, "all", 0));
        }
    }

    void set_state(RunStatus& status) const {
        auto const told = field<std::string>(progress_, "state", "");
        bool const ended = told == "done" || told == "failed" || told == "stopped";
        if (holder_) {
            status.host = holder_->host;
            status.pid = holder_->pid;
        }
        status.ranks = field<std::int64_t>(progress_, "ranks", 0);
        status.since = field<std::string>(progress_, "since", "");
        status.signal = field<std::string>(progress_, "signal", "");
        status.live = holder_ && holder_->alive && !ended;
        if (status.live) status.phase = field<std::string>(progress_, "phase", "");
        status.state =
            ended                           ? told
            : status.live                   ? told.empty() ? "running" : told
            : holder_ && !holder_->released ? "dead"
            : std::ranges::all_of(status.kinds, [](auto const& kind) { return kind.second.done == kind.second.all; }) &&
                    !planned_.empty()
                ? "done"
                : "stopped";
    }

    void set_left(RunStatus& status) const {
        if (progress_.is_object()) {
            auto const number = [&](char const* name) {
                auto const found = progress_.find(name);
                bool const there = found != progress_.end() && found->is_number();
                return there ? std::optional{found->get<double>()} : std::nullopt;
            };
            status.share = number("share");
            status.rank_seconds_left = number("rank_seconds_left");
            if (!status.rank_seconds_left && status.share)  // nothing was seen yet of how good the guesses are
                status.rank_seconds_left = (1 - *status.share) * number("rank_seconds_expected").value_or(0);
            if (status.live) status.seconds_left = number("seconds_left");
            return;
        }
        if (planned_.empty()) return;
        std::set<std::string> settled;
        for (auto const& record : ended_) settled.insert(record.key);
        double all = 0;
        double left = 0;
        for (auto const& [key, task] : planned_) {
            auto const seconds = field(task, "seconds", 0.0);
            all += seconds;
            if (!settled.contains(key)) left += seconds;
        }
        status.share = all > 0 ? 1 - left / all : 0;
        status.rank_seconds_left = left;
    }

    void set_running(RunStatus& status) const {
        if (status.state == "done") return;
        // The journal is ahead of the other file, which is not written at each event.
        for (auto const& [key, started] : open_) {
            auto& task = status.running.emplace_back(task_of(key, started.kind));
            task.ranks = started.team;
        }
        for (auto const& told : list(progress_, "running")) {
            auto const task =
                std::ranges::find(status.running, field<std::string>(told, "key", ""), &RunStatus::Task::key);
            if (task == status.running.end()) continue;
            task->seconds = field(told, "seconds", 0.0);
            task->done = field<std::int64_t>(told, "done", 0);
            task->total = field<std::int64_t>(told, "total", 0);
            task->note = field<std::string>(told, "note", "");
            task->active = field(told, "active", true);
        }
        std::ranges::stable_sort(status.running, {}, [](RunStatus::Task const& task) {
            return std::pair{task.ranks, !task.active};
        });
    }

    std::vector<Json> journal_;
    std::optional<store::Holder> holder_;
    Json progress_;
    Json plan_;
    std::map<std::string, Json> planned_;        ///< tasks of plan.json by key
    std::map<std::string, std::string> labels_;  ///< by key
    std::map<std::string, work::Started> open_;  ///< started in the last call and not ended
    std::vector<work::TaskRecord> ended_;        ///< in the order in which they ended
    std::set<std::string> started_now_;          ///< in the last call
};

std::string ranks_text(std::vector<int> const& ranks) {
    return ranks.size() == 1 ? fmt::format("rank {}", ranks.front()) : fmt::format("ranks {}", fmt::join(ranks, " "));
}

std::string headline(RunStatus const& status) {
    auto const process = status.host.empty() ? "its process" : fmt::format("process {} on {}", status.pid, status.host);
    auto const again = "run the same command again to go on";
    if (status.live) {
        auto text = fmt::format("{}: {}", status.state, process);
        if (status.ranks > 0) text += fmt::format(", {} rank{}", status.ranks, status.ranks == 1 ? "" : "s");
        if (!status.since.empty()) text += ", since " + status.since;
        return text;
    }
    if (status.state == "dead") return fmt::format("dead: {} is gone — {}", process, again);
    if (status.state == "stopped")
        return fmt::format("stopped{}{} — {}", status.signal.empty() ? "" : " on ", status.signal, again);
    if (status.state != "failed") return status.state;
    return status.failed.empty() ? fmt::format("failed: an error ended it, see logs/rank-0.log — {}", again)
                                 : "failed: tasks failed, the rest is done — run again with --retry-failed";
}

Json json_of(RunStatus::Task const& task, char const* note) {
    Json json{{"key", task.key},
              {"kind", task.kind},
              {"label", task.label},
              {"ranks", task.ranks},
              {"seconds", task.seconds}};
    json[note] = task.note;
    return json;
}

}  // namespace

RunStatus read_status(fs::path const& run) {
    return Reader{run}.status();
}

std::string text_of(RunStatus const& status) {
    auto text = headline(status) + "\n";
    for (auto const& [name, kind] : status.kinds) {
        text += fmt::format("{:<8} {:>6} of {} done", name, kind.done, kind.all);
        if (kind.failed > 0) text += fmt::format(", {} failed", kind.failed);
        text += fmt::format(", {:.1f} rank-seconds\n", kind.rank_seconds);
    }
    if (status.share) {
        text += fmt::format("{:.0f} % of the expected work is done", 100 * *status.share);
        if (status.rank_seconds_left && *status.share < 1)
            text += fmt::format(", about {:.0f} rank-seconds are left", *status.rank_seconds_left);
        if (status.seconds_left) text += fmt::format(", {}", duration_text(*status.seconds_left));
        text += "\n";
    }
    if (!status.phase.empty()) text += fmt::format("now: {}\n", status.phase);
    for (auto const& task : status.running) {
        text += fmt::format("{}: {}",
                            !status.live  ? "had begun"
                            : task.active ? "now"
                                          : "waits on its rank",
                            task.label);
        if (task.total > 0) text += fmt::format(" {}/{}", task.done, task.total);
        if (!task.note.empty()) text += " " + task.note;
        text += fmt::format(" ({}{})", ranks_text(task.ranks),
                            task.seconds > 0 ? ", " + duration_text(task.seconds) : std::string{});
        text += "\n";
    }
    for (auto const& task : status.failed) text += fmt::format("failed: {}: {}\n", task.label, task.note);
    for (auto const& task : status.finished)
        text += fmt::format("done: {} ({:.1f} s, {})\n", task.label, task.seconds, ranks_text(task.ranks));
    return text;
}

Json json_of(RunStatus const& status) {
    auto const maybe = [](std::optional<double> const& value) { return value ? Json(*value) : Json{}; };
    Json json{{"state", status.state},
              {"live", status.live},
              {"host", status.host},
              {"pid", status.pid},
              {"ranks", status.ranks},
              {"since", status.since},
              {"signal", status.signal},
              {"phase", status.phase},
              {"kinds", Json::object()},
              {"share", maybe(status.share)},
              {"rank_seconds_left", maybe(status.rank_seconds_left)},
              {"seconds_left", maybe(status.seconds_left)},
              {"running", Json::array()},
              {"failed", Json::array()},
              {"finished", Json::array()}};
    for (auto const& [name, kind] : status.kinds) {
        json["kinds"][name] = {
            {"done", kind.done}, {"failed", kind.failed}, {"all", kind.all}, {"rank_seconds", kind.rank_seconds}};
    }
    for (auto const& task : status.running) {
        auto one = json_of(task, "note");
        one["done"] = task.done;
        one["total"] = task.total;
        one["active"] = task.active;
        json["running"].push_back(std::move(one));
    }
    for (auto const& task : status.failed) json["failed"].push_back(json_of(task, "error"));
    for (auto const& task : status.finished) json["finished"].push_back(json_of(task, "note"));
    for (auto& task : json["finished"]) task.erase("note");
    return json;
}

}  // namespace samner::app
