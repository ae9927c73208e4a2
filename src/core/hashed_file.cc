#include "core/hashed_file.h"

#include <utility>

#include "core/file_stamp.h"

namespace samner {
HashedFile HashedFile::of(std::filesystem::path const& path, FileHash const& hash) {
    auto const stamp = FileStamp::of(path).value_or(FileStamp{});
    auto sha256 = hash(path);  // says what is wrong where there is none
    return {path.string(), stamp.size, stamp.modified, std::move(sha256)};
}

bool HashedFile::check() {
    auto const found = FileStamp::of(path);
    if (!found || found->size != size) return false;
    if (found->modified == modified) return true;
    if (sha256_file(path) != sha256 || FileStamp::of(path) != found) return false;
    modified = found->modified;
    return true;
}

}  // namespace samner
