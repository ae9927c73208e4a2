#include "core/memory.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace samner {
namespace {

namespace fs = std::filesystem;

/// The limit of a control group; "max", or no file, is none.
std::uint64_t limit_of(fs::path const& group) {
    std::ifstream file{group / "memory.max"};
    std::uint64_t bytes = 0;
    return file >> bytes ? bytes : std::numeric_limits<std::uint64_t>::max();
}

/// The control group of this process, as a path below the root of all.
fs::path own_group() {
    std::ifstream file{"/proc/self/cgroup"};
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("0::/")) return line.substr(4);
    return {};
}

}  // namespace

std::uint64_t machine_memory() {
    auto least = std::numeric_limits<std::uint64_t>::max();
    auto const pages = ::sysconf(_SC_PHYS_PAGES);
    auto const size = ::sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) least = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
    auto group = fs::path{"/sys/fs/cgroup"};
    least = std::min(least, limit_of(group));
    for (auto const& part : own_group()) {  // each group is bound by those above it
        group /= part;
        least = std::min(least, limit_of(group));
    }
    return least;
}

}  // namespace samner
