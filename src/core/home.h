#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace samner {

/// Where files are found: what comes with the program lies in its home, what a file names lies relative to that file,
/// and what the command line names relative to the working folder.

/// The folder of what comes with the program: configs/data, configs/runs, configs/schemas and experiments.
struct Home {
    std::filesystem::path folder;  ///< absolute
    std::string_view found;        ///< how, for people
};

/// The home that the environment variable SAMNER_HOME names; where it is unset or empty, PREFIX/share/samner of an
/// installed PREFIX/bin/samner, or the checkout of one that lies in its build folder; else nothing.
/// @throws InputError where SAMNER_HOME names a folder without configs/data
std::optional<Home> find_home();

/// A file or folder in the home, such as configs/data.
/// @throws InputError where there is no home, or no such file in it
std::filesystem::path shipped(std::filesystem::path const& name);

/// What a user names on the command line: that in the working folder, or where nothing is there and the home has it,
/// that of the home, which is said. A name that is in neither is given back as it is.
std::filesystem::path given_or_shipped(std::filesystem::path const& name);

/// The absolute path of what a file names: relative to the folder of that file, without . and .., and without a slash
/// at the end. Nothing has to be there.
/// @param folder  of the file that names it; empty: the working folder
/// @param what    names it, as `base`, and `place` where, for the message
/// @throws InputError where nothing is there, but something is relative to the working folder
std::filesystem::path path_in_file(std::filesystem::path const& folder, std::filesystem::path const& name,
                                   std::string_view what, std::string_view place);

}  // namespace samner
