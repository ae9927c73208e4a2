#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "golden.h"
#include "temporary_folder.h"

namespace samner::weights {

/// Plain writing, without the syncing of write_atomically: the mutation tests write thousands of files.
inline void write_plain(std::filesystem::path const& path, std::string_view bytes) {
    std::ofstream{path, std::ios::binary} << bytes;
}

/// The whole message of the InputError that `action` throws; "" when it throws none. Other exceptions pass through.
inline std::string input_error(std::function<void()> const& action) {
    try {
        action();
    } catch (InputError const& error) {
        return describe(error);
    }
    return {};
}

/// What opening a file of these bytes as a File complains of, which names the file; "" when it does not.
template <class File>
std::string error_of(std::string const& bytes) {
    TemporaryFolder const folder;
    auto const path = folder / "hostile.file";
    write_plain(path, bytes);
    auto message = input_error([&] { File const file{path}; });
    if (!message.empty()) {
        EXPECT_THAT(message, testing::HasSubstr("hostile.file"));
    }
    return message;
}

/// A copy of a folder of the golden files, to be changed.
inline std::filesystem::path copy_of(std::string const& name, TemporaryFolder const& folder) {
    auto const copy = folder / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(golden(name), copy);
    return copy;
}

}  // namespace samner::weights
