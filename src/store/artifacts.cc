#include "store/artifacts.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "store/rename_new.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

void sync_tree(fs::path const& path) {
    if (fs::is_directory(path)) {
        for (auto const& entry : fs::recursive_directory_iterator{path}) sync_to_disk(entry.path());
    }
    sync_to_disk(path);
}

/// What is known of an artifact's files without reading them.
std::map<std::string, FileStamp> stamps_of(fs::path const& path) {
    std::map<std::string, FileStamp> stamps;
    auto const add = [&](fs::path const& file) {
        if (auto const stamp = FileStamp::of(file)) stamps.emplace(file.string(), *stamp);
    };
    std::error_code ignored;
    add(path);
    for (auto const& entry : fs::recursive_directory_iterator{path, ignored}) add(entry.path());
    return stamps;
}

}  // namespace

std::string Writer::unique_suffix() const {
    static std::atomic<int> count{0};
    return fmt::format("{}-{}-{}-{}", run, epoch, rank, count.fetch_add(1));
}

std::vector<fs::path> partials_of(fs::path const& folder, Writer const& writer) {
    std::vector<fs::path> found;
    if (!fs::exists(folder)) return found;
    for (auto const& entry : fs::directory_iterator{folder}) {
        auto const name = entry.path().filename().string();
        auto const start = name.rfind("." + writer.run + "-");
        if (start == std::string::npos || !name.ends_with(".partial")) continue;
        std::int64_t epoch = 0;
        auto const* const digits = name.data() + start + writer.run.size() + 2;
        if (std::from_chars(digits, name.data() + name.size(), epoch).ec == std::errc{} && epoch < writer.epoch)
            found.push_back(entry.path());
    }
    return found;
}

Artifacts::Artifacts(fs::path root) : Artifacts{std::move(root), Options{}} {}

Artifacts::Artifacts(fs::path root, Options options) : root_{std::move(root)}, options_{std::move(options)} {
    std::error_code error;
    fs::create_directories(root_, error);
    if (error && !fs::is_directory(root_)) {
        throw StorageError{fmt::format("cannot create '{}': {}", root_.string(), error.message()),
                           "check free space and permissions"};
    }
}

fs::path Artifacts::partial_of(fs::path const& path) const {
    return path.parent_path() / fmt::format("{}.{}.partial", path.filename().string(), options_.writer.unique_suffix());
}

void Artifacts::check_fence() const {
    if (options_.fence) options_.fence->check();
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
    std::error_code ignored;
    try {
        fill(partial);
        if (!fs::exists(partial)) throw StorageError{fmt::format("nothing was written for artifact '{}'", key)};
        sync_tree(partial);
        auto hash = content_hash(partial);
        check_fence();
        if (rename_new(partial, target)) {
            sync_to_disk(root_);
            return hash;
        }
        fs::remove_all(partial, ignored);
        auto first = content_hash(target);
        if (first == hash) return hash;
        auto const what = fmt::format("another run committed '{}' first, and its copy differs: SHA-256 {} and {}",
                                      target.string(), first.substr(0, 12), hash.substr(0, 12));
        if (options_.exact) {
            throw Error{what,
                        "equal work gives equal bits in fp32 on the CPU: compare the versions and machines of both "
                        "runs, and give them a store each until it is found"};
        }
        spdlog::warn("{}; that copy is used", what);
        return first;
    } catch (fs::filesystem_error const& error) {
        fs::remove_all(partial, ignored);
        throw StorageError{fmt::format("cannot write artifact '{}': {}", key, error.what()),
                           "check free space and permissions"};
    } catch (...) {
        fs::remove_all(partial, ignored);
        throw;
    }
}

fs::path Artifacts::record_path(std::string const& key) const {
    return root_ / ".records" / (path(key).filename().string() + ".json");
}

void Artifacts::write_record(std::string const& key, std::string const& text) const {
    auto const target = record_path(key);
    std::error_code shown_when_written;
    fs::create_directories(target.parent_path(), shown_when_written);
    write_new(target, partial_of(target), text, [this] { check_fence(); });
}

std::optional<std::string> Artifacts::record(std::string const& key) const {
    auto const file = record_path(key);
    if (!fs::is_regular_file(file)) return std::nullopt;
    return read_text(file);
}

std::vector<std::string> Artifacts::recorded() const {
    std::vector<std::string> keys;
    if (!fs::exists(root_ / ".records")) return keys;
    for (auto const& entry : fs::directory_iterator{root_ / ".records"}) {
        if (entry.path().extension() == ".json") keys.push_back(entry.path().stem().string());
    }
    std::ranges::sort(keys);
    return keys;
}

bool Artifacts::verify(std::string const& key, std::string const& sha256) const {
    try {
        Seen seen{sha256, stamps_of(path(key))};
        bool const right = has(key) && content_hash(path(key)) == sha256;
        if (right) right_[key] = std::move(seen);
        return right;
    } catch (InputError const& error) {
        spdlog::warn("{}", error.what());  // links and devices are no artifact
        return false;
    }
}

void Artifacts::trust(std::string const& key, std::string const& sha256) const {
    right_[key] = {sha256, stamps_of(path(key))};
}

bool Artifacts::still(std::string const& key, std::string const& sha256) const {
    auto const known = right_.find(key);
    return (known != right_.end() && known->second == Seen{sha256, stamps_of(path(key))}) || verify(key, sha256);
}

void Artifacts::discard(std::string const& key) const {
    check_fence();
    std::error_code ignored;
    fs::remove_all(record_path(key), ignored);  // first: what has no record does not count
    auto const target = path(key);
    auto const aside = partial_of(target);
    fs::rename(target, aside, ignored);  // whole until it is gone: others may look at it
    fs::remove_all(aside, ignored);
}

void Artifacts::remove_partials() const {
    for (auto const& folder : {root_, root_ / ".records"}) {
        for (auto const& path : partials_of(folder, options_.writer)) fs::remove_all(path);
    }
}

std::int64_t bytes_of(fs::path const& path) {
    if (!fs::is_directory(path)) return static_cast<std::int64_t>(fs::file_size(path));
    std::int64_t bytes = 0;
    for (auto const& entry : fs::recursive_directory_iterator{path})
        if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
    return bytes;
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
