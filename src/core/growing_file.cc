#include "core/growing_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/error.h"

namespace samner {
namespace {

namespace fs = std::filesystem;

/// The file with the lines, which is this process's while it is open.
class PartialFile {
public:
    explicit PartialFile(fs::path path)
        : path_{std::move(path)},
          file_{::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644)} {
        struct stat status {};
        if (file_ < 0 || ::fstat(file_, &status) != 0) throw storage_error("create", path_);
        if (!S_ISREG(status.st_mode))
            throw InputError{fmt::format("'{}' is no regular file, and is in the way", path_.string()), "move it away"};
        // Where there are no locks there is no help against two at a time.
        if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            throw RunInUseError{fmt::format("another process writes '{}'", path_.string()),
                                "wait for it, or name another --out"};
    }
    PartialFile(PartialFile const&) = delete;
    PartialFile& operator=(PartialFile const&) = delete;
    ~PartialFile() {
        if (file_ >= 0) ::close(file_);
    }

    void cut(std::size_t size) {
        if (::ftruncate(file_, static_cast<off_t>(size)) != 0 || ::lseek(file_, 0, SEEK_END) < 0)
            throw storage_error("cut", path_);
    }

    void append(std::string_view bytes) {
        while (!bytes.empty()) {
            auto const written = ::write(file_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) throw storage_error("write", path_);
            bytes.remove_prefix(static_cast<std::size_t>(written));
            size_ += static_cast<std::size_t>(written);
        }
    }

    std::size_t appended() const { return size_; }

private:
    fs::path path_;
    int file_;
    std::size_t size_ = 0;
};

constexpr auto start_anew = "remove it, or start anew with --overwrite";

/// @throws InputError unless the lines were begun with the same settings
void check_settings(fs::path const& partial, fs::path const& beside, Json const& settings) {
    if (!fs::exists(beside))
        throw InputError{fmt::format("'{}' is there, and nothing says what it is part of", partial.string()),
                         start_anew};
    Json begun;
    try {
        begun = read_json(beside);
    } catch (InputError const& error) {
        throw InputError{fmt::format("what '{}' is part of cannot be read: {}", partial.string(), error.what()),
                         start_anew};
    }
    std::vector<std::string> differing;
    for (auto const& [name, value] : settings.items())
        if (!begun.is_object() || begun.value(name, Json{}) != value) differing.push_back(name);
    if (!differing.empty())
        throw InputError{fmt::format("'{}' was begun with another {}", partial.string(), fmt::join(differing, ", ")),
                         "give the same command, or start anew with --overwrite"};
}

}  // namespace

void GrowingFile::write(std::function<void(std::size_t, Append const&)> const& produce) const {
    auto const destination = destination_of(path);
    if (destination.kind == Destination::Kind::stream)
        return write_atomically(path, [&](Append const& append) { produce(0, append); });
    auto const partial = partial_of(path);
    auto beside = partial;
    beside += ".json";
    bool const begun = fs::exists(partial) && !fs::is_empty(partial);
    PartialFile file{partial};
    bool anew = !begun;
    if (begun) {
        try {
            check_settings(partial, beside, settings);
        } catch (InputError const&) {
            if (existing == Existing::refused) throw;
            anew = true;
        }
    }
    std::size_t there = 0;
    std::size_t size = 0;  // of the whole lines
    if (!anew) {
        auto const bytes = read_text(partial);
        for (std::string_view left = bytes;;) {
            auto const end = left.find('\n');
            if (end == std::string_view::npos) break;
            try {
                check(there, left.substr(0, end));
            } catch (InputError const& error) {
                throw InputError{fmt::format("{} ({}:{})", error.what(), partial.string(), there + 1), start_anew};
            }
            ++there;
            left.remove_prefix(end + 1);
            size = bytes.size() - left.size();
        }
    }
    file.cut(size);
    if (anew) write_atomically(beside, to_text(settings, 1) + "\n");
    try {
        produce(there, [&](std::string_view lines) { file.append(lines); });
    } catch (...) {
        std::error_code ignored;
        if (there == 0 && file.appended() == 0) {
            fs::remove(partial, ignored);
            fs::remove(beside, ignored);
        }
        throw;
    }
    move_into_place(partial, path);
    std::error_code ignored;
    fs::remove(beside, ignored);
}

}  // namespace samner
