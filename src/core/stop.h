#pragma once

namespace samner {

/// Makes SIGINT, SIGTERM and SIGUSR1 ask for a clean stop. Handlers only set a flag.
void watch_signals();

/// The signal that asked for a stop, or 0.
int stop_signal() noexcept;

/// Asks for a stop as `signal` would (also when it came to another rank).
void request_stop(int signal) noexcept;

/// Forgets a stop (tests).
void clear_stop() noexcept;

/// To be called at safe points. @throws Stopped when a stop was asked for
void check_stop();

}  // namespace samner
