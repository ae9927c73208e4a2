#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/json.h"
#include "work/task.h"

namespace samner::work {

/// What a run keeps of a task that is done, beside its artifact: the `Result` of its kind.
template <class... Tasks>
std::variant<typename Tasks::Result...> result_of(std::variant<Tasks...> const*);
using Result = decltype(result_of(static_cast<Task const*>(nullptr)));

std::string seal(Result const& result);
/// @throws InputError for what is no result
Result open_result(std::string_view sealed);

/// What a journal says of a task that ended.
struct TaskRecord {
    std::string key;
    std::string kind;  ///< of the task
    bool ok = false;
    bool reused = false;                ///< another run made it, in the same store
    std::string sha256 = {};            ///< of the artifact
    std::optional<Result> result = {};  ///< of a task that is done
    std::string error = {};             ///< of one that failed
    double seconds = 0;
    std::int64_t bytes = 0;  ///< of the artifact on the disk
    int rank = 0;
    std::vector<int> team = {};        ///< the ranks that did it together; empty: `rank` alone
    std::string label = {};            ///< for people; empty in a journal from before it was kept
    std::optional<double> ended = {};  ///< when, in seconds since 1970 (UTC); nothing in such a journal

    template <class T>
    T const* result_as() const {
        return result ? std::get_if<T>(&*result) : nullptr;
    }
    double rank_seconds() const { return seconds * static_cast<double>(team.empty() ? 1 : team.size()); }
};

/// What a journal says of a task that was given out.
struct Started {
    std::string key;
    std::string kind;  ///< of the task
    std::vector<int> team;
    std::string label = {};  ///< as in TaskRecord

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("key", self.key);
        visit("task", self.kind);
        visit("team", self.team);
        visit("label", self.label);
    }
};

/// As a journal record of kind `started`.
Json to_journal(Started const& started);

/// Tasks that were given out and did not end, by key. What cannot be read is warned of and left out.
std::map<std::string, Started> started_tasks(std::vector<Json> const& journal);

/// Whether a journal record of this kind says that a task has ended: made, reused or failed (in journals of version
/// 0.1 done or failed).
bool says_ended(std::string_view kind);

/// As a journal record of kind `made`, `reused` or `failed`.
Json to_journal(TaskRecord const& record);

/// @return nothing for records of other kinds
/// @throws InputError for a record that lacks what one of its kind has
std::optional<TaskRecord> from_journal(Json const& record);

/// The last record of each task, by key. What cannot be read is warned of and left out: its task is done again.
std::map<std::string, TaskRecord> task_records(std::vector<Json> const& journal);

}  // namespace samner::work
