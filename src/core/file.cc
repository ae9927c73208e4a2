#include "core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace samner {

StorageError storage_error(std::string_view action, std::filesystem::path const& path) {
    return StorageError{fmt::format("cannot {} '{}': {}", action, path.string(), std::strerror(errno)),
                        "check free space and permissions"};
}
namespace {

/// A file descriptor that closes itself.
class Descriptor {
public:
    Descriptor(std::filesystem::path const& path, int flags, mode_t mode = 0)
        : value_{::open(path.c_str(), flags | O_CLOEXEC, mode)} {}
    Descriptor(Descriptor const&) = delete;
    Descriptor& operator=(Descriptor const&) = delete;
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    int get() const { return value_; }
    explicit operator bool() const { return value_ >= 0; }

    /// Closes now and reports what close says: some file systems tell of a failed write only here.
    bool close() { return ::close(std::exchange(value_, -1)) == 0; }

private:
    int value_;
};

void rename_and_sync(std::filesystem::path const& from, std::filesystem::path const& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) throw storage_error("rename to", to);
    sync_to_disk(to.has_parent_path() ? to.parent_path() : std::filesystem::path{"."});
}

}  // namespace

std::string size_text(double bytes) {
    if (bytes < 1e3) return fmt::format("{:.0f} B", bytes);
    if (bytes < 1e6) return fmt::format("{:.1f} kB", bytes / 1e3);
    if (bytes < 1e9) return fmt::format("{:.1f} MB", bytes / 1e6);
    return fmt::format("{:.1f} GB", bytes / 1e9);
}

MappedFile::MappedFile(std::filesystem::path path) : path_{std::move(path)} {
    Descriptor const file{path_, O_RDONLY};
    if (!file) throw InputError{fmt::format("cannot open '{}': {}", path_.string(), std::strerror(errno))};
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) {
        throw InputError{fmt::format("cannot read '{}': {}", path_.string(), std::strerror(errno))};
    }
    if (!S_ISREG(status.st_mode)) throw InputError{fmt::format("'{}' is not a regular file", path_.string())};
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    void* const address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (address == MAP_FAILED) {
        throw InputError{fmt::format("cannot map '{}' ({} bytes): {}", path_.string(), size_, std::strerror(errno))};
    }
    data_ = static_cast<std::byte const*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_{std::move(other.path_)},
      data_{std::exchange(other.data_, nullptr)},
      size_{std::exchange(other.size_, std::size_t{0})} {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::prefetch(std::span<std::byte const> part) const noexcept {
    advise(part, MADV_WILLNEED);
}

void MappedFile::release(std::span<std::byte const> part) const noexcept {
    advise(part, MADV_DONTNEED);
}

void MappedFile::advise(std::span<std::byte const> part, int advice) const noexcept {
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto const first = static_cast<std::size_t>(part.data() - data_) / page * page;
    auto const last = static_cast<std::size_t>(part.data() - data_) + part.size();
    if (!part.empty()) ::madvise(const_cast<std::byte*>(data_) + first, last - first, advice);
}

std::string read_text(std::filesystem::path const& path) {
    return std::string{MappedFile{path}.text()};
}

void for_each_line(std::string_view text, std::function<void(std::string_view, std::size_t)> const& line) {
    std::size_t number = 0;
    // Without a single line feed, lines end in carriage returns.
    char const last = text.find('\n') == std::string_view::npos ? '\r' : '\n';
    while (!text.empty()) {
        auto const end = text.find(last);
        auto content = text.substr(0, end);
        if (content.ends_with('\r')) content.remove_suffix(1);
        line(content, ++number);
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
}

void sync_to_disk(std::filesystem::path const& path) {
    Descriptor file{path, O_RDONLY};
    if (!file || ::fsync(file.get()) != 0) throw storage_error("sync", path);
}

void move_into_place(std::filesystem::path const& from, std::filesystem::path const& to) {
    sync_to_disk(from);
    rename_and_sync(from, to);
}

void write_atomically(std::filesystem::path const& path, std::string_view bytes) {
    write_atomically(path, [bytes](auto const& append) { append(bytes); });
}

void write_atomically(std::filesystem::path const& path,
                      std::function<void(std::function<void(std::string_view)> const& append)> const& produce) {
    auto partial = path;
    partial += ".partial";
    Descriptor file{partial, O_WRONLY | O_CREAT | O_TRUNC, 0644};
    if (!file) throw storage_error("create", partial);
    try {
        produce([&](std::string_view bytes) {
            while (!bytes.empty()) {
                auto const written = ::write(file.get(), bytes.data(), bytes.size());
                if (written < 0 && errno == EINTR) continue;
                if (written < 0) throw storage_error("write", partial);
                bytes.remove_prefix(static_cast<std::size_t>(written));
            }
        });
        if (::fsync(file.get()) != 0 || !file.close()) throw storage_error("write", partial);
    } catch (...) {
        ::unlink(partial.c_str());
        throw;
    }
    rename_and_sync(partial, path);
}

PartialFolder::PartialFolder(std::filesystem::path path) : path_{std::move(path)}, partial_{partial_of(path_)} {
    namespace fs = std::filesystem;
    try {
        fs::remove_all(partial_);
        fs::create_directories(partial_);
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot create '{}': {}", partial_.string(), error.code().message()),
                           "check free space and permissions"};
    }
}

PartialFolder::~PartialFolder() {
    std::error_code ignored;
    if (!partial_.empty()) std::filesystem::remove_all(partial_, ignored);
}

void PartialFolder::publish(bool replace) {
    namespace fs = std::filesystem;
    for (auto const& entry : fs::recursive_directory_iterator{partial_}) sync_to_disk(entry.path());
    sync_to_disk(partial_);
    if (fs::exists(path_)) {
        if (!replace)
            throw StorageError{fmt::format("'{}' exists already", path_.string()), "remove it, or name another"};
        auto old = path_;
        old += ".old.partial";
        fs::remove_all(old);
        rename_and_sync(path_, old);
        rename_and_sync(partial_, path_);
        std::error_code ignored;
        fs::remove_all(old, ignored);
    } else {
        rename_and_sync(partial_, path_);
    }
    partial_.clear();
}

void write_folder_atomically(std::filesystem::path const& path,
                             std::function<void(std::filesystem::path const&)> const& fill, bool replace) {
    PartialFolder folder{path};
    fill(PartialFolder::partial_of(path));
    folder.publish(replace);
}

void RangeFile::create(std::filesystem::path const& path, std::uint64_t size) {
    Descriptor file{path, O_WRONLY | O_CREAT | O_TRUNC, 0644};
    if (!file) throw storage_error("create", path);
    auto const length = static_cast<off_t>(size);
    if (size > 0 && ::fallocate(file.get(), 0, 0, length) != 0) {
        // Not every file system can; there the size is set and the room is found when it is written.
        if (errno != EOPNOTSUPP || ::ftruncate(file.get(), length) != 0) throw storage_error("make room for", path);
    }
    if (!file.close()) throw storage_error("create", path);
}

RangeFile::RangeFile(std::filesystem::path path)
    : path_{std::move(path)}, descriptor_{::open(path_.c_str(), O_WRONLY | O_CLOEXEC)} {
    if (descriptor_ < 0) throw storage_error("open", path_);
}

RangeFile::RangeFile(RangeFile&& other) noexcept
    : path_{std::move(other.path_)}, descriptor_{std::exchange(other.descriptor_, -1)} {}

RangeFile::~RangeFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void RangeFile::write(std::uint64_t offset, std::span<std::byte const> bytes) {
    auto const start = static_cast<off_t>(offset);
    auto const size = static_cast<off_t>(bytes.size());
    for (auto position = start; !bytes.empty();) {
        auto const written = ::pwrite(descriptor_, bytes.data(), bytes.size(), position);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw storage_error("write", path_);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        position += written;
    }
    ::sync_file_range(descriptor_, start, size, SYNC_FILE_RANGE_WRITE);  // no promise, so its failure is none
}

void RangeFile::sync() {
    if (::fsync(descriptor_) != 0) throw storage_error("write", path_);
}

}  // namespace samner
