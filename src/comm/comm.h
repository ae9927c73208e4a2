#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace samner::comm {

/// A group of ranks. All calls but rank and size are collective: every rank of the group makes them in the same order.
/// A failure is an InfrastructureError, after which the job must end (Session::abort).
class Comm {
public:
    Comm(Comm&&) noexcept;
    Comm& operator=(Comm&&) noexcept;
    ~Comm();

    int rank() const noexcept;
    int size() const noexcept;

    Comm duplicate() const;

    /// A communicator of some ranks of this one. Collective over those alone, each of which gives the same arguments;
    /// disjoint teams can be made at the same time.
    /// @param ranks  of this communicator, this rank among them; their order is that of the team's ranks
    /// @param tag    in [0, 32752): another one than that of a team which is being made by some of these ranks
    Comm team(std::span<int const> ranks, int tag) const;

    void barrier() const;

    /// Gives every rank root's bytes. Any size.
    void broadcast(std::string& bytes, int root = 0) const;

    /// The same where every rank knows how many they are.
    void broadcast(std::span<std::byte> bytes, int root) const;

    /// Every rank's bytes in rank order; on root only for gather, elsewhere empty.
    std::vector<std::string> gather(std::string_view bytes, int root = 0) const;
    std::vector<std::string> all_gather(std::string_view bytes) const;

    /// Every rank's value in rank order; nothing when the others have not all come within `wait` (nothing: however long
    /// they take), after which no more can be asked of this group.
    std::optional<std::vector<int>> all_gather_within(int value, std::optional<std::chrono::milliseconds> wait) const;

    /// Adds up over the ranks, in place; all ranks give as many values.
    void sum(std::span<std::int64_t> values) const;

    /// Adds up over the ranks, in place, by one fixed binary tree: rank 2i with 2i + 1, their sums again so, and one
    /// without a partner goes up as it is. Every rank gets the same bits, whatever MPI does. All give as many values.
    void tree_sum(std::span<float> values) const;

private:
    struct Impl;
    friend class Session;
    friend class Messenger;
    friend class Nodes;
    explicit Comm(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// MPI for the time of this object: one a process. control is for messages (Messenger), teams for all else; both are
/// duplicates of the world, so that a message of one is never taken for one of the other.
class Session {
public:
    /// @throws InfrastructureError when MPI does not start or cannot be called from several threads
    Session(int& argc, char**& argv);
    Session(Session const&) = delete;
    Session& operator=(Session const&) = delete;
    ~Session();  ///< finalises, which waits for the other ranks

    Comm const& control() const noexcept { return *control_; }
    Comm const& teams() const noexcept { return *teams_; }
    int rank() const noexcept { return teams_->rank(); }
    int size() const noexcept { return teams_->size(); }
    int local_rank() const noexcept { return local_rank_; }  ///< among the ranks of this node
    int local_size() const noexcept { return local_size_; }

    /// Ends all ranks at once with this exit code.
    [[noreturn]] static void abort(int code);

private:
    std::unique_ptr<Comm> control_;
    std::unique_ptr<Comm> teams_;
    int local_rank_ = 0;
    int local_size_ = 1;
};

/// Name and version of the MPI library, in one line.
std::string library_version();

}  // namespace samner::comm
