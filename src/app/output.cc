#include "app/output.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>

namespace samner::app {

void Output::check_folder() const {
    constexpr auto marks = std::to_array<std::string_view>({"adapter_config.json", "config.json"});
    check_output_folder(path, existing(), marks);
}

void add_overwrite_option(CLI::App& verb, bool& overwrite) {
    verb.add_flag("--overwrite", overwrite, "replace what is there; without this it is refused before any work");
}

void add_output_options(CLI::App& verb, Output& output, std::string const& help) {
    verb.add_option("--out", output.path, help)->required();
    add_overwrite_option(verb, output.overwrite);
}

void say_written(std::filesystem::path const& path, std::string_view what) {
    spdlog::info("wrote {}: {}", path.string(), what);
}

std::string counted(std::size_t number, std::string_view word) {
    return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
}

}  // namespace samner::app
