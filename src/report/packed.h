#pragma once

#include <string>
#include <string_view>

namespace samner::report {

/// Bytes deflated (zlib, RFC 1950) and in base64 without line ends: what a page unpacks when it is asked to.
std::string packed(std::string_view bytes);

}  // namespace samner::report
