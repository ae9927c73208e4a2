#include "store/rename_new.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "core/file.h"

namespace samner::store {

bool rename_new(std::filesystem::path const& from, std::filesystem::path const& to) {
    if (std::filesystem::is_directory(from)) {  // rename(2) replaces no folder that has contents
        if (::rename(from.c_str(), to.c_str()) == 0) return true;
    } else if (::link(from.c_str(), to.c_str()) == 0) {
        ::unlink(from.c_str());
        return true;
    } else if (errno != EEXIST) {  // a file system without links
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
    }
    int const error = errno;
    if (error == EEXIST || error == ENOTEMPTY) return false;
    if (error == ENOTDIR && std::filesystem::is_regular_file(to)) return false;  // a folder onto a file
    errno = error;
    throw storage_error("rename to", to);
}

bool write_new(std::filesystem::path const& path, std::filesystem::path const& draft, std::string_view text,
               std::function<void()> const& guard) {
    std::error_code ignored;
    try {
        std::ofstream file{draft, std::ios::binary | std::ios::trunc};
        if (!(file << text << std::flush)) throw storage_error("write", path);
        if (guard) guard();
        bool const placed = rename_new(draft, path);
        std::filesystem::remove(draft, ignored);
        return placed;
    } catch (...) {
        std::filesystem::remove(draft, ignored);
        throw;
    }
}

}  // namespace samner::store
