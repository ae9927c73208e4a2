#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace samner::app {

/// What a run folder says of its run: the journal of what has ended, the lease of who holds it, progress.json of what
/// its ranks do now, plan.json of the tasks that were known when it began. The last two may lack.
struct RunStatus {
    /// running, stopping (a signal came, tasks end), stopped, done, failed (a task failed, or an error ended it), dead
    /// (its process is gone without a word)
    std::string state;
    bool live = false;  ///< its process is there and goes on
    std::string host;
    std::int64_t pid = 0;
    std::int64_t ranks = 0;  ///< 0: not known
    std::string since;       ///< UTC
    std::string signal;      ///< that stopped it
    std::string phase;       ///< what goes on beside tasks

    struct Kind {
        std::int64_t done = 0;
        std::int64_t failed = 0;
        std::int64_t all = 0;
        double rank_seconds = 0;  ///< of those that are done
    };
    std::map<std::string, Kind> kinds;
    std::optional<double> share;              ///< of the expected work that is done
    std::optional<double> rank_seconds_left;  ///< expected
    std::optional<double> seconds_left;       ///< of a live run

    struct Task {
        std::string key;
        std::string kind;
        std::string label;  ///< its kind and key where no label was kept
        std::vector<int> ranks;
        double seconds = 0;
        std::int64_t done = 0;
        std::int64_t total = 0;  ///< 0: it does not tell how far it is
        std::string note;        ///< of one that runs; the error of one that failed
        bool active = true;      ///< not waiting for others that its rank was given with it
    };
    std::vector<Task> running;  ///< of a run that is not live: that had begun
    std::vector<Task> failed;
    std::vector<Task> finished;  ///< the last few, the latest last
};

/// @throws InputError for what is no run folder
RunStatus read_status(std::filesystem::path const& run);

std::string text_of(RunStatus const& status);
Json json_of(RunStatus const& status);

}  // namespace samner::app
