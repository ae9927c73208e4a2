#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/file_stamp.h"
#include "store/lease.h"

namespace samner::store {

/// Who writes to a store. The names of files that are not whole yet carry it.
struct Writer {
    std::string run = "none";  ///< id of the run (store/claims.h), a plain name
    std::int64_t epoch = 0;    ///< of its lease
    int rank = 0;

    /// For the name of a file that this writer, and no other on any node, has under way.
    std::string unique_suffix() const;
};

/// The results of tasks, by their keys: a file or folder each, and `.records/KEY.json`, a text that says how it came
/// about. Each appears whole or not at all. Several runs may use one store at once: what was committed first stays.
class Artifacts {
public:
    struct Options {
        Writer writer = {};
        std::optional<Fence> fence = {};  ///< checked before each commit: this run may have been taken over
        bool exact = true;  ///< results are the same bits wherever they are computed: another copy that differs is an
                            ///< error, else it is warned of
    };
    /// @throws StorageError when the folder cannot be created
    explicit Artifacts(std::filesystem::path root, Options options);
    explicit Artifacts(std::filesystem::path root);

    std::filesystem::path const& root() const { return root_; }
    Writer const& writer() const { return options_.writer; }
    void check_fence() const;                                  ///< @throws RunInUseError when this run was taken over
    std::filesystem::path path(std::string const& key) const;  ///< @throws InputError when key is no plain name
    bool has(std::string const& key) const;

    /// Has `fill` write a file or folder at the path that it is given, then forces it to the disk and renames it. Where
    /// another run was faster, its copy stays and this one is discarded.
    /// @returns content_hash of what stands under the key
    /// @throws Error when another run's copy differs (see Options::exact); StorageError; what `fill` and the fence
    ///         throw passes through and leaves nothing behind
    std::string commit(std::string const& key, std::function<void(std::filesystem::path const&)> const& fill) const;

    /// Keeps the record of an artifact, unless there is one. It is not forced to the disk: an artifact without a record
    /// is made again. @throws StorageError
    void write_record(std::string const& key, std::string const& text) const;
    /// @return nothing when there is none
    std::optional<std::string> record(std::string const& key) const;

    /// The keys of all that there are records of, sorted.
    std::vector<std::string> recorded() const;

    /// Whether the artifact is there with this content.
    bool verify(std::string const& key, std::string const& sha256) const;

    /// Takes an artifact for what it is to be, without reading it, as long as its files stay as they are.
    void trust(std::string const& key, std::string const& sha256) const;
    /// As verify; an artifact that was trusted, or found to be right here, is read only if its files have changed.
    bool still(std::string const& key, std::string const& sha256) const;

    /// Removes an artifact that is damaged, or of which there is no record. For the run alone that has claimed it.
    void discard(std::string const& key) const;

    /// Removes what this run's writers of earlier epochs have left unfinished.
    void remove_partials() const;

private:
    std::filesystem::path partial_of(std::filesystem::path const& path) const;
    std::filesystem::path record_path(std::string const& key) const;

    std::filesystem::path root_;
    Options options_;
    struct Seen {
        std::string sha256;
        std::map<std::string, FileStamp> stamps;  ///< of its files

        friend bool operator==(Seen const&, Seen const&) = default;
    };
    mutable std::map<std::string, Seen> right_;  ///< artifacts that were found right, by key
};

/// Bytes of a file, or of all files of a folder. @throws std::filesystem::filesystem_error
std::int64_t bytes_of(std::filesystem::path const& path);

/// SHA-256 of a file's bytes, or of a folder: that of the lines `RELATIVE-PATH NUL SHA-256 LF` of its files, sorted by
/// path, as 64 hex digits.
/// @throws InputError when there is nothing, or something that is neither file nor folder
std::string content_hash(std::filesystem::path const& path);

/// The files and folders of a folder whose name ends in `.SUFFIX.partial` with a suffix of this run's writers, of
/// epochs before this one's.
std::vector<std::filesystem::path> partials_of(std::filesystem::path const& folder, Writer const& writer);

}  // namespace samner::store
