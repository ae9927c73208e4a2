#pragma once

#include <functional>

#include "core/error.h"

namespace samner::comm {
class Session;
}

namespace samner::app {

/// Whether a process that is alone starts MPI, which takes longer than a small task.
enum class Alone { with_mpi, without_mpi };

/// Does `work` on this rank, as the others do, and ends all of them with one exit code. What fails on all ranks (see
/// core/gather_results.h) is said once, by the first that failed. A rank that fails while the others go on ends them:
/// they would wait for it.
/// @param start  0, or start so many ranks with mpirun, each with the same command line
/// @param work   gets the session; null: alone and without MPI
/// @throws what `work` throws on rank 0; InputError when ranks cannot be started
ExitCode on_ranks(int start, Alone alone, std::function<ExitCode(comm::Session*)> const& work);

}  // namespace samner::app
