#include "core/error.h"

#include <new>
#include <utility>

namespace samner {

Error::Error(std::string const& what, std::string remedy, ExitCode code)
    : std::runtime_error{what}, remedy_{std::move(remedy)}, code_{code} {}
InputError::InputError(std::string const& what, std::string remedy)
    : Error{what, std::move(remedy), ExitCode::bad_input} {}
StorageError::StorageError(std::string const& what, std::string remedy)
    : Error{what, std::move(remedy), ExitCode::storage} {}
InfrastructureError::InfrastructureError(std::string const& what, std::string remedy)
    : Error{what, std::move(remedy), ExitCode::infrastructure} {}
RunInUseError::RunInUseError(std::string const& what, std::string remedy)
    : Error{what, std::move(remedy), ExitCode::run_in_use} {}
Stopped::Stopped(std::string const& what, ExitCode code) : Error{what, "run the same command again to go on", code} {}

namespace {

template <class Visit>
void for_each_nested(std::exception const& error, Visit const& visit) {
    visit(error);
    try {
        std::rethrow_if_nested(error);
    } catch (std::exception const& nested) {
        for_each_nested(nested, visit);
    } catch (...) {
        visit(std::runtime_error{"unknown exception"});
    }
}

}  // namespace

std::string describe(std::exception const& error) {
    std::string message;
    std::string remedy;
    for_each_nested(error, [&](std::exception const& layer) {
        if (!message.empty()) message += ": ";
        message += layer.what();
        if (auto const* ours = dynamic_cast<Error const*>(&layer); ours && !ours->remedy().empty()) {
            remedy = ours->remedy();
        }
    });
    return remedy.empty() ? message : message + " — " + remedy;
}

ExitCode exit_code(std::exception const& error) {
    auto code = ExitCode::task_failed;
    for_each_nested(error, [&](std::exception const& layer) {
        if (auto const* ours = dynamic_cast<Error const*>(&layer); ours && ours->code() != ExitCode::task_failed) {
            code = ours->code();
        }
        // Not the task's fault: with less beside it, or on another node, it may fit.
        if (dynamic_cast<std::bad_alloc const*>(&layer)) code = ExitCode::infrastructure;
    });
    return code;
}

bool is_stop(std::exception const& error) {
    bool found = false;
    for_each_nested(
        error, [&](std::exception const& layer) { found = found || dynamic_cast<Stopped const*>(&layer) != nullptr; });
    return found;
}

}  // namespace samner
