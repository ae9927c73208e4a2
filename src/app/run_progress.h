#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace samner::app {

/// How far a run is: what is done, what runs on which ranks, and how long the rest may take. It is told what happens
/// and has a clock; it touches no files and no terminal.
///
/// Work is counted in the rank-seconds that were expected of each task, not in tasks. How much longer than expected
/// tasks of a kind take, done ones and running ones by what they tell of themselves, corrects the time that is left.
class RunProgress {
public:
    using Clock = std::function<double()>;  ///< seconds since some moment

    RunProgress(int ranks, Clock clock);
    RunProgress(RunProgress const&) = delete;
    RunProgress& operator=(RunProgress const&) = delete;

    struct Task {
        std::string key;
        std::string kind;
        std::string label;
        double seconds = 0;     ///< expected, on one rank
        bool measured = false;  ///< that is what such tasks took in this run, not a guess
    };
    void expect(Task task);                         ///< one more that is to be done
    void left_out(std::string const& key);          ///< it waits for what failed, and will not be done
    void settled(std::string const& key, bool ok);  ///< by an earlier call of the run
    void started(std::string const& key, std::vector<int> team);
    /// What a task tells of itself; of one that does not run it is passed over. @param total  0: not known
    void told(std::string const& key, std::int64_t done, std::int64_t total, std::string note);
    void ended(std::string const& key, bool ok, double seconds);  ///< @param seconds  on each rank of its team

    void set_phase(std::string phase) { phase_ = std::move(phase); }  ///< what goes on beside tasks; empty: nothing

    struct Counts {
        std::int64_t done = 0;
        std::int64_t failed = 0;
        std::int64_t all = 0;  ///< without those that are left out
    };
    Counts counts() const;
    double share() const;  ///< of the expected work that is done, within [0, 1]
    struct Left {
        double rank_seconds = 0;  ///< of work
        double seconds = 0;       ///< until all that is known is done
    };
    std::optional<Left> left() const;  ///< nothing while there is nothing but guesses to go by
    bool is_running() const { return !running_.empty(); }

    /// `[12/40] 31 %, about 4 min left | train stem 14/24 loss 1.32 | infer zoo on museum 10/24`
    /// @param columns  it is cut to so many; 0: it is not, but names at most eight of the tasks that run
    std::string line(std::size_t columns) const;
    /// All of this for other programs: phase, tasks, kinds, share, what is left, running (of several tasks that a rank
    /// was given together the one that it is at is `active`).
    Json to_json() const;

private:
    enum class State { waiting, running, done, failed, left_out };
    static constexpr std::size_t states = 5;
    struct Kind {
        std::array<std::int64_t, states> tasks{};  ///< by state
        std::array<double, states> seconds{};      ///< expected, by state
        double took = 0;                           ///< of those that ended in this call, in rank-seconds
        double expected = 0;                       ///< of the same
    };
    struct Known {
        std::string label;
        Kind* kind;
        double seconds;
        State state;
    };
    struct Running {
        std::vector<int> team;
        double began;
        std::int64_t done = 0;
        std::int64_t total = 0;
        std::string note = {};
        int times_told = 0;
        double told_at = 0;
        std::int64_t first_done = 0;  ///< from where on its pace is looked at
        double first_at = 0;

        double share() const;
        double ranks() const { return static_cast<double>(team.size()); }
    };
    using Pace = std::pair<double, double>;  ///< rank-seconds that work took, and that were expected of it

    void move(Known& task, State state);
    Pace pace_of(std::string const& key, Running const& running) const;
    std::vector<std::string> shown() const;
    std::string text_of(std::string const& key) const;

    int ranks_;
    Clock clock_;
    std::map<std::string, Kind, std::less<>> kinds_;
    std::map<std::string, Known> tasks_;
    std::map<std::string, Running> running_;
    std::string phase_;
    bool guessed_ = false;
};

/// `45 s`, `4 min`, `1 h 30 min`
std::string duration_text(double seconds);

/// A text's first columns (code points), with an ellipsis where there are more.
std::string cut_to(std::string_view text, std::size_t columns);

}  // namespace samner::app
