#include "core/stop.h"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstring>

#include "core/error.h"

namespace samner {
namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

}  // namespace

void request_stop(int signal) noexcept {
    int none = 0;
    requested.compare_exchange_strong(none, signal);
}

void clear_stop() noexcept {
    requested.store(0);
}

int stop_signal() noexcept {
    return requested.load();
}

void watch_signals() {
    struct sigaction action {};
    action.sa_handler = [](int signal) { request_stop(signal); };
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (int const signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
}

void check_stop() {
    if (int const signal = stop_signal(); signal != 0) {
        throw Stopped{fmt::format("stopped on signal {} ({})", signal, strsignal(signal)),
                      signal == SIGINT ? ExitCode::interrupted : ExitCode::stopped};
    }
}

}  // namespace samner
