#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace samner::store {

struct LeaseOptions {
    std::chrono::milliseconds refresh{5'000};  ///< how often the holder shows that it lives
    std::chrono::milliseconds limit{60'000};   ///< a holder silent for longer is taken to be dead
    bool take_over = false;                    ///< also from a holder that seems to live
};

/// An epoch of a lease, for those who write in its holder's name: any rank on any node.
struct Fence {
    std::filesystem::path run;
    std::int64_t epoch = 0;

    /// To be called before each commit. @throws RunInUseError when a newer holder exists
    void check() const;
};

/// The right to write to a run folder, held by one process (rank 0) at a time.
///
/// Each holder creates RUN/.lease/epoch-N with O_EXCL, N one above the last, and touches it while it lives; the file
/// system's clock is used on both sides, so clocks of nodes may differ. No POSIX lock is involved: those are lost when
/// their owner closes the file a second time. A holder that was taken over finds out in check().
class Lease {
public:
    /// Takes the lease, also over from a holder that let go, is dead (its process is gone) or fell silent.
    /// @throws RunInUseError naming host, pid and age of a live holder; StorageError
    explicit Lease(std::filesystem::path const& run, LeaseOptions options = {});
    Lease(Lease&&) noexcept;
    ~Lease();  ///< lets go, so that the next one need not wait

    /// Number of this holder, from 1.
    std::int64_t epoch() const noexcept;
    Fence fence() const;

    /// As Fence::check. @throws StorageError also when the lease could not be kept up
    void check() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Who holds a run folder, or was the last to.
struct Holder {
    std::int64_t epoch = 0;
    std::string host;                ///< empty where its file is damaged
    std::int64_t pid = 0;            ///< 0 likewise
    bool released = false;           ///< it let go
    bool alive = false;              ///< by the rules by which a lease is taken over
    std::chrono::nanoseconds age{};  ///< since it last showed that it lives
};

/// Looks without taking anything. @return nothing where nobody ever held it @throws StorageError, InputError
std::optional<Holder> last_holder(std::filesystem::path const& run, LeaseOptions options = {});

}  // namespace samner::store
