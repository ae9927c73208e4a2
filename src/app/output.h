#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/file.h"

namespace samner::app {

/// What a verb writes, as its options name it.
struct Output {
    std::filesystem::path path;
    bool overwrite = false;

    Existing existing() const { return overwrite ? Existing::replaced : Existing::refused; }

    /// To be called before the work. @throws InputError as check_output_file
    void check_file() const { check_output_file(path, existing()); }
    /// Of a folder, which is an adapter or a model. @throws InputError as check_output_folder
    void check_folder() const;
};

/// --out and --overwrite.
void add_output_options(CLI::App& verb, Output& output, std::string const& help);
void add_overwrite_option(CLI::App& verb, bool& overwrite);

/// Says in a line on stderr what was written.
/// @param what  and how many, such as "3 predictions"
void say_written(std::filesystem::path const& path, std::string_view what);

/// A number with the word for what is counted, which gets an s where that is not one.
std::string counted(std::size_t number, std::string_view word);

}  // namespace samner::app
