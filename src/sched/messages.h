#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "sched/job.h"

namespace samner::sched {

/// Work is to end at the next safe point.
struct Stop {
    int signal = 0;
    bool operator==(Stop const&) const = default;
};

/// No more work comes.
struct Finish {
    bool operator==(Finish const&) const = default;
};

/// All that ranks say to each other while jobs run.
using Message = std::variant<Assignment, Stop, Finish, JobResult, Outcome, Progress>;

/// A message as bytes: a tag that says which of the kinds it is, then its members. Numbers are little-endian, texts and
/// lists have their length before them, so that a text may hold any bytes.
std::string encode(Message const& message);

/// The same without a copy into a Message.
std::string encode(Assignment const& work);
std::string encode(JobResult const& result);
std::string encode(Progress const& progress);

/// @throws Error for an unknown tag, a message that was cut off and one that goes on after its end
Message decode(std::string_view bytes);

/// The stop that a message is; nothing for one with another tag, at which alone it looks then. @throws Error as decode
std::optional<Stop> decode_stop(std::string_view bytes);

}  // namespace samner::sched
