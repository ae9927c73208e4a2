#pragma once

#include <string>

namespace samner {

/// This machine's name.
std::string host_name();

/// The present time as `2025-01-31T12:00:00Z`.
std::string utc_now();

/// The present time in seconds since 1970 (UTC).
double seconds_since_1970();

}  // namespace samner
