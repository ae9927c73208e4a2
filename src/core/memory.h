#pragma once

#include <cstdint>

namespace samner {

/// Bytes of memory that processes here can have: what the machine has, or the limit of a control group that this one
/// is in (cgroup 2, as batch systems and containers set it) where that is less.
std::uint64_t machine_memory();

}  // namespace samner
