#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/hash.h"

namespace samner {

/// A file as it was when it was hashed, to be compared with what another process finds there later.
struct HashedFile {
    std::string path;
    std::uint64_t size = 0;
    std::int64_t modified = 0;  ///< nanoseconds since 1970, before the hash was taken
    std::string sha256;

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("path", self.path);
        visit("size", self.size);
        visit("modified", self.modified);
        visit("sha256", self.sha256);
    }

    /// @throws InputError when it cannot be read
    static HashedFile of(std::filesystem::path const& path, FileHash const& hash);

    /// Whether the file still has these bytes. Equal size and time are taken for that, without a look at inodes, which
    /// differ between the nodes that see it; after another time, as copies on several nodes have, the bytes are hashed,
    /// and the new time is noted for the next call.
    bool check();
};

}  // namespace samner
