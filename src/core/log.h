#pragma once

#include <spdlog/spdlog.h>

#include <filesystem>
#include <string>

namespace samner {

/// Sets up logging of this process: warnings and progress to stderr from rank 0 only, everything to `file` when it is
/// not empty. Use spdlog's functions (spdlog::info …) afterwards.
void start_logging(int rank, std::filesystem::path const& file = {});

}  // namespace samner
