#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/lease.h"

namespace samner::store {

/// A run folder's id, which it keeps when it is moved; empty when it has none.
std::string run_id(std::filesystem::path const& run);

/// A run that a store knows of.
struct KnownRun {
    std::string id;                ///< a plain name
    std::filesystem::path folder;  ///< the run folder, absolute, as that run saw it; empty when that cannot be read
    std::filesystem::path home;    ///< what the store keeps of it: STORE/.runs/ID, with its lease
};

/// All runs that have used a store, in the order of their ids.
std::vector<KnownRun> runs_of(std::filesystem::path const& store);

/// Makes a store forget a run.
void forget(KnownRun const& run);

/// The folder whose lease is held by who removes things from a store: while it is held, no run begins.
std::filesystem::path removal_folder(std::filesystem::path const& store);

/// A run's place in a store that other runs may use at the same time, held by its rank 0. It keeps a lease there, which
/// says that the run is alive, and claims tasks: a file STORE/.claims/KEY/RUN.EPOCH names the run that does a task
/// now. It counts as long as that run lives (LeaseOptions::limit). A claim appears with its folder, by a rename that
/// replaces no other; that of a dead run is renamed, which one of all who try can do.
class Claims {
public:
    /// Makes the run known to the store, and withdraws what claims an earlier session of it has left.
    /// @param run  the run folder, whose lease this process holds
    /// @throws RunInUseError while something is removed from the store; StorageError
    Claims(std::filesystem::path store, std::filesystem::path const& run, LeaseOptions options = {});
    Claims(Claims const&) = delete;
    Claims& operator=(Claims const&) = delete;
    ~Claims();  ///< withdraws all claims

    std::string const& run_id() const { return run_.id; }

    struct Answer {
        bool ours = false;
        std::filesystem::path other = {};  ///< where it is not ours: the run folder whose run does the task
        std::filesystem::path dead = {};   ///< where it is ours: that of a run that died with this claim; empty: none
    };
    /// Claims a task. @throws StorageError
    Answer take(std::string const& key);
    /// Withdraws a claim of this run, if there is one.
    void release(std::string const& key);
    /// Whether nobody who lives has claimed the task.
    bool is_free(std::string const& key);

private:
    struct Claim {
        std::string name;
        std::string run = {};  ///< empty: no claim
        std::int64_t epoch = 0;
    };
    static Claim claim_named(std::string name);
    static std::vector<Claim> claims_in(std::filesystem::path const& place);
    std::filesystem::path path(std::string const& key) const;
    bool is_alive(Claim const& claim);
    std::string own_name() const;
    bool create(std::string const& key) const;
    bool take_over(std::string const& key, Claim const& dead) const;
    void withdraw(std::string const& key) const;
    void withdraw_earlier() const;

    std::filesystem::path store_;
    KnownRun run_;
    LeaseOptions options_;
    std::optional<Lease> lease_;
    std::vector<std::string> held_;
    struct Seen {
        std::chrono::steady_clock::time_point when;
        bool alive = false;
    };
    std::map<std::string, Seen> seen_;  ///< whether others live, by run and epoch; asked again after a while
};

}  // namespace samner::store
