#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "core/json.h"
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

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("seconds", self.seconds);
        visit("tokens", self.tokens);
        visit("artifact_bytes", self.artifact_bytes);
    }
};

/// Rates by kind of task. They begin as guesses for SmolLM2-135M on two slow cores, and become what a run has measured.
class Rates {
public:
    Rates();

    /// Takes what these tasks cost in place of the guesses: the mean over all of a kind that are done.
    /// @param task_of  the task of a key; null for others, whose records are passed over
    void measure(std::map<std::string, TaskRecord> const& records,
                 std::function<Task const*(std::string const& key)> const& task_of);

    /// Takes the rates of a file, as to_json gives them, in place of what is known of their kinds.
    /// @throws InputError naming the file for one that cannot be read
    void read(std::filesystem::path const& file);

    Json to_json() const;  ///< {"version": 1, "kinds": {kind: rate}} of the kinds that were measured

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
