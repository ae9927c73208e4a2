#include "core/hash_memory.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "core/file.h"

namespace samner {
namespace {

namespace fs = std::filesystem;

using Entries = HashMemory::Entries;

constexpr std::size_t hash_digits = 64;
constexpr std::size_t check_digits = 16;

std::int64_t now() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// A line of the file: what it says, led by the beginning of the SHA-256 of that.
std::string line_of(std::string const& path, HashMemory::Entry const& entry) {
    auto const& [inode, size, modified, changed] = entry.stamp;
    auto const content = fmt::format("{} {} {} {} {} {}", entry.sha256, inode, size, modified, changed, path);
    return fmt::format("{} {}\n", sha256(content).substr(0, check_digits), content);
}

/// Takes the text up to the next space off `rest`.
std::string_view take_word(std::string_view& rest) {
    auto const end = std::min(rest.find(' '), rest.size());
    auto const word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

template <class T>
bool take_number(std::string_view& rest, T& number) {
    auto const word = take_word(rest);
    auto const [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc{} && end == word.data() + word.size();
}

void read_line(std::string_view line, std::uint64_t age, Entries& entries) {
    auto const check = take_word(line);
    if (check != sha256(line).substr(0, check_digits)) return;
    HashMemory::Entry entry;
    entry.sha256 = take_word(line);
    auto& [inode, size, modified, changed] = entry.stamp;
    bool const whole = entry.sha256.size() == hash_digits && take_number(line, inode) && take_number(line, size) &&
                       take_number(line, modified) && take_number(line, changed) && !line.empty();
    if (!whole) return;
    entry.age = age;
    entries.insert_or_assign(std::string{line}, std::move(entry));
}

Entries read_entries(fs::path const& file) {
    Entries entries;
    std::error_code ignored;
    if (file.empty() || !fs::exists(file, ignored)) return entries;
    try {
        for_each_line(read_text(file),
                      [&](std::string_view line, std::size_t number) { read_line(line, number, entries); });
    } catch (std::exception const& error) {
        spdlog::debug("hashes of earlier runs are not known: {}", error.what());
    }
    return entries;
}

std::string text_of(Entries const& entries, std::size_t limit) {
    std::vector<Entries::const_pointer> order;
    for (auto const& entry : entries) order.push_back(&entry);
    std::ranges::sort(order, {}, [](auto const* entry) { return entry->second.age; });
    std::string text;
    for (auto i = order.size() - std::min(order.size(), limit); i < order.size(); ++i)
        text += line_of(order[i]->first, order[i]->second);
    return text;
}

}  // namespace

HashMemory::HashMemory(fs::path file, HashMemoryOptions options) : file_{std::move(file)}, options_{options} {}

HashMemory::~HashMemory() {
    if (file_.empty() || fresh_.empty()) return;
    try {
        save();
    } catch (std::exception const& error) {
        spdlog::debug("hashes are not kept for later runs: {}", error.what());
    }
}

fs::path HashMemory::default_file() {
    auto const folder = [](char const* variable, char const* below) {
        auto const* const value = std::getenv(variable);
        return value && *value ? fs::path{value} / below : fs::path{};
    };
    for (auto const& file : {folder("SAMNER_CACHE", "hashes"), folder("XDG_CACHE_HOME", "samner/hashes"),
                             folder("HOME", ".cache/samner/hashes")})
        if (!file.empty()) return file;
    return {};
}

std::string HashMemory::hash(fs::path const& path) {
    auto const begin = std::chrono::steady_clock::now();
    auto const started = now();
    std::error_code error;
    auto const name = fs::canonical(path, error).string();
    auto const stamp = FileStamp::of(path);
    if (!known_) known_ = read_entries(file_);
    std::string sha256;
    auto const known = known_->find(name);
    if (!error && stamp && known != known_->end() && known->second.stamp == *stamp) {
        sha256 = known->second.sha256;
        cost_.remembered += stamp->size;
    } else {
        spdlog::debug("hashes {}", name);
        sha256 = sha256_file(path);
        if (stamp) cost_.hashed += stamp->size;
        // A clock that is behind that of a network file system makes more files recent, not fewer.
        bool const settled = stamp && FileStamp::of(path) == stamp &&
                             std::max(stamp->modified, stamp->changed) <= started - options_.settled.count();
        bool const one_line = name.find('\n') == std::string::npos;
        if (!error && settled && one_line) fresh_[name] = (*known_)[name] = {*stamp, sha256};
    }
    cost_.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return sha256;
}

void HashMemory::save() const {
    auto entries = read_entries(file_);  // which may have more by now
    auto age = static_cast<std::uint64_t>(entries.size());
    for (auto const& [path, entry] : entries) age = std::max(age, entry.age);
    for (auto const& [path, entry] : fresh_) entries[path] = {entry.stamp, entry.sha256, ++age};
    fs::create_directories(file_.parent_path());
    // Processes that write at once, on several nodes, each write a file of their own first.
    auto own = file_;
    std::random_device random;
    own += fmt::format(".{:08x}{:08x}", random(), random());
    try {
        write_atomically(own, text_of(entries, options_.limit));
        fs::rename(own, file_);
    } catch (...) {
        std::error_code ignored;
        fs::remove(own, ignored);
        throw;
    }
}

std::string to_text(HashMemory::Cost const& cost) {
    return fmt::format("{} of inputs in {:.1f} s, {} remembered", size_text(static_cast<double>(cost.hashed)),
                       cost.seconds, size_text(static_cast<double>(cost.remembered)));
}

}  // namespace samner
