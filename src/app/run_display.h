#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "app/run_progress.h"

namespace samner::app {

/// Shows a run's progress: a live line on a terminal, a line of the log now and then elsewhere, and RUN/progress.json,
/// which is replaced whole and is not kept when the machine goes down: the journal is the truth. What goes wrong with
/// the file is said once and ends nothing.
class RunDisplay {
public:
    struct Run {
        std::filesystem::path folder;
        std::int64_t epoch = 0;         ///< of the lease under which it writes
        std::function<void()> guard{};  ///< called before each write; throws when another process has the folder
        int ranks = 1;
    };
    explicit RunDisplay(Run run);
    RunDisplay(RunDisplay const&) = delete;
    RunDisplay& operator=(RunDisplay const&) = delete;
    ~RunDisplay();  ///< a run that was not ended by then has failed

    RunProgress& progress() { return progress_; }

    /// What goes on beside tasks, at once to be seen. Empty: nothing any more.
    void set_phase(std::string const& phase);

    void refresh();  ///< draws now, so that what is logged next stands above the present state

    /// To be called again and again; does something when it is time.
    void tick() noexcept;

    enum class End { done, failed, stopped };
    /// @param signal  that stopped it
    void end(End how, std::string const& signal = {});

private:
    using Clock = std::chrono::steady_clock;

    void write();
    Json document() const;

    Run run_;
    RunProgress progress_;
    std::string host_;
    std::string since_;
    std::string state_ = "running";
    std::string signal_;
    Clock::time_point drawn_{};
    Clock::time_point written_{};
    Clock::time_point logged_;
    bool wrote_running_ = false;  ///< the file names tasks that run
    bool warned_ = false;
};

/// Where a run says what its ranks do now.
std::filesystem::path progress_path(std::filesystem::path const& run);

}  // namespace samner::app
