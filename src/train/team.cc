#include "train/team.h"

#include <fmt/format.h>

#include <exception>

#include "core/error.h"
#include "core/json.h"

namespace samner::train {

std::vector<std::string> together(Team const& team, std::function<std::string()> const& work) {
    if (team.size == 1) return {work()};
    std::string own = "+";  // or the failure as JSON
    std::exception_ptr failure;
    try {
        own += work();
    } catch (std::exception const& error) {
        failure = std::current_exception();
        own = Json{{"stopped", dynamic_cast<Stopped const*>(&error) != nullptr},
                   {"what", describe(error)},
                   {"code", static_cast<int>(exit_code(error))}}
                  .dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    auto results = team.all_gather(own);
    if (failure) std::rethrow_exception(failure);
    for (std::size_t rank = 0; rank < results.size(); ++rank) {
        auto& result = results[rank];
        if (result.starts_with('+')) {
            result.erase(0, 1);
            continue;
        }
        auto const told = Json::parse(result);
        auto const code = static_cast<ExitCode>(told.at("code").get<int>());
        auto const what = fmt::format("rank {}: {}", rank, told.at("what").get<std::string>());
        if (told.at("stopped").get<bool>()) throw Stopped{what, code};
        throw Error{what, {}, code};
    }
    return results;
}

}  // namespace samner::train
