#pragma once

#include <filesystem>
#include <string>

namespace samner::corpus {

/// The files of an archive (zip; tar, plain or packed by gzip, bzip2 or xz) whose names match a pattern, joined in byte
/// order of their names. A single packed file (.gz) is an archive of one file.
/// @param pattern  with * and ?, which stand for slashes too
/// @throws Error when the archive is broken or cut short, nothing matches, or it is more than a gibibyte
std::string read_archive(std::filesystem::path const& path, std::string const& pattern);

}  // namespace samner::corpus
