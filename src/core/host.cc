#include "core/host.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <ctime>

namespace samner {

std::string host_name() {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
}

std::string utc_now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

}  // namespace samner
