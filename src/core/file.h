#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace samner {

/// What errno says of an action on a path, as an error: "cannot ACTION 'PATH': …".
StorageError storage_error(std::string_view action, std::filesystem::path const& path);

/// A number of bytes as people read it: 17 B, 1.2 kB, 3.4 MB, 5.6 GB.
std::string size_text(double bytes);

/// A file's bytes, mapped read-only. An empty file is an empty span.
class MappedFile {
public:
    /// @throws InputError when the file is missing, is not a regular file or cannot be read
    explicit MappedFile(std::filesystem::path path);
    MappedFile(MappedFile&&) noexcept;
    MappedFile& operator=(MappedFile&&) noexcept;
    ~MappedFile();

    std::span<std::byte const> bytes() const noexcept { return {data_, size_}; }

    /// Starts to read these of the file's bytes, which will be asked for soon.
    void prefetch(std::span<std::byte const> part) const noexcept;

    /// Gives back the memory that reading these of the file's bytes took; reading them again is allowed.
    void release(std::span<std::byte const> part) const noexcept;
    std::string_view text() const noexcept { return {reinterpret_cast<char const*>(data_), size_}; }
    std::filesystem::path const& path() const noexcept { return path_; }

private:
    void advise(std::span<std::byte const> part, int advice) const noexcept;

    std::filesystem::path path_;
    std::byte const* data_ = nullptr;
    std::size_t size_ = 0;
};

/// The whole text of a file. @throws InputError when it cannot be read
std::string read_text(std::filesystem::path const& path);

/// Calls `line(text, number)` for every line of a text, without its LF or CRLF; numbers count from 1. A last line
/// without a line end counts too. Of a text without any LF each CR ends a line.
void for_each_line(std::string_view text, std::function<void(std::string_view, std::size_t)> const& line);

/// Writes `bytes` to `path` so that it appears whole or not at all: `path.partial`, fsync, rename, fsync of the folder.
/// @throws StorageError
void write_atomically(std::filesystem::path const& path, std::string_view bytes);

/// The same for a file that comes piece by piece: `produce(append)` calls `append(bytes)` in file order. What it throws
/// passes through after the partial file is removed.
void write_atomically(std::filesystem::path const& path,
                      std::function<void(std::function<void(std::string_view)> const& append)> const& produce);

/// A folder that appears whole or not at all: it is filled as `path.partial` and renamed by publish.
class PartialFolder {
public:
    /// Makes an empty `path.partial`; what stood there is removed. @throws StorageError
    explicit PartialFolder(std::filesystem::path path);
    PartialFolder(PartialFolder const&) = delete;
    PartialFolder& operator=(PartialFolder const&) = delete;
    ~PartialFolder();  ///< removes what was not published

    static std::filesystem::path partial_of(std::filesystem::path path) { return path += ".partial"; }

    /// Fsyncs everything and renames it to `path`, which must not exist, or be a folder when `replace` is set.
    /// @throws StorageError
    void publish(bool replace = false);

private:
    std::filesystem::path path_;
    std::filesystem::path partial_;
};

/// Fills a folder so that it appears whole or not at all: `fill(partial)` writes into `path.partial`, then everything
/// is fsynced and renamed to `path`. What stood at `path.partial` is removed first; `path` must not exist, or be a
/// folder when `replace` is set.
/// @throws StorageError; what `fill` throws passes through after the partial folder is removed
void write_folder_atomically(std::filesystem::path const& path,
                             std::function<void(std::filesystem::path const&)> const& fill, bool replace = false);

/// Renames a finished file over `to`, so that after a crash either is whole: fsync, rename, fsync of the folder.
/// @throws StorageError
void move_into_place(std::filesystem::path const& from, std::filesystem::path const& to);

/// A file that several processes write, each its own ranges.
class RangeFile {
public:
    /// Makes a file of `size` bytes, so that a full disk is known before anything is written. @throws StorageError
    static void create(std::filesystem::path const& path, std::uint64_t size);

    /// Opens one that was made. @throws StorageError
    explicit RangeFile(std::filesystem::path path);
    RangeFile(RangeFile&&) noexcept;
    RangeFile(RangeFile const&) = delete;
    RangeFile& operator=(RangeFile const&) = delete;
    ~RangeFile();

    /// Starts to carry the bytes to the disk, too, so that this goes on beside what comes next. @throws StorageError
    void write(std::uint64_t offset, std::span<std::byte const> bytes);
    void sync();  ///< waits until all is on the disk. @throws StorageError

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
};

/// Forces a file's or folder's contents to the disk. @throws StorageError
void sync_to_disk(std::filesystem::path const& path);

}  // namespace samner
