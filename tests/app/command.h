#pragma once

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace samner {

struct CommandResult {
    int code;
    std::string output;  ///< stdout and stderr together
};

/// Runs a shell command in the source folder.
inline CommandResult run_command(std::string const& command) {
    auto const line = fmt::format("cd '{}' && {{ {}; }} 2>&1", SAMNER_SOURCE_DIR, command);
    auto* const pipe = ::popen(line.c_str(), "r");
    if (!pipe) throw std::runtime_error{"popen failed"};
    CommandResult result{0, {}};
    char buffer[4096];
    while (auto const count = std::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, count);
    auto const status = ::pclose(pipe);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

/// Runs samner itself.
inline CommandResult samner_command(std::string const& arguments) {
    return run_command(std::string{SAMNER_BINARY} + " " + arguments);
}

}  // namespace samner
