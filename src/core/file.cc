#include "core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/stop.h"

namespace samner {

namespace fs = std::filesystem;

StorageError storage_error(std::string_view action, std::filesystem::path const& path) {
    return StorageError{fmt::format("cannot {} '{}': {}", action, path.string(), std::strerror(errno)),
                        "check free space and permissions"};
}
namespace {

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int value = -1) : value_{value} {}
    Descriptor(fs::path const& path, int flags, mode_t mode = 0)
        : value_{::open(path.c_str(), flags | O_CLOEXEC, mode)} {}
    Descriptor(Descriptor&& other) noexcept : value_{std::exchange(other.value_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
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

namespace {

/// A file's folder, also for a name alone.
fs::path folder_of(fs::path const& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path{"."};
}

/// Whether links in a folder are open files of a process. Such a link's text may be no path at all, and the file behind
/// it is in use.
bool holds_open_files(fs::path const& folder) {
    struct statfs status {};
    return ::statfs(folder.c_str(), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

/// The number of an open file of this process that a path names, as /dev/stdout does.
std::optional<int> own_descriptor(fs::path const& path) {
    std::error_code code;
    auto const folder = fs::canonical(folder_of(path), code);
    if (code || folder != fmt::format("/proc/{}/fd", ::getpid())) return std::nullopt;
    auto const name = path.filename().string();
    int number = 0;
    auto const [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc{} && end == name.data() + name.size() ? std::optional{number} : std::nullopt;
}

/// A device, FIFO, socket or open file that bytes are written to. Waits so that a stop is seen.
class Stream {
public:
    enum class Wait { yes, no };

    /// @throws StorageError
    Stream(fs::path path, Wait wait) : path_{std::move(path)} {
        struct stat status {};
        if (auto const own = own_descriptor(path_)) {
            file_ = Descriptor{::fcntl(*own, F_DUPFD_CLOEXEC, 0)};
        } else if (::stat(path_.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
            file_ = connected();
        } else {
            file_ = opened(wait);
        }
    }

    explicit operator bool() const { return bool{file_}; }  ///< false: there is no reader, and none was waited for

    /// @throws StorageError also when the reader is gone; Stopped
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            pollfd ready{file_.get(), POLLOUT, 0};
            auto const found = ::poll(&ready, 1, 100);
            if (found < 0 && errno != EINTR) throw storage_error("write", path_);
            if (found <= 0) {
                check_stop();
                continue;
            }
            // So many can be written without waiting.
            auto const written = quietly_written(bytes.substr(0, PIPE_BUF));
            if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (written < 0) throw storage_error("write", path_);
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    void close() {
        if (!file_.close()) throw storage_error("write", path_);
    }

private:
    Descriptor opened(Wait wait) const {
        for (;;) {
            Descriptor file{path_, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY};
            if (file) return file;
            if (errno != ENXIO || !fs::is_fifo(path_)) throw storage_error("open", path_);
            if (wait == Wait::no) return file;
            check_stop();
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }

    Descriptor connected() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        auto const& name = path_.native();
        if (name.size() >= sizeof address.sun_path)
            throw StorageError{
                fmt::format("the path of the socket '{}' has more than {} bytes", name, sizeof address.sun_path - 1),
                "go to its folder, and name it alone"};
        std::ranges::copy(name, address.sun_path);
        Descriptor file{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (!file || ::connect(file.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
            throw storage_error("connect to", path_);
        return file;
    }

    /// As write(2), without the signal that ends a process whose reader is gone.
    ssize_t quietly_written(std::string_view bytes) const {
        sigset_t pipe;
        sigset_t before;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
        auto const written = ::write(file_.get(), bytes.data(), bytes.size());
        int const error = errno;
        if (written < 0 && error == EPIPE) {
            timespec const at_once{};
            while (::sigtimedwait(&pipe, nullptr, &at_once) < 0 && errno == EINTR) {
            }
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        errno = error;
        return written;
    }

    fs::path path_;
    Descriptor file_;
};

enum class Durable { yes, no };

/// Where a file is written before it is at its destination.
fs::path partial_beside(Destination const& destination) {
    auto partial = destination.path;
    return partial += ".partial";
}

void write_file(Destination const& destination, Durable durable,
                std::function<void(std::function<void(std::string_view)> const& append)> const& produce) {
    auto const partial = partial_beside(destination);
    Descriptor file{partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644};
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) throw storage_error("create", partial);
    if (!S_ISREG(status.st_mode))
        throw StorageError{fmt::format("'{}' is no regular file, and is in the way", partial.string()), "move it away"};
    Unfinished unfinished{partial};
    produce([&](std::string_view bytes) {
        while (!bytes.empty()) {
            auto const written = ::write(file.get(), bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) throw storage_error("write", partial);
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    });
    if ((durable == Durable::yes && ::fsync(file.get()) != 0) || !file.close()) throw storage_error("write", partial);
    unfinished.finish([&] {
        if (::rename(partial.c_str(), destination.path.c_str()) != 0)
            throw storage_error("rename to", destination.path);
    });
    if (durable == Durable::yes) sync_to_disk(folder_of(destination.path));
}

InputError no_output(fs::path const& path, std::string const& why, std::string const& remedy) {
    return InputError{fmt::format("cannot write to '{}': {}", path.string(), why), remedy};
}

InputError exists_already(fs::path const& path) {
    return InputError{fmt::format("'{}' exists already", path.string()),
                      "remove it, name another, or replace it with --overwrite"};
}

constexpr auto name_another = "name another";

/// @throws InputError unless files can be made in a folder
void check_takes_files(fs::path const& folder, fs::path const& path) {
    if (!fs::is_directory(folder))
        throw no_output(path, fmt::format("'{}' is no folder", folder.string()), "make it, or name another");
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        throw no_output(path, fmt::format("no file can be made in '{}': {}", folder.string(), std::strerror(errno)),
                        "check permissions, or name another");
}

/// Everything that is unfinished.
struct UnfinishedPaths {
    std::mutex mutex;
    std::multiset<fs::path> paths;
};

UnfinishedPaths& unfinished_paths() {
    static auto* const paths = new UnfinishedPaths;  // also there for what ends last
    return *paths;
}

}  // namespace

Destination destination_of(fs::path const& path) {
    using enum Destination::Kind;
    constexpr int most_links = 40;  // as Linux follows
    auto here = path;
    for (int links = 0; links <= most_links; ++links) {
        struct stat status {};
        if (::lstat(here.c_str(), &status) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) return {nothing, here};
            throw InputError{fmt::format("cannot look at '{}': {}", here.string(), std::strerror(errno)),
                             "check permissions, or name another"};
        }
        if (!S_ISLNK(status.st_mode))
            return {S_ISREG(status.st_mode) ? file : S_ISDIR(status.st_mode) ? folder : stream, here};
        if (holds_open_files(folder_of(here))) return {stream, here};
        auto const target = fs::read_symlink(here);
        here = target.is_absolute() ? target : folder_of(here) / target;
    }
    throw InputError{fmt::format("the link '{}' leads through more than {} links", path.string(), most_links),
                     name_another};
}

fs::path without_slash(fs::path folder) {
    while (!folder.has_filename() && folder.has_relative_path()) folder = folder.parent_path();
    return folder;
}

fs::path partial_of(fs::path const& path) {
    return partial_beside(destination_of(without_slash(path)));
}

void check_output_file(fs::path const& path, Existing existing) {
    using enum Destination::Kind;
    if (!path.has_filename()) throw no_output(path, "it names no file", "name one");
    auto const destination = destination_of(path);
    switch (destination.kind) {
        case stream:
            if (::access(destination.path.c_str(), W_OK) != 0)
                throw no_output(path, std::strerror(errno), "check permissions, or name another");
            return;
        case folder:
            throw no_output(path, "it is a folder", "name a file");
        case file:
            if (existing == Existing::refused) throw exists_already(path);
            [[fallthrough]];
        case nothing:
            check_takes_files(folder_of(destination.path), path);
    }
}

void check_output_folder(fs::path const& path, Existing existing, std::span<std::string_view const> marks) {
    using enum Destination::Kind;
    auto const [kind, place] = destination_of(without_slash(path));
    if (place.empty() || !place.has_filename()) throw no_output(path, "it names no folder", "name one");
    if (kind == file || kind == stream) throw no_output(path, "it is there and no folder", name_another);
    if (kind == folder) {
        if (existing == Existing::refused) throw exists_already(path);
        bool const ours = fs::is_empty(place) ||
                          std::ranges::any_of(marks, [&](auto const& mark) { return fs::exists(place / mark); });
        if (!ours)
            throw InputError{fmt::format("'{}' is not what this writes, and is not replaced", path.string()),
                             "remove it yourself, or name another"};
    }
    auto above = folder_of(place);
    while (!fs::exists(above) && above.has_relative_path() && above.has_parent_path()) above = above.parent_path();
    if (!fs::exists(above)) above = ".";
    check_takes_files(above, path);
}

Unfinished::Unfinished(fs::path path) : path_{std::move(path)} {
    auto& all = unfinished_paths();
    std::lock_guard const lock{all.mutex};
    all.paths.insert(path_);
}

Unfinished::~Unfinished() {
    if (path_.empty()) return;
    auto& all = unfinished_paths();
    std::lock_guard const lock{all.mutex};
    if (auto const found = all.paths.find(path_); found != all.paths.end()) all.paths.erase(found);
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

void Unfinished::finish(std::function<void()> const& rename) {
    auto& all = unfinished_paths();
    std::lock_guard const lock{all.mutex};
    rename();
    if (auto const found = all.paths.find(path_); found != all.paths.end()) all.paths.erase(found);
    path_.clear();
}

void remove_unfinished() noexcept {
    auto& all = unfinished_paths();
    std::lock_guard const lock{all.mutex};
    for (auto const& path : all.paths) {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
}

void move_into_place(fs::path const& from, fs::path const& to) {
    auto const destination = destination_of(to);
    if (destination.kind == Destination::Kind::stream) {
        write_atomically(to, MappedFile{from}.text());
        ::unlink(from.c_str());
        return;
    }
    sync_to_disk(from);
    if (::rename(from.c_str(), destination.path.c_str()) == 0) return sync_to_disk(folder_of(destination.path));
    if (errno != EXDEV) throw storage_error("rename to", destination.path);
    write_atomically(to, MappedFile{from}.text());  // a link has led to another file system
    ::unlink(from.c_str());
}

void write_atomically(fs::path const& path, std::string_view bytes) {
    write_atomically(path, [bytes](auto const& append) { append(bytes); });
}

void write_atomically(fs::path const& path,
                      std::function<void(std::function<void(std::string_view)> const& append)> const& produce) {
    auto const destination = destination_of(path);
    if (destination.kind != Destination::Kind::stream) return write_file(destination, Durable::yes, produce);
    Stream stream{destination.path, Stream::Wait::yes};
    produce([&](std::string_view bytes) { stream.write(bytes); });
    stream.close();
}

void write_in_passing(fs::path const& path, std::string_view bytes) {
    auto const destination = destination_of(path);
    if (destination.kind != Destination::Kind::stream)
        return write_file(destination, Durable::no, [bytes](auto const& append) { append(bytes); });
    Stream stream{destination.path, Stream::Wait::no};
    if (!stream) return;
    stream.write(bytes);
    stream.close();
}

PartialFolder::PartialFolder(fs::path const& path)
    : path_{destination_of(without_slash(path)).path},
      partial_{partial_beside({Destination::Kind::folder, path_})},
      unfinished_{partial_} {
    try {
        fs::remove_all(partial_);
        fs::create_directories(partial_);
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot create '{}': {}", partial_.string(), error.code().message()),
                           "check free space and permissions"};
    }
}

void PartialFolder::publish(bool replace) {
    for (auto const& entry : fs::recursive_directory_iterator{partial_}) sync_to_disk(entry.path());
    sync_to_disk(partial_);
    auto const rename = [](fs::path const& from, fs::path const& to) {
        if (::rename(from.c_str(), to.c_str()) != 0) throw storage_error("rename to", to);
    };
    std::error_code ignored;
    if (!fs::exists(path_)) {
        unfinished_.finish([&] { rename(partial_, path_); });
    } else if (!replace) {
        throw StorageError{fmt::format("'{}' exists already", path_.string()), "remove it, or name another"};
    } else if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) {
        sync_to_disk(folder_of(path_));
        fs::remove_all(partial_, ignored);
    } else {  // a file system that cannot exchange two names
        auto old = path_;
        old += ".old.partial";
        fs::remove_all(old);
        unfinished_.finish([&] {
            rename(path_, old);
            rename(partial_, path_);
        });
        fs::remove_all(old, ignored);
    }
    sync_to_disk(folder_of(path_));
}

void write_folder_atomically(fs::path const& path, std::function<void(fs::path const&)> const& fill, bool replace) {
    PartialFolder folder{path};
    fill(partial_of(path));
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
