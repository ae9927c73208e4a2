#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace samner::app {

/// Progress on stderr: rewritten in place on a terminal, one line an interval elsewhere. With rate and time left.
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
    bool terminal_;
    bool printed_ = false;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_;
};

}  // namespace samner::app
