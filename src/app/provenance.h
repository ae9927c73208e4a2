#pragma once

#include <string>
#include <utility>
#include <vector>

#include "work/arithmetic.h"

namespace samner::app {

/// Names and texts that say how results came about, and that no result depends on.
using Provenance = std::vector<std::pair<std::string, std::string>>;

/// Version and commit of the program, instruction set, device, ranks, threads, host, date (UTC) and the versions of the
/// libraries that compute, communicate and store.
Provenance provenance_of(work::Arithmetic const& arithmetic, int ranks, int threads);

}  // namespace samner::app
