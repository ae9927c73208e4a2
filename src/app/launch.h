#pragma once

namespace samner::app {

/// Starts this program again, with the same arguments but -n, under mpirun on `ranks` ranks of this machine and waits
/// for it. INT and TERM become USR1
/// for the ranks, which mpirun passes on (it would kill them before a safe point), so that they stop cleanly.
/// @return the exit code of the ranks; 130 for a clean stop after INT
/// @throws InputError when mpirun is not there; InfrastructureError when a rank was killed
int launch_ranks(int ranks);

/// Whether a launcher (mpirun, or srun with PMI) started this process as a rank. One that is alone needs no MPI, whose
/// start takes longer than a small task.
bool is_launched_as_rank();

}  // namespace samner::app
