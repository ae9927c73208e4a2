#include "app/run_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace samner::app {
namespace {

constexpr std::size_t index(auto state) {
    return static_cast<std::size_t>(state);
}

}  // namespace

std::string duration_text(double seconds) {
    if (seconds < 59.5) return fmt::format("{:.0f} s", seconds);
    auto const minutes = std::llround(seconds / 60);
    if (minutes < 60) return fmt::format("{} min", minutes);
    return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60)
                             : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string cut_to(std::string_view text, std::size_t columns) {
    auto const begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
    auto const length = static_cast<std::size_t>(std::ranges::count_if(text, begins));
    if (length <= columns) return std::string{text};
    if (columns == 0) return {};
    std::size_t seen = 0;
    auto const end = std::ranges::find_if(text, [&](char byte) { return begins(byte) && seen++ == columns - 1; });
    return std::string{text.begin(), end} + "…";
}

RunProgress::RunProgress(int ranks, Clock clock) : ranks_{std::max(ranks, 1)}, clock_{std::move(clock)} {}

double RunProgress::Running::share() const {
    if (total <= 0) return 0;
    return std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
}

void RunProgress::expect(Task task) {
    auto& kind = kinds_[std::move(task.kind)];
    auto const [place, is_new] =
        tasks_.try_emplace(std::move(task.key), Known{std::move(task.label), &kind, task.seconds, State::waiting});
    if (!is_new) return;
    ++kind.tasks[index(State::waiting)];
    kind.seconds[index(State::waiting)] += task.seconds;
    guessed_ = guessed_ || !task.measured;
}

void RunProgress::move(Known& task, State state) {
    auto& [label, kind, seconds, now] = task;
    --kind->tasks[index(now)];
    kind->seconds[index(now)] -= seconds;
    now = state;
    ++kind->tasks[index(now)];
    kind->seconds[index(now)] += seconds;
}

void RunProgress::left_out(std::string const& key) {
    if (auto const found = tasks_.find(key); found != tasks_.end()) move(found->second, State::left_out);
}

void RunProgress::settled(std::string const& key, bool ok) {
    if (auto const found = tasks_.find(key); found != tasks_.end())
        move(found->second, ok ? State::done : State::failed);
}

void RunProgress::started(std::string const& key, std::vector<int> team) {
    auto const found = tasks_.find(key);
    if (found == tasks_.end() || team.empty()) return;
    move(found->second, State::running);
    running_[key] = {std::move(team), clock_()};
}

void RunProgress::told(std::string const& key, std::int64_t done, std::int64_t total, std::string note) {
    auto const found = running_.find(key);
    if (found == running_.end()) return;
    auto& running = found->second;
    running.done = done;
    running.total = total;
    running.note = std::move(note);
    running.told_at = clock_();
    // Its pace counts from the second time on: before it are the loading of models, other tasks of its batch, and the
    // steps of a checkpoint, which a training tells of all at once.
    if (++running.times_told > 2) return;
    running.first_done = done;
    running.first_at = running.told_at;
}

void RunProgress::ended(std::string const& key, bool ok, double seconds) {
    auto const found = tasks_.find(key);
    if (found == tasks_.end()) return;
    auto& task = found->second;
    if (auto const running = running_.extract(key); running && ok) {
        task.kind->took += seconds * running.mapped().ranks();
        task.kind->expected += task.seconds;
    }
    move(task, ok ? State::done : State::failed);
}

RunProgress::Counts RunProgress::counts() const {
    Counts counts;
    for (auto const& [name, kind] : kinds_) {
        counts.done += kind.tasks[index(State::done)];
        counts.failed += kind.tasks[index(State::failed)];
        counts.all +=
            std::accumulate(kind.tasks.begin(), kind.tasks.end(), std::int64_t{0}) - kind.tasks[index(State::left_out)];
    }
    return counts;
}

double RunProgress::share() const {
    double all = 0;
    double left = 0;
    for (auto const& [name, kind] : kinds_) {
        auto const& seconds = kind.seconds;
        all += std::accumulate(seconds.begin(), seconds.end(), 0.0) - seconds[index(State::left_out)];
        left += seconds[index(State::waiting)] + seconds[index(State::running)];
    }
    for (auto const& [key, running] : running_) left -= running.share() * tasks_.at(key).seconds;
    auto const [done, failed, tasks] = counts();
    if (tasks == done + failed) return tasks == 0 ? 0 : 1;
    return all <= 0 ? 0 : std::clamp(1 - left / all, 0.0, 1.0);
}

RunProgress::Pace RunProgress::pace_of(std::string const& key, Running const& running) const {
    auto const done = static_cast<double>(running.done - running.first_done);
    if (running.times_told < 3 || done <= 0 || running.total <= 0) return {0, 0};
    return {(running.told_at - running.first_at) * running.ranks(),
            tasks_.at(key).seconds * done / static_cast<double>(running.total)};
}

std::optional<RunProgress::Left> RunProgress::left() const {
    std::map<Kind const*, Pace> paces;
    Pace whole{0, 0};
    auto const add = [&](Kind const* kind, Pace const& pace) {
        for (auto* const sum : {&paces[kind], &whole}) {
            sum->first += pace.first;
            sum->second += pace.second;
        }
    };
    for (auto const& [name, kind] : kinds_) add(&kind, {kind.took, kind.expected});
    for (auto const& [key, running] : running_) add(tasks_.at(key).kind, pace_of(key, running));
    if (whole.second <= 0 && guessed_) return std::nullopt;
    // A kind of which nothing was seen yet is taken to be off by as much as all others together.
    auto const factor = [&](Kind const* kind) {
        auto const& [took, expected] = paces.at(kind).second > 0 ? paces.at(kind) : whole;
        return expected > 0 ? took / expected : 1.0;
    };
    double left = 0;
    double longest = 0;  // no task that runs is given more ranks
    for (auto const& [name, kind] : kinds_) left += factor(&kind) * kind.seconds[index(State::waiting)];
    for (auto const& [key, running] : running_) {
        auto const& task = tasks_.at(key);
        auto const own = factor(task.kind) * task.seconds * (1 - running.share());
        left += own;
        longest = std::max(longest, own / running.ranks());
    }
    return Left{left, std::max(left / ranks_, longest)};
}

/// Keys of what ranks do at this moment: of several tasks that a rank was given together the one that was told of last.
std::vector<std::string> RunProgress::shown() const {
    std::map<int, std::string> by_rank;
    for (auto const& [key, running] : running_) {
        auto const [place, is_first] = by_rank.try_emplace(running.team.front(), key);
        if (!is_first && running.told_at > running_.at(place->second).told_at) place->second = key;
    }
    std::vector<std::string> keys;
    for (auto const& [rank, key] : by_rank) keys.push_back(key);
    return keys;
}

std::string RunProgress::text_of(std::string const& key) const {
    auto const& running = running_.at(key);
    auto text = tasks_.at(key).label;
    if (running.total > 0) text += fmt::format(" {}/{}", running.done, running.total);
    if (!running.note.empty()) text += " " + running.note;
    return text;
}

std::string RunProgress::line(std::size_t columns) const {
    auto const [done, failed, all] = counts();
    std::string text;
    if (all > 0) {
        text = fmt::format("[{}/{}] {:.0f} %", done + failed, all, std::floor(100 * share()));
        if (failed > 0) text += fmt::format(", {} failed", failed);
        auto const rest = left();
        if (rest && done + failed < all) text += fmt::format(", about {} left", duration_text(rest->seconds));
    }
    auto const add = [&](std::string_view part) { text += fmt::format("{}{}", text.empty() ? "" : " | ", part); };
    if (!phase_.empty()) add(phase_);
    constexpr std::size_t most = 8;
    auto const keys = shown();
    auto const count = columns > 0 ? keys.size() : std::min(keys.size(), most);
    for (std::size_t i = 0; i < count; ++i) add(text_of(keys[i]));
    if (count < keys.size()) add(fmt::format("{} more", keys.size() - count));
    return columns > 0 ? cut_to(text, columns) : text;
}

Json RunProgress::to_json() const {
    auto const [done, failed, all] = counts();
    auto kinds = Json::object();
    double expected = 0;
    for (auto const& [name, kind] : kinds_) {
        auto const& tasks = kind.tasks;
        kinds[name] = {
            {"done", tasks[index(State::done)]},
            {"failed", tasks[index(State::failed)]},
            {"all", std::accumulate(tasks.begin(), tasks.end(), std::int64_t{0}) - tasks[index(State::left_out)]}};
        expected +=
            std::accumulate(kind.seconds.begin(), kind.seconds.end(), 0.0) - kind.seconds[index(State::left_out)];
    }
    auto running = Json::array();
    auto const now = clock_();
    auto const active = shown();
    for (auto const& [key, one] : running_) {
        running.push_back({{"key", key},
                           {"label", tasks_.at(key).label},
                           {"ranks", one.team},
                           {"done", one.done},
                           {"total", one.total},
                           {"note", one.note},
                           {"active", std::ranges::find(active, key) != active.end()},
                           {"seconds", now - one.began},
                           {"seconds_expected", tasks_.at(key).seconds}});
    }
    auto const rest = left();
    return {{"phase", phase_},
            {"tasks", {{"done", done}, {"failed", failed}, {"all", all}}},
            {"kinds", std::move(kinds)},
            {"share", share()},
            {"rank_seconds_expected", expected},
            {"rank_seconds_left", rest ? Json(rest->rank_seconds) : Json{}},
            {"seconds_left", rest ? Json(rest->seconds) : Json{}},
            {"running", std::move(running)}};
}

}  // namespace samner::app
