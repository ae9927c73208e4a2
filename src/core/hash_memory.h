#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/file_stamp.h"
#include "core/hash.h"

namespace samner {

struct HashMemoryOptions {
    std::size_t limit = 100'000;  ///< most entries of the file; the oldest are dropped
    /// How long ago a file's last change has to be: file systems count time in steps of up to two seconds.
    std::chrono::nanoseconds settled = std::chrono::seconds{2};
};

/// Hashes of files, kept in a file from one process to the next, so that a file that has not changed is not read again.
///
/// A file counts as unchanged when its path, inode, size and times of modification and of the change of its status
/// (which no program can set) are those of when it was hashed. Devices are not compared: a network file system has
/// another number on each node. A file that changed shortly before it was hashed, or while it was, is not remembered,
/// for a later change could leave the same times.
///
/// The memory is a help and never a condition: what cannot be read is not known, and what cannot be written is lost.
/// Several processes may use one file at once; the last to write it may leave out what the others have added.
class HashMemory {
public:
    /// @param file  where hashes are kept; empty: they are forgotten with this object
    explicit HashMemory(std::filesystem::path file, HashMemoryOptions options = {});
    HashMemory(HashMemory const&) = delete;
    HashMemory& operator=(HashMemory const&) = delete;
    ~HashMemory();  ///< writes what is new

    /// The file that the environment asks for: `hashes` in SAMNER_CACHE, XDG_CACHE_HOME/samner or HOME/.cache/samner,
    /// of which the first is taken that is set. Empty when none is.
    static std::filesystem::path default_file();

    /// SHA-256 of a file's bytes, as 64 lower-case hex digits.
    /// @throws InputError when it cannot be read
    std::string hash(std::filesystem::path const& path);
    /// The same, for functions that take a way of hashing. This object must outlive it.
    FileHash hasher() {
        return [this](std::filesystem::path const& path) { return hash(path); };
    }

    /// What the calls of `hash` have cost.
    struct Cost {
        double seconds = 0;
        std::uint64_t hashed = 0;      ///< bytes that were read
        std::uint64_t remembered = 0;  ///< bytes that were not, as their hash was known
    };
    Cost const& cost() const { return cost_; }

    struct Entry {
        FileStamp stamp;
        std::string sha256;
        std::uint64_t age = 0;  ///< position in the file: the oldest has the smallest
    };
    using Entries = std::map<std::string, Entry>;  ///< by the path, absolute and without links

private:
    void save() const;

    std::filesystem::path file_;
    HashMemoryOptions options_;
    std::optional<Entries> known_;  ///< what the file says; read when it is first needed
    Entries fresh_;                 ///< what was hashed here
    Cost cost_;
};

/// "1.2 GB of inputs in 0.9 s, 0.4 GB remembered".
std::string to_text(HashMemory::Cost const& cost);

}  // namespace samner
