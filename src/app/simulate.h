#pragma once

#include <filesystem>

#include "plan/planner.h"
#include "work/cost.h"

namespace samner::app {

struct SimulationOptions {
    int ranks = 1;
    int nodes = 1;
    std::filesystem::path base;  ///< model, which each node reads; empty: its bytes are not counted
    bool json = false;
};

/// Runs what is left of a plan on a virtual clock, by the very scheduler that runs it, and says how long it takes, how
/// busy the ranks are, and what is read and written. What a selection will choose is not known: the simulation draws it
/// by lot, from a seed of the task, so that it is the same in every call.
/// @param plan  settled as far as results are there @param rates  what tasks cost
/// @return text for people, or one JSON document
/// @throws InputError for less than a rank a node
std::string simulate(plan::Plan plan, work::Rates const& rates, SimulationOptions const& options);

}  // namespace samner::app
