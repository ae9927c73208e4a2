#include "store/artifacts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

void sync_tree(fs::path const& path) {
    if (fs::is_directory(path)) {
        for (auto const& entry : fs::recursive_directory_iterator{path}) sync_to_disk(entry.path());
    }
    sync_to_disk(path);
}

/// A name beside `path` that no other writer has, on any node.
fs::path partial_of(fs::path const& path) {
    static std::atomic<int> count{0};
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    return path.parent_path() /
           fmt::format("{}.{}-{}-{}.partial", path.filename().string(), host, ::getpid(), count.fetch_add(1));
}

}  // namespace

Artifacts::Artifacts(fs::path root, std::function<void()> guard) : root_{std::move(root)}, guard_{std::move(guard)} {
    std::error_code error;
    fs::create_directories(root_, error);
    if (error) {
        throw StorageError{fmt::format("cannot create '{}': {}", root_.string(), error.message()),
                           "check free space and permissions"};
    }
}

fs::path Artifacts::path(std::string const& key) const {
    auto const plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    };
    if (key.empty() || key.size() > 150 || key.front() == '.' || key.ends_with(".partial") ||
        !std::all_of(key.begin(), key.end(), plain)) {
        throw InputError{fmt::format("artifact key '{}' is no plain file name", key),
                         "use at most 150 letters, digits and - _ ."};
    }
    return root_ / key;
}

bool Artifacts::has(std::string const& key) const {
    return fs::exists(path(key));
}

std::string Artifacts::commit(std::string const& key, std::function<void(fs::path const&)> const& fill) const {
    auto const target = path(key);
    auto const partial = partial_of(target);
    auto const old = partial_of(target);
    std::error_code ignored;
    try {
        fill(partial);
        if (!fs::exists(partial)) throw StorageError{fmt::format("nothing was written for artifact '{}'", key)};
        sync_tree(partial);
        auto hash = content_hash(partial);
        if (guard_) guard_();
        if (fs::is_directory(target)) fs::rename(target, old);  // rename(2) replaces files, but no folder with contents
        fs::rename(partial, target);
        sync_to_disk(root_);
        fs::remove_all(old, ignored);
        return hash;
    } catch (fs::filesystem_error const& error) {
        fs::remove_all(partial, ignored);
        throw StorageError{fmt::format("cannot write artifact '{}': {}", key, error.what()),
                           "check free space and permissions"};
    } catch (...) {
        fs::remove_all(partial, ignored);
        throw;
    }
}

void Artifacts::write_record(std::string const& key, std::string const& text) const {
    auto const target = root_ / ".records" / (path(key).filename().string() + ".json");
    auto const partial = partial_of(target);
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    std::ofstream file{partial, std::ios::binary};
    file << text << std::flush;
    if (guard_) guard_();
    if (file) fs::rename(partial, target, error);
    if (!file || error) {
        std::error_code ignored;
        fs::remove(partial, ignored);
        throw StorageError{fmt::format("cannot write '{}'", target.string()), "check free space and permissions"};
    }
}

bool Artifacts::verify(std::string const& key, std::string const& sha256) const {
    return has(key) && content_hash(path(key)) == sha256;
}

void Artifacts::remove_partials() const {
    std::vector<fs::path> left;
    for (auto const& folder : {root_, root_ / ".records"}) {
        if (!fs::exists(folder)) continue;
        for (auto const& entry : fs::directory_iterator{folder}) {
            if (entry.path().extension() == ".partial") left.push_back(entry.path());
        }
    }
    for (auto const& path : left) fs::remove_all(path);
}

std::string content_hash(fs::path const& path) {
    if (!fs::is_directory(path)) return sha256_file(path);
    std::vector<std::string> lines;
    for (auto const& entry : fs::recursive_directory_iterator{path}) {
        if (entry.is_symlink() || (!entry.is_directory() && !entry.is_regular_file())) {
            throw InputError{fmt::format("'{}' is neither file nor folder", entry.path().string())};
        }
        if (entry.is_directory()) continue;
        lines.push_back(entry.path().lexically_relative(path).generic_string() + '\0' + sha256_file(entry.path()) +
                        '\n');
    }
    std::sort(lines.begin(), lines.end());
    Sha256 hash;
    for (auto const& line : lines) hash.update(line);
    return hash.hex();
}

}  // namespace samner::store
