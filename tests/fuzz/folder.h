#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "temporary_folder.h"

namespace samner {

/// The folder in which a target lays its input's files.
inline std::filesystem::path const& fuzz_folder() {
    static TemporaryFolder const folder;
    return folder.path();
}

/// Writes a file there, which nothing may have mapped.
inline std::filesystem::path put(std::string_view name, std::string_view bytes) {
    auto path = fuzz_folder() / name;
    int const file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
    ::close(file);
    return path;
}

}  // namespace samner
