#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace samner::app {

/// How often lines of progress are drawn on a terminal, and written elsewhere; of all verbs.
constexpr std::chrono::milliseconds between_draws{200};
constexpr std::chrono::milliseconds between_log_lines{30'000};

/// Progress of a verb in the form that `run` has, on stderr: `[DONE/ALL] P %, RATE/s, about T left | what note`. On a
/// terminal it is one line below the log; elsewhere it is a line an interval, and one at the end.
class Progress {
public:
    Progress(std::string what, std::size_t total);
    ~Progress();
    Progress(Progress const&) = delete;
    Progress& operator=(Progress const&) = delete;

    /// @param done  of `total`. @param note  printed behind
    void update(std::size_t done, std::string const& note = {});

private:
    using Clock = std::chrono::steady_clock;
    std::string what_;
    std::size_t total_;
    std::size_t columns_;  ///< of the terminal; 0: none
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_ = start_;
};

}  // namespace samner::app
