#pragma once

#include <string>
#include <vector>

namespace samner::app {

/// Starts this program again under mpirun on `ranks` ranks of this machine and waits for it. INT and TERM become USR1
/// for the ranks, which mpirun passes on (it would kill them before a safe point), so that they stop cleanly.
/// @return the exit code of the ranks; 130 for a clean stop after INT
/// @throws InputError when mpirun is not there
int launch_ranks(int ranks, std::vector<std::string> const& arguments);

/// What this program was called with, without -n and its number: what each of the ranks is to be called with.
std::vector<std::string> arguments_without_ranks();

}  // namespace samner::app
