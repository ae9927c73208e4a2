#pragma once

#include <functional>
#include <map>
#include <string>

#include "work/result.h"
#include "work/task.h"

namespace samner::work {

struct Cost {
    double seconds = 0;  ///< of one rank
    double tokens = 0;   ///< read and written by the language model
    double bytes = 0;    ///< of its artifact
};

/// What a task of one kind costs for each unit of its size (size_of): a training sequence, a text, a sentence, a
/// candidate, an adapter. Its artifact counts once, whatever its size.
struct Rate {
    double seconds = 0;
    double tokens = 0;
    double artifact_bytes = 0;
};

/// Rates by kind of task. They begin as guesses for SmolLM2-135M on two slow cores, and become what a run has measured.
class Rates {
public:
    Rates();

    /// Takes what these tasks cost in place of the guesses: the mean over all of a kind that are done.
    /// @param task_of  the task of a key; null for others, whose records are passed over
    void measure(std::map<std::string, TaskRecord> const& records,
                 std::function<Task const*(std::string const& key)> const& task_of);

    Rate of(std::string_view kind) const;
    bool measured(std::string_view kind) const;
    Cost of(Task const& task) const;

private:
    struct Entry {
        Rate rate;
        bool measured = false;
    };
    std::map<std::string, Entry, std::less<>> rates_;
};

}  // namespace samner::work
