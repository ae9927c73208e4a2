#include "core/hashed_file.h"

#include <sys/stat.h>

#include <optional>

namespace samner {
namespace {

struct Stamp {
    std::uint64_t size;
    std::int64_t modified;

    friend bool operator==(Stamp const&, Stamp const&) = default;
};

/// Nothing where there is no such file.
std::optional<Stamp> stamp_of(std::filesystem::path const& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return Stamp{static_cast<std::uint64_t>(status.st_size),
                 std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

}  // namespace

HashedFile HashedFile::of(std::filesystem::path const& path, FileHash const& hash) {
    auto const stamp = stamp_of(path);
    auto sha256 = hash(path);  // says what is wrong where there is none
    auto const [size, modified] = stamp.value_or(Stamp{});
    return {path.string(), size, modified, std::move(sha256)};
}

bool HashedFile::check() {
    auto const found = stamp_of(path);
    if (!found || found->size != size) return false;
    if (found->modified == modified) return true;
    if (sha256_file(path) != sha256 || stamp_of(path) != found) return false;
    modified = found->modified;
    return true;
}

}  // namespace samner
