#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/json.h"

namespace samner::store {

/// What a journal holds. Lines that could not be used are never passed over in silence.
struct Replay {
    struct Problem {
        std::size_t line;  ///< from 1
        std::string what;
    };
    std::vector<Json> records;      ///< in the order of the file, without those of holders that had been taken over
    std::vector<Problem> problems;  ///< corrupt, out of order or stale lines, all dropped
    std::int64_t last_seq = 0;      ///< highest number seen, 0 in an empty journal
    std::size_t whole_bytes = 0;    ///< up to and with the last line end; what follows is a torn line
    bool torn = false;              ///< whether the last line lacks its end: its writer died in it
};

/// Reads a journal, also while a run writes to it. A missing file is an empty journal.
/// A record is stale when its epoch is below one that stands before it: its writer had been taken over by then.
/// @throws InputError when the file cannot be read
Replay replay_journal(std::filesystem::path const& path);

/// RUN/journal, the truth about a run: one JSON object a line, append-only, one writer (rank 0).
/// `{"seq":N,"epoch":E,…,"crc32c":"8 hex digits"}`, the CRC-32C being that of the bytes before its comma.
class Journal {
public:
    /// Replays the file, warns of its problems, cuts off a torn last line and appends a record of kind "opened", which
    /// fences off a holder that was taken over.
    /// @param epoch  this writer's, above all in the file (Lease::epoch)
    /// @param guard  called before each sync; throws when this writer was taken over (Lease::check)
    /// @throws StorageError, InputError
    Journal(std::filesystem::path path, std::int64_t epoch, std::function<void()> guard = {});
    Journal(Journal const&) = delete;
    Journal& operator=(Journal const&) = delete;
    ~Journal();

    /// What was there before this writer.
    Replay const& history() const noexcept { return history_; }

    /// Adds a record (an object without seq, epoch, crc32c). It counts after the next sync. @throws StorageError
    void append(Json const& record);

    /// Writes all appended records and forces them to the disk at once (fdatasync); without any it does nothing.
    /// @throws StorageError, after which the journal takes no more records; what guard throws
    void sync();

private:
    std::filesystem::path path_;
    std::int64_t epoch_;
    std::function<void()> guard_;
    Replay history_;
    std::int64_t next_seq_ = 1;
    int file_ = -1;
    std::string pending_;
    bool broken_ = false;
};

}  // namespace samner::store
