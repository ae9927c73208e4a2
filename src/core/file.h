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

/// What is written is written by one rule: only a regular file or a folder is ever replaced, and by something whole. A
/// symbolic link is followed: its target is replaced, the link stays. What stands there as a stream (a device, a FIFO,
/// a socket, an open file under /proc such as /dev/stdout) is written to as it is.
struct Destination {
    enum class Kind { nothing, file, folder, stream };
    Kind kind = Kind::nothing;
    std::filesystem::path path;  ///< behind all links; of a stream what can be opened
};

/// @throws InputError when links lead round in a circle, or the place cannot be looked at
Destination destination_of(std::filesystem::path const& path);

/// Whether an output may stand in the place of an earlier one.
enum class Existing { refused, replaced };

/// To be called before the work: whether a file can be written at `path`. Streams can, whatever `existing` says.
/// @throws InputError when there is a file that is not to be replaced, a folder, or no folder that takes it
void check_output_file(std::filesystem::path const& path, Existing existing);

/// The same for a folder, with or without a slash at its end; folders above it that are not there will be made.
/// @param marks  files of which a folder that is replaced has to hold one, unless it is empty: others are nobody's
///     output
void check_output_folder(std::filesystem::path const& path, Existing existing,
                         std::span<std::string_view const> marks = {});

/// A folder's path without slashes at its end.
std::filesystem::path without_slash(std::filesystem::path folder);

/// Where a file is written before it gets its name: beside its destination. Of a folder likewise.
std::filesystem::path partial_of(std::filesystem::path const& path);

/// Something that is removed when the process ends before it is finished (end_when_stopped), and by the destructor.
class Unfinished {
public:
    explicit Unfinished(std::filesystem::path path);
    Unfinished(Unfinished const&) = delete;
    Unfinished& operator=(Unfinished const&) = delete;
    ~Unfinished();

    /// Does what gives it its name; it is not removed any more. The process is not ended in between.
    void finish(std::function<void()> const& rename);

private:
    std::filesystem::path path_;
};

/// Removes all that is unfinished, for a process that ends at once.
void remove_unfinished() noexcept;

/// Writes `bytes` to `path` so that it appears whole or not at all: `path.partial`, fsync, rename, fsync of the folder.
/// A stream gets the bytes; a FIFO is waited for until it has a reader.
/// @throws StorageError; Stopped while a stream takes nothing
void write_atomically(std::filesystem::path const& path, std::string_view bytes);

/// The same for a file that comes piece by piece: `produce(append)` calls `append(bytes)` in file order. What it throws
/// passes through after the partial file is removed.
void write_atomically(std::filesystem::path const& path,
                      std::function<void(std::function<void(std::string_view)> const& append)> const& produce);

/// The same for a file that is written often and need not survive a crash of the machine: nothing waits for the disk,
/// nor for the reader of a FIFO, which gets nothing while it is not there.
void write_in_passing(std::filesystem::path const& path, std::string_view bytes);

/// A folder that appears whole or not at all: it is filled as partial_of(path) and renamed by publish.
class PartialFolder {
public:
    /// Makes an empty partial_of(path); what stood there is removed. @throws StorageError
    explicit PartialFolder(std::filesystem::path const& path);

    /// Fsyncs everything and renames it to `path`, which must not exist, or be a folder when `replace` is set.
    /// @throws StorageError
    void publish(bool replace = false);

private:
    std::filesystem::path path_;
    std::filesystem::path partial_;
    Unfinished unfinished_;
};

/// Fills a folder so that it appears whole or not at all: `fill(partial)` writes into partial_of(path), then everything
/// is fsynced and renamed to `path`. What stood at partial_of(path) is removed first; `path` must not exist, or be a
/// folder when `replace` is set.
/// @throws StorageError; what `fill` throws passes through after the partial folder is removed
void write_folder_atomically(std::filesystem::path const& path,
                             std::function<void(std::filesystem::path const&)> const& fill, bool replace = false);

/// Renames a finished file over `to`, so that after a crash either is whole: fsync, rename, fsync of the folder. A
/// stream gets its bytes. @throws as write_atomically
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
