#include "app/ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "app/launch.h"
#include "comm/comm.h"
#include "core/log.h"
#include "core/stop.h"

namespace samner::app {

ExitCode on_ranks(int start, Alone alone, std::function<ExitCode(comm::Session*)> const& work) {
    if (start > 0) return static_cast<ExitCode>(launch_ranks(start));
    if (alone == Alone::without_mpi && !is_launched_as_rank()) return work(nullptr);
    int argc = 0;
    char** argv = nullptr;
    comm::Session session{argc, argv};
    if (session.rank() != 0) {
        start_logging(session.rank());
        say_nothing_of_stops();
    }
    ExitCode code = ExitCode::done;
    std::exception_ptr failure;
    std::string message;
    try {
        code = work(&session);
    } catch (std::exception const& error) {
        failure = std::current_exception();
        code = exit_code(error);
        message = describe(error);
    }
    auto const say = [&] { fmt::print(stderr, "error: rank {}: {}\n", session.rank(), message); };
    if (session.size() > 1) {
        constexpr int failed = 256;
        constexpr std::chrono::seconds grace{5};  // in which ranks that fail of one cause all come here
        auto const all = failure ? session.control().all_gather_within(static_cast<int>(code) + failed, grace)
                                 : session.control().all_gather_within(static_cast<int>(code), std::nullopt);
        if (!all) {
            say();
            comm::Session::abort(static_cast<int>(code));
        }
        auto const first = std::ranges::find_if(*all, [](int told) { return told >= failed; });
        if (first != all->end()) {
            code = static_cast<ExitCode>(*first - failed);
            if (first - all->begin() == session.rank() && session.rank() > 0) say();
        }
    }
    if (failure && session.rank() == 0) std::rethrow_exception(failure);
    return code;
}

}  // namespace samner::app
