#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace samner::corpus {

/// The part of a file that has been downloaded so far, open for appending and locked against other processes. Bytes
/// stay on the disk when the object goes; without any the file goes too.
class PartFile {
public:
    /// Opens or creates it, with the folders above.
    /// @throws Error when another process is downloading to it, StorageError when it cannot be opened
    explicit PartFile(std::filesystem::path path);
    PartFile(PartFile const&) = delete;
    PartFile& operator=(PartFile const&) = delete;
    ~PartFile();

    std::filesystem::path const& path() const { return path_; }
    std::int64_t size() const { return size_; }
    void append(std::string_view bytes);  ///< @throws StorageError
    void clear();                         ///< @throws StorageError

private:
    std::filesystem::path path_;
    int file_ = -1;
    std::int64_t size_ = 0;
};

struct DownloadOptions {
    int attempts = 4;  ///< in a row that bring nothing new, before it fails
    std::function<void(std::int64_t bytes, std::int64_t total)> progress = {};  ///< total 0: not known; may be empty
};

/// Brings what is at `url` (http, https or file) into `part`. Goes on behind the bytes that are there already, if the
/// server can (HTTP range), else starts again. A lost connection is taken up again.
/// @return whether bytes that were there before were kept: they may be of another version, so check the whole
/// @throws Error when the server refuses or the connection is lost for good, InfrastructureError when it cannot be
///     reached, Stopped on a signal; what came so far then stays in `part`
bool download(std::string const& url, PartFile& part, DownloadOptions const& options = {});

/// A path as it stands in an address: every byte but unreserved ones and slashes as %XX.
std::string url_path(std::string_view path);

}  // namespace samner::corpus
