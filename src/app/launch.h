#pragma once

namespace samner::app {

/// Starts this program again, with the same arguments but -n, under mpirun on `ranks` ranks of this machine and waits
/// for it. INT and TERM become USR1
/// for the ranks, which mpirun passes on (it would kill them before a safe point), so that they stop cleanly.
/// @return the exit code of the ranks; 130 for a clean stop after INT
/// @throws InputError when mpirun is not there
int launch_ranks(int ranks);

}  // namespace samner::app
