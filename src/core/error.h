#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace samner {

/// Exit codes of the program, as scripts rely on them.
enum class ExitCode : int {
    done = 0,
    task_failed = 1,      ///< a task failed, the rest is complete and stored
    bad_input = 2,        ///< the command or a file it was given is wrong; nothing was run
    infrastructure = 70,  ///< a rank or node fell silent
    run_in_use = 73,      ///< another live run holds the run folder
    storage = 74,         ///< storage failed
    stopped = 75,         ///< stopped cleanly on a signal or by walltime: run again to go on
    no_progress = 93,     ///< no progress in repeated restarts: do not restart
    interrupted = 130,    ///< Ctrl-C, also a clean stop
};

/// What went wrong, with the values and the place, and what to do about it. Prints as `WHAT — REMEDY`.
class Error : public std::runtime_error {
public:
    explicit Error(std::string const& what, std::string remedy = {}, ExitCode code = ExitCode::task_failed);

    std::string const& remedy() const noexcept { return remedy_; }
    ExitCode code() const noexcept { return code_; }

private:
    std::string remedy_;
    ExitCode code_;
};

/// A command, file or value that a user gave is wrong: exit code 2.
struct InputError : Error {
    explicit InputError(std::string const& what, std::string remedy = {});
};

/// The file system failed (full, unwritable, read error): exit code 74.
struct StorageError : Error {
    explicit StorageError(std::string const& what, std::string remedy = {});
};

/// Another process or a node is gone or does not answer: exit code 70.
struct InfrastructureError : Error {
    explicit InfrastructureError(std::string const& what, std::string remedy = {});
};

/// The run folder is held by another live run: exit code 73.
struct RunInUseError : Error {
    explicit RunInUseError(std::string const& what, std::string remedy = {});
};

/// A clean stop that was asked for by a signal or by the walltime: exit code 75, or 130 for Ctrl-C.
struct Stopped : Error {
    explicit Stopped(std::string const& what, ExitCode code = ExitCode::stopped);
};

/// The message of an exception and of all that are nested in it, outermost first, joined by ": "; the innermost remedy
/// closes it after " — ".
std::string describe(std::exception const& error);

/// The exit code of an exception: that of the innermost Error, else `task_failed`.
ExitCode exit_code(std::exception const& error);

/// Whether a clean stop is what an exception is or wraps.
bool is_stop(std::exception const& error);

}  // namespace samner
