#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/file.h"
#include "core/json.h"

namespace samner {

/// A file of lines that comes about line by line, and goes on where it was left.
struct GrowingFile {
    std::filesystem::path path;
    Existing existing = Existing::refused;  ///< replaced: lines of other settings are started anew
    Json settings;  ///< an object that names what the lines depend on, for the one who goes on; texts, such as hashes
    /// Looks at a line that is there, without its line end, counted from 0. @throws InputError when it cannot be
    /// that line
    std::function<void(std::size_t index, std::string_view line)> check;

    using Append = std::function<void(std::string_view lines)>;
    /// Lets `produce(there, append)` append whole lines from line `there` on, 0 for a new file. They are in
    /// `path.partial`, beside which `path.partial.json` has the settings, until all are there and the file gets its
    /// name. What `produce` throws passes through, and the lines stay; where there are none, nothing does. A stream
    /// gets the lines as they come, always all of them.
    /// @throws InputError when lines are there that belong to other settings, or to none that are known;
    ///         RunInUseError when another process is at it; StorageError
    void write(std::function<void(std::size_t there, Append const& append)> const& produce) const;
};

}  // namespace samner
