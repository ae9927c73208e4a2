#pragma once

#include <spdlog/spdlog.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace samner {

/// Sets up logging of this process: warnings and progress to stderr from rank 0 only, everything to `file` when it is
/// not empty. Use spdlog's functions (spdlog::info …) afterwards.
void start_logging(int rank, std::filesystem::path const& file = {});

enum class Verbosity { quiet, usual, verbose };

/// What this process says from now on, on stderr and in its log: warnings and errors alone; and what is done; and how
/// (spdlog::debug), with the time of day.
void set_verbosity(Verbosity verbosity);
bool is_quiet();

/// Shows a line below the log on stderr, in place of the one before: log lines go by above it whole. For terminals
/// only.
/// @param text  empty: takes the line away
void show_live_line(std::string text);

/// Columns of the terminal that stderr leads to; 0: to none, or to one that cannot rewrite a line. Also through a
/// launcher, which has a pipe between, where it says so (pass_terminal_on).
std::size_t terminal_columns();

/// Tells programs that are started after this of the terminal of this one, whose stderr reaches it.
void pass_terminal_on();

}  // namespace samner
