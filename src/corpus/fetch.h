#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "corpus/dataset.h"

namespace samner::corpus {

struct FetchOptions {
    std::string mirror = {};  ///< folder or address (http, https, file) laid out as a data root; empty: upstream
    bool replace = false;     ///< take the place of a file that is there but is not the one described
    int attempts = 4;         ///< in a row that bring nothing, before a file fails
};

/// What has become of a file, or becomes of it just now.
struct FetchStatus {
    enum class State { there, fetching, fetched, failed };
    DataFile const& file;
    State state;
    std::int64_t bytes = 0;  ///< fetching: so far
    std::int64_t total = 0;  ///< fetching: in all; 0: not known
    std::string error = {};  ///< failed: why, and what to do
};

/// Brings files of data sets into a data root, each as its description says (`from`, `member`) and only if its SHA-256
/// is right: a file appears whole and checked, or not at all. What came of an interrupted download lies in
/// `root/.fetch` and is gone on with by the next call. Several files of one archive are taken out of one download.
/// @param files  that have a SHA-256 and, without a mirror, an address
/// @param report called for every file with its last state, and while bytes come
/// @return number of files that failed
/// @throws InputError for a mirror that is no folder, InfrastructureError when a server cannot be reached,
/// StorageError,
///     Stopped on a signal
std::int64_t fetch(std::vector<DataFile> const& files, std::filesystem::path const& root, FetchOptions const& options,
                   std::function<void(FetchStatus const&)> const& report);

}  // namespace samner::corpus
