#include "corpus/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "corpus/archive.h"
#include "corpus/download.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;
using State = FetchStatus::State;

/// The mirror's address, ending with a slash.
std::string mirror_address(std::string const& mirror) {
    auto address = mirror;
    if (mirror.find("://") == std::string::npos) {
        if (!fs::is_directory(mirror))
            throw InputError{fmt::format("mirror '{}' is no folder", mirror), "name a folder, or an address with ://"};
        address = "file://" + url_path(fs::absolute(mirror).string());
    }
    if (!address.ends_with('/')) address += '/';
    return address;
}

/// A download and the files that come out of it.
struct Group {
    std::string url;
    bool archive = false;
    std::vector<DataFile const*> files = {};
};

std::string mismatch(std::string const& what, std::string const& found, DataFile const& file) {
    return fmt::format("{} has SHA-256 {}, not {} as data set descriptions say", what, found, file.sha256);
}

/// Puts a file in its place out of what was downloaded.
/// @return why that cannot be, or nothing
std::optional<std::string> install(Group const& group, DataFile const& file, fs::path const& part,
                                   fs::path const& root) {
    auto const target = root / file.path;
    if (!group.archive) {
        if (auto const hash = sha256_file(part); hash != file.sha256) return mismatch(group.url, hash, file);
        fs::create_directories(target.parent_path());
        move_into_place(part, target);
        return std::nullopt;
    }
    try {
        auto const bytes = read_archive(part, file.member);
        if (auto const hash = sha256(bytes); hash != file.sha256)
            return mismatch(fmt::format("'{}' in {}", file.member, group.url), hash, file);
        fs::create_directories(target.parent_path());
        write_atomically(target, bytes);
        return std::nullopt;
    } catch (StorageError const&) {
        throw;
    } catch (Error const& error) {
        return fmt::format("{}: {}", group.url, describe(error));
    }
}

class Fetch {
public:
    Fetch(fs::path root, FetchOptions const& options, std::function<void(FetchStatus const&)> const& report)
        : root_{std::move(root)}, options_{options}, report_{report} {}

    std::int64_t failures() const { return failures_; }

    void fail(DataFile const& file, std::string error) {
        ++failures_;
        report_({file, State::failed, 0, 0, std::move(error)});
    }

    /// @return whether the file has to be fetched
    bool wanted(DataFile const& file) {
        auto const target = root_ / file.path;
        if (!fs::exists(target)) return true;
        auto const hash = sha256_file(target);
        if (hash == file.sha256) {
            report_({file, State::there});
            return false;
        }
        if (options_.replace) return true;
        fail(file, fmt::format("{} — move it away, or let --replace put the right one in its place",
                               mismatch(fmt::format("'{}'", target.string()), hash, file)));
        return false;
    }

    void run(Group group) {
        auto const path = root_ / ".fetch" / sha256(group.url).substr(0, 16);
        try {
            PartFile part{path};
            if (part.size() > 0) install_all(group, path);  // it may be whole: stopped between download and renaming
            std::string why;
            if (!group.files.empty()) {
                bool const kept = download_to(part, group);
                why = install_all(group, path);
                if (!group.files.empty() && kept) {  // perhaps two versions in one
                    part.clear();
                    download_to(part, group);
                    why = install_all(group, path);
                }
            }
            for (auto const* file : group.files) fail(*file, why);
            if (group.archive || !group.files.empty()) part.clear();  // else it is the file itself by now
        } catch (Error const& error) {
            if (error.code() != ExitCode::task_failed) throw;
            for (auto const* file : group.files) fail(*file, describe(error));
        }
    }

private:
    bool download_to(PartFile& part, Group const& group) {
        return download(group.url, part, {options_.attempts, [&](std::int64_t bytes, std::int64_t total) {
                                              report_({*group.files.front(), State::fetching, bytes, total});
                                          }});
    }

    /// Takes the files that could be put in place off the group. @return why the last of the others could not be
    std::string install_all(Group& group, fs::path const& part) {
        std::string last;
        std::erase_if(group.files, [&](DataFile const* file) {
            auto why = install(group, *file, part, root_);
            if (why) {
                last = *std::move(why);
                return false;
            }
            report_({*file, State::fetched});
            return true;
        });
        return last;
    }

    fs::path root_;
    FetchOptions const& options_;
    std::function<void(FetchStatus const&)> const& report_;
    std::int64_t failures_ = 0;
};

}  // namespace

std::int64_t fetch(std::vector<DataFile> const& files, fs::path const& root, FetchOptions const& options,
                   std::function<void(FetchStatus const&)> const& report) {
    auto const mirror = options.mirror.empty() ? std::string{} : mirror_address(options.mirror);
    Fetch task{root, options, report};
    std::vector<Group> groups;
    for (auto const& file : files) {
        if (file.sha256.empty() || (mirror.empty() && file.from.empty()))
            throw InputError{fmt::format("'{}' has no {} in its description", file.path,
                                         file.sha256.empty() ? "SHA-256" : "upstream address"),
                             "add it, or put the file under the data root yourself"};
        if (!task.wanted(file)) continue;
        Group group{mirror.empty() ? file.from : mirror + url_path(file.path), mirror.empty() && !file.member.empty()};
        auto found = groups.end();
        if (group.archive)
            found = std::ranges::find_if(groups, [&](Group const& other) { return other.url == group.url; });
        if (found == groups.end()) found = groups.insert(found, std::move(group));
        found->files.push_back(&file);
    }
    for (auto& group : groups) task.run(std::move(group));
    std::error_code ignored;
    fs::remove(root / ".fetch", ignored);  // only when nothing is left there
    return task.failures();
}

}  // namespace samner::corpus
