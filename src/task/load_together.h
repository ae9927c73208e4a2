#pragma once

#include <cstdint>

#include "model/language_model.h"

namespace samner::comm {
class Comm;
class DeviceComm;
}  // namespace samner::comm

namespace samner::task {

struct LoadedTogether {
    model::LanguageModel model;
    int nodes = 1;
    std::uint64_t bytes = 0;   ///< of prepared weights, which the ranks of this node share
    std::uint64_t filled = 0;  ///< of those, what this rank wrote; all of them where nothing could be shared
};

struct LoadOptions {
    bool on_host = true;                        ///< whether the weights are kept in the host's memory
    comm::DeviceComm const* devices = nullptr;  ///< of the same ranks: rank 0's device sends all weights to the others'
    int ranks_a_node = 0;                       ///< for tests: see comm::Nodes
};

/// Loads a base model on all ranks at once, with the bits of load_language_model. On the CPU each node keeps one copy
/// of the prepared weights, to which each of its ranks contributes some tensors and which nobody can write to
/// afterwards. Of several nodes only that of rank 0 reads the file's tensors: rank 0 broadcasts them as they are
/// stored. On one node every tensor is read by the rank that prepares it. Collective; what fails on one rank is thrown
/// on all.
/// @param checkpoint  the same on all ranks; on each, the file's headers have been read
/// @throws InputError when the ranks have opened different models; Error when memory does not suffice
LoadedTogether load_together(weights::Checkpoint const& checkpoint, model::Ops const& ops, bool with_backward,
                             comm::Comm const& ranks, LoadOptions const& options = {});

}  // namespace samner::task
