#pragma once

#include <functional>
#include <vector>

#include "core/json.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// Does `work` on every rank of a team and gives each what all of them returned, in rank order. What fails on a rank is
/// thrown on all of them (where several fail, what the first one says), so that none waits for one that gave up.
/// @param ranks  null: this process alone; else a collective call
std::vector<Json> do_together(comm::Comm const* ranks, std::function<Json()> const& work);

}  // namespace samner::task
