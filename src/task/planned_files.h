#pragma once

#include <filesystem>
#include <vector>

#include "core/hashed_file.h"

namespace samner::task {

/// The files of a model as they were when a run was planned: its keys are made of their hashes, so what is computed has
/// to come from the same bytes. Checked after the files have been read, and before, where a changed one may not open.
class PlannedFiles {
public:
    /// @param files  none: no plan was made, and every file will do
    explicit PlannedFiles(std::vector<HashedFile> files = {}) : files_{std::move(files)} {}

    /// @throws InputError naming a file that has changed since
    void check();
    /// The same, and that the files that are read are those. @throws InputError naming one that was not there
    void check(std::vector<std::filesystem::path> const& read);

private:
    std::vector<HashedFile> files_;
};

}  // namespace samner::task
