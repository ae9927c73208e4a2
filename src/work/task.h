#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "work/cluster.h"
#include "work/encode.h"
#include "work/import.h"
#include "work/infer.h"
#include "work/merge.h"
#include "work/select.h"
#include "work/train.h"

namespace samner::work {

// A task is one piece of work whose result is stored. Each kind is a struct whose list of fields (core/fields.h) gives
// its wire form, its key and the tasks that it waits for. Beside it stand
//   kind      its name, and
//   revision  raised when its results change: every key of it is then another one,
//   label     what it is, for people,
//   width     the most ranks that can work on it together,
//   size      how much it is, in the unit of its rate (work/cost.h).
// A field `arithmetic` goes into the key as `numerics`; a field `base` says that it computes with the base model.
// CONTRIBUTING.md says what a new kind takes.

using Task = std::variant<Train, Cluster, Encode, Infer, Select, Merge, Import>;

std::string_view kind_of(Task const& task);

/// All that a task's result depends on: kind (`operator`), revision, the fields of influence (`of`), and the arithmetic
/// of what computes with floating point models (`numerics`). Other tasks inherit it through their inputs.
Json identity_of(Task const& task);

/// A path of a flattened identity, as people write it: `/of/options/seed` is options.seed.
std::string member_name(std::string const& path);

/// SHA-256 over that, as 64 lower-case hex digits.
std::string key_of_task(Task const& task);

/// The keys of the tasks whose artifacts it reads, each once, in the order of the fields.
std::vector<std::string> inputs_of(Task const& task);

std::string label_of(Task const& task);
int width_of(Task const& task);
std::int64_t size_of(Task const& task);
std::string batch_of(Task const& task);  ///< empty: it is done alone

/// One line of JSON, and back. @throws InputError for what is no task
std::string seal(Task const& task);
Task open_task(std::string_view sealed);

}  // namespace samner::work
