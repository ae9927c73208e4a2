#pragma once

#include <string>

namespace samner {

/// This machine's name.
std::string host_name();

/// The present time as `2025-01-31T12:00:00Z`.
std::string utc_now();

}  // namespace samner
