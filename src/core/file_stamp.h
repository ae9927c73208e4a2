#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace samner {

/// A state of a file: inode, size and times in nanoseconds since 1970. As long as it stays the same, so do the bytes,
/// unless they were written within the file system's step of time (two seconds at most).
struct FileStamp {
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified = 0;
    std::int64_t changed = 0;  ///< its status, which no program can set

    /// Nothing where there is no such file.
    static std::optional<FileStamp> of(std::filesystem::path const& path);

    friend bool operator==(FileStamp const&, FileStamp const&) = default;
};

}  // namespace samner
