#include "core/home.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"

namespace samner {
namespace {

namespace fs = std::filesystem;

bool is_there(fs::path const& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

/// Absolute, without . and .., and without a slash at the end.
fs::path plain(fs::path const& path) {
    auto const normal = fs::absolute(path).lexically_normal();
    return normal.has_filename() ? normal : normal.parent_path();
}

bool is_home(fs::path const& folder) {
    std::error_code ignored;
    return fs::is_directory(folder / "configs/data", ignored);
}

constexpr auto* how_to_name = "set SAMNER_HOME to a checkout of samner, or to PREFIX/share/samner of an installed one";

}  // namespace

std::optional<Home> find_home() {
    if (auto const* const named = std::getenv("SAMNER_HOME"); named && *named) {
        if (is_home(named)) return Home{plain(named), "SAMNER_HOME"};
        throw InputError{fmt::format("SAMNER_HOME is '{}', where there is no folder configs/data", named),
                         fmt::format("{}, or leave it unset", how_to_name)};
    }
    std::error_code error;
    auto const program = fs::read_symlink("/proc/self/exe", error).parent_path();
    if (error) return std::nullopt;
    if (is_home(program / SAMNER_SHARE)) return Home{plain(program / SAMNER_SHARE), "of the installed program"};
    if (is_home(program.parent_path())) return Home{plain(program.parent_path()), "the program's checkout"};
    return std::nullopt;
}

fs::path shipped(fs::path const& name) {
    auto const home = find_home();
    if (!home)
        throw InputError{fmt::format("'{}', which comes with samner, is not beside the program", name.string()),
                         how_to_name};
    if (is_there(home->folder / name)) return home->folder / name;
    throw InputError{fmt::format("there is no '{}' in the home of samner, '{}'", name.string(), home->folder.string()),
                     how_to_name};
}

fs::path given_or_shipped(fs::path const& name) {
    bool const could_be = name.is_relative() && std::ranges::find(name, fs::path{".."}) == name.end();
    if (is_there(name) || !could_be) return name;
    auto const home = find_home();
    if (!home || !is_there(home->folder / name)) return name;
    auto found = home->folder / name;
    spdlog::info("there is no '{}' in the working folder: '{}', which comes with samner, is taken", name.string(),
                 found.string());
    return found;
}

fs::path path_in_file(fs::path const& folder, fs::path const& name, std::string_view what, std::string_view place) {
    auto const path = plain(folder / name);
    if (folder.empty() || name.is_absolute() || is_there(path) || !is_there(name)) return path;
    throw InputError{
        fmt::format("{} is '{}', and '{}' is not there ({})", what, name.string(), path.string(), place),
        fmt::format("a path in a file is relative to that file, and this one is relative to the working folder: write "
                    "'{}'",
                    plain(name).lexically_relative(plain(folder)).string())};
}

}  // namespace samner
