#pragma once

#include <functional>
#include <vector>

#include "core/json.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// core's together for what is JSON.
/// @param ranks  null: this process alone; else a collective call
std::vector<Json> do_together(comm::Comm const* ranks, std::function<Json()> const& work);

}  // namespace samner::task
