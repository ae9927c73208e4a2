#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace samner::store {

/// Renames a file or folder to a name that nothing has. @return whether it did; else something is there
/// @throws StorageError
bool rename_new(std::filesystem::path const& from, std::filesystem::path const& to);

/// Writes a small file under a name that nothing has; it is whole when it appears, and not forced to the disk.
/// @param draft  beside it, where it is written first
/// @param guard  called before it appears; may throw
/// @return as rename_new @throws StorageError
bool write_new(std::filesystem::path const& path, std::filesystem::path const& draft, std::string_view text,
               std::function<void()> const& guard = {});

}  // namespace samner::store
