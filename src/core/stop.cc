#include "core/stop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/file.h"

namespace samner {
namespace {

std::atomic<int> requested{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

enum class End { none, by_itself, at_once };
std::atomic<End> who_ends{End::none};
std::atomic<bool> is_silent{false};

/// @return whether the process is left to the caller to end
bool takes_the_end(End who) noexcept {
    auto nobody = End::none;
    return who_ends.compare_exchange_strong(nobody, who) || nobody == who;
}

[[noreturn]] void end_at_once() {
    remove_unfinished();
    int code = 0;
    std::string message;
    try {
        check_stop();
    } catch (Stopped const& stopped) {
        code = static_cast<int>(stopped.code());
        message = fmt::format("error: {}\n", describe(stopped));
    }
    // Not by streams: whoever holds their locks may never let go.
    if (!is_silent && ::write(STDERR_FILENO, message.data(), message.size()) < 0) message.clear();
    ::_exit(code);
}

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

void end_when_stopped() {
    using namespace std::chrono_literals;
    std::thread{[] {
        while (stop_signal() == 0) std::this_thread::sleep_for(50ms);
        std::this_thread::sleep_for(400ms);
        if (takes_the_end(End::at_once)) end_at_once();
    }}.detach();
}

void say_nothing_of_stops() noexcept {
    is_silent = true;
}

void end_by_oneself() noexcept {
    while (!takes_the_end(End::by_itself)) ::pause();
}

}  // namespace samner
