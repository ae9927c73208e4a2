#include "store/lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/file.h"
#include "core/host.h"
#include "core/json.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

constexpr auto lease_folder = ".lease";

std::string first_line(fs::path const& path) {
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);
    return line;
}

/// When the kernel started a process, in ticks since boot (field 22 of /proc/PID/stat); empty when there is none or
/// when it has ended and only waits for its parent to notice. It tells a process from a later one with the same number.
std::string start_of(long pid) {
    auto const line = first_line(fmt::format("/proc/{}/stat", pid));
    auto position = line.rfind(')');
    if (position == std::string::npos || line.substr(position + 1, 2) == " Z" || line.substr(position + 1, 2) == " X")
        return {};
    for (int field = 2; field < 22 && position != std::string::npos; ++field) position = line.find(' ', position + 1);
    if (position == std::string::npos) return {};
    return line.substr(position + 1, line.find(' ', position + 1) - position - 1);
}

/// Names the machine's run and the process namespace: only under the same one do process numbers say anything.
Json this_process() {
    std::error_code ignored;
    return {{"host", host_name()},
            {"boot", first_line("/proc/sys/kernel/random/boot_id")},
            {"namespace", fs::read_symlink("/proc/self/ns/pid", ignored).string()},
            {"pid", ::getpid()},
            {"start", start_of(::getpid())}};
}

std::chrono::nanoseconds touched(fs::path const& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) throw storage_error("read", path);
    return std::chrono::seconds{status.st_mtim.tv_sec} + std::chrono::nanoseconds{status.st_mtim.tv_nsec};
}

void touch(fs::path const& path) {
    if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) throw storage_error("touch", path);
}

/// The file system's present time, so that clocks of nodes do not matter; this machine's where nothing may be written.
std::chrono::nanoseconds now(fs::path const& folder) {
    static std::atomic<int> count = 0;  // threads ask at the same time
    auto const probe = folder / fmt::format("probe-{}-{}-{}", host_name(), ::getpid(), count++);
    std::ofstream{probe}.put('\n');
    if (::access(probe.c_str(), F_OK) != 0) return std::chrono::system_clock::now().time_since_epoch();
    auto const time = touched(probe);
    std::error_code ignored;
    fs::remove(probe, ignored);
    return time;
}

fs::path epoch_path(fs::path const& folder, std::int64_t epoch) {
    return folder / fmt::format("epoch-{}", epoch);
}

std::int64_t last_epoch(fs::path const& folder) {
    std::int64_t last = 0;
    for (auto const& entry : fs::directory_iterator{folder}) {
        auto const name = entry.path().filename().string();
        if (!name.starts_with("epoch-")) continue;
        std::int64_t epoch = 0;
        std::from_chars(name.data() + 6, name.data() + name.size(), epoch);
        last = std::max(last, epoch);
    }
    return last;
}

Holder holder_of(fs::path const& folder, std::int64_t epoch, std::chrono::milliseconds limit) {
    auto const path = epoch_path(folder, epoch);
    auto const text = read_text(path);
    auto const json = Json::parse(text, nullptr, false);  // a holder that died while writing it left half a line
    auto const field = [&](char const* name) { return json.is_object() && json.contains(name) ? json[name] : Json{}; };
    Holder holder;
    holder.epoch = epoch;
    holder.age = now(folder) - touched(path);
    holder.released = field("released") == true;
    if (field("host").is_string()) holder.host = field("host").get<std::string>();
    if (field("pid").is_number_integer()) holder.pid = field("pid").get<std::int64_t>();
    auto const self = this_process();
    bool const comparable = field("host") == self["host"] && field("boot") == self["boot"] &&
                            field("namespace") == self["namespace"] && field("pid").is_number_integer();
    bool const gone = comparable && field("start") != start_of(holder.pid);
    holder.alive = holder.age <= limit && !holder.released && !gone;
    return holder;
}

/// @throws RunInUseError when the holder of an epoch lives
void require_gone(fs::path const& folder, std::int64_t epoch, std::chrono::milliseconds limit) {
    auto const holder = holder_of(folder, epoch, limit);
    if (!holder.alive) return;
    throw RunInUseError{
        fmt::format("run folder '{}' is held by process {} on '{}', alive {:.1f} s ago", folder.parent_path().string(),
                    holder.pid, holder.host, std::chrono::duration<double>(holder.age).count()),
        fmt::format("wait for that run, stop it, or name another folder with --out; a dead holder is taken over after "
                    "{} s",
                    limit.count() / 1000)};
}

/// @returns false when another process was faster
bool create(fs::path const& path, Json const& holder) {
    int const file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 && errno == EEXIST) return false;
    if (file < 0) throw storage_error("create", path);
    auto const text = holder.dump() + "\n";
    bool const good =
        ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
    bool const closed = ::close(file) == 0;
    if (good && closed) return true;
    auto const error = storage_error("write", path);
    ::unlink(path.c_str());  // an empty one would be taken for a holder's
    throw error;
}

}  // namespace

std::optional<Holder> last_holder(fs::path const& run, LeaseOptions options) {
    auto const folder = run / lease_folder;
    try {
        if (!fs::exists(folder)) return std::nullopt;
        auto const last = last_epoch(folder);
        if (last == 0) return std::nullopt;
        return holder_of(folder, last, options.limit);
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot look at run folder '{}': {}", run.string(), error.code().message()),
                           "check its permissions"};
    }
}

struct Lease::Impl {
    fs::path folder;
    std::int64_t epoch = 0;
    LeaseOptions options;
    Json holder;
    std::mutex mutex;
    std::condition_variable wake;
    bool ending = false;
    std::string error;  ///< why the last refresh failed; empty after one that worked
    std::thread refresher;

    void refresh() {
        std::unique_lock lock{mutex};
        while (!wake.wait_for(lock, options.refresh, [&] { return ending; })) {
            try {
                touch(epoch_path(folder, epoch));
                error.clear();
            } catch (std::exception const& failed) {
                error = failed.what();
            }
        }
    }
};

Lease::Lease(fs::path const& run, LeaseOptions options) : impl_{std::make_unique<Impl>()} {
    impl_->folder = run / lease_folder;
    impl_->options = options;
    impl_->holder = this_process();
    try {
        fs::create_directories(impl_->folder);
        for (;;) {
            auto const last = last_epoch(impl_->folder);
            if (last > 0 && !options.take_over) require_gone(impl_->folder, last, options.limit);
            impl_->epoch = last + 1;
            if (create(epoch_path(impl_->folder, impl_->epoch), impl_->holder)) break;
        }
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot use run folder '{}': {}", run.string(), error.code().message()),
                           "check free space and permissions"};
    }
    sync_to_disk(impl_->folder);
    impl_->refresher = std::thread{[impl = impl_.get()] { impl->refresh(); }};
}

Lease::Lease(Lease&&) noexcept = default;

Lease::~Lease() {
    if (!impl_) return;
    {
        std::lock_guard const lock{impl_->mutex};
        impl_->ending = true;
    }
    impl_->wake.notify_all();
    impl_->refresher.join();
    try {
        impl_->holder["released"] = true;
        write_atomically(epoch_path(impl_->folder, impl_->epoch), impl_->holder.dump() + "\n");
    } catch (std::exception const&) {
        // The next holder sees that this process is gone, or waits for the limit.
    }
}

std::int64_t Lease::epoch() const noexcept {
    return impl_->epoch;
}

Fence Lease::fence() const {
    return {impl_->folder.parent_path(), impl_->epoch};
}

void Lease::check() const {
    fence().check();
    std::lock_guard const lock{impl_->mutex};
    if (!impl_->error.empty()) throw StorageError{impl_->error, "check free space and permissions"};
}

void Fence::check() const {
    auto const folder = run / lease_folder;
    if (::access(epoch_path(folder, epoch + 1).c_str(), F_OK) == 0) {
        throw RunInUseError{
            fmt::format("run folder '{}' was taken over by another run (epoch {} is no longer the last)", run.string(),
                        epoch),
            "this run fell silent for too long; the other one goes on with its work"};
    }
    if (::access(epoch_path(folder, epoch).c_str(), F_OK) != 0)
        throw storage_error("find the lease of this run,", epoch_path(folder, epoch));
}

}  // namespace samner::store
