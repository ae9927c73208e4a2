#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace samner::store {

/// RUN/artifacts: files and folders by the key of their inputs. Each appears whole or not at all.
class Artifacts {
public:
    /// @param guard  called before each rename; throws when this run was taken over
    /// @throws StorageError when the folder cannot be created
    explicit Artifacts(std::filesystem::path root, std::function<void()> guard = {});

    std::filesystem::path path(std::string const& key) const;  ///< @throws InputError when key is no plain name
    bool has(std::string const& key) const;

    /// Has `fill` write a file or folder at the path that it is given, then forces it to the disk and renames it.
    /// What stood under the key is replaced.
    /// @returns content_hash of what was written
    /// @throws StorageError; what fill and guard throw passes through and leaves nothing behind
    std::string commit(std::string const& key, std::function<void(std::filesystem::path const&)> const& fill) const;

    /// Keeps a text about an artifact beside it (`.records/KEY.json`): how it came about. It is not
    /// forced to the disk: the journal is the truth about a run. @throws StorageError
    void write_record(std::string const& key, std::string const& text) const;

    /// Whether the artifact is there with this content.
    bool verify(std::string const& key, std::string const& sha256) const;

    /// Removes what writers that died have left. Only while no other rank writes.
    void remove_partials() const;

private:
    std::filesystem::path root_;
    std::function<void()> guard_;
};

/// SHA-256 of a file's bytes, or of a folder: that of the lines `RELATIVE-PATH NUL SHA-256 LF` of its files, sorted by
/// path, as 64 hex digits.
/// @throws InputError when there is nothing, or something that is neither file nor folder
std::string content_hash(std::filesystem::path const& path);

}  // namespace samner::store
