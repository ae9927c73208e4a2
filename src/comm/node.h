#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/comm.h"

namespace samner::comm {

/// The ranks of a communicator, node by node.
class Nodes {
public:
    /// Collective.
    /// @param at_most  ranks taken for one node, the next ones for another, as tests do; 0: as many as there are
    explicit Nodes(Comm const& ranks, int at_most = 0);

    int count() const noexcept { return count_; }
    Comm const& own() const noexcept { return *own_; }                ///< the ranks of this node
    Comm const* leaders() const noexcept { return leaders_.get(); }   ///< each node's first rank; null on other ranks
    bool has_first_rank() const noexcept { return has_first_rank_; }  ///< whether this is the node of rank 0

private:
    std::unique_ptr<Comm> own_;
    std::unique_ptr<Comm> leaders_;
    int count_ = 1;
    bool has_first_rank_ = true;
};

/// Bytes that this machine can still give without swapping, as the kernel estimates it.
std::uint64_t available_memory();

/// Memory that the ranks of one node share, in regions that one of them fills and all read. It has no name in any file
/// system and takes no room in /dev/shm: the kernel frees it with the last process that maps it, however that ends.
/// Where the ranks cannot reach each other's memory (containers of their own), each has its own and fills all of it;
/// a warning says so.
class NodeMemory {
public:
    /// Collective over the ranks of a node.
    explicit NodeMemory(Comm const& node);
    NodeMemory(NodeMemory const&) = delete;
    NodeMemory& operator=(NodeMemory const&) = delete;
    ~NodeMemory();  ///< regions stay for as long as somebody holds them

    bool shared() const noexcept { return descriptor_ >= 0; }

    struct Region {
        std::shared_ptr<std::byte> data;  ///< at the start of a page
        std::size_t size = 0;
        bool to_fill = false;  ///< by this rank, which alone may write, until it seals it
    };
    /// A new region. All ranks make the same calls in the same order, without waiting for each other; what another
    /// rank fills may be read after a barrier. The one that fills it is the one with the fewest bytes to fill so far.
    /// @throws Error when the machine has no memory for it; asking the kernel for it would end some process
    Region add(std::size_t bytes);
    Region add(std::size_t bytes, int filler);

    /// Nobody writes to the region from now on: an attempt ends the process.
    static void seal(Region const& region);

    std::uint64_t total() const noexcept { return total_; }    ///< bytes of all regions
    std::uint64_t filled() const noexcept { return filled_; }  ///< of those that this rank was to fill

private:
    int rank_;
    int descriptor_ = -1;
    std::uint64_t end_ = 0;  ///< of the last region in the file
    std::uint64_t total_ = 0;
    std::uint64_t filled_ = 0;
    std::vector<std::uint64_t> shares_;  ///< bytes that each rank fills
};

}  // namespace samner::comm
