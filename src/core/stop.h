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

/// For work that is not kept when it is stopped: from now on, when a stop was asked for and the process has not ended
/// by itself soon after, it ends wherever it is, with the message and the exit code of Stopped. What is unfinished
/// (core/file.h) is removed.
void end_when_stopped();

/// Of several processes that do that together, one tells of it.
void say_nothing_of_stops() noexcept;

/// To be called by what ends by itself, before it does: it is not interrupted any more.
void end_by_oneself() noexcept;

}  // namespace samner
