#include "task/planned_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace samner::task {
namespace {

[[noreturn]] void refuse(std::string const& path) {
    throw InputError{fmt::format("'{}' has changed since this run was planned", path),
                     "run the same command again: it plans with what is there now"};
}

}  // namespace

void PlannedFiles::check() {
    for (auto& file : files_)
        if (!file.check()) refuse(file.path);
}

void PlannedFiles::check(std::vector<std::filesystem::path> const& read) {
    check();
    if (files_.empty()) return;
    for (auto const& path : read)
        if (std::ranges::find(files_, path.string(), &HashedFile::path) == files_.end()) refuse(path.string());
}

}  // namespace samner::task
