#include "core/gather_results.h"

#include <fmt/format.h>

#include <exception>

#include "core/error.h"
#include "core/json.h"

namespace samner {

std::vector<std::string> gather_results(int ranks, AllGather const& all_gather,
                                        std::function<std::string()> const& work) {
    if (ranks == 1) return {work()};
    std::string own = "+";  // or the failure as JSON
    std::exception_ptr failure;
    try {
        own += work();
    } catch (std::exception const& error) {
        failure = std::current_exception();
        own = to_text(
            Json{{"stopped", is_stop(error)}, {"what", describe(error)}, {"code", static_cast<int>(exit_code(error))}});
    }
    auto results = all_gather(own);
    if (failure) std::rethrow_exception(failure);
    for (std::size_t rank = 0; rank < results.size(); ++rank) {
        auto& result = results[rank];
        if (result.starts_with('+')) {
            result.erase(0, 1);
            continue;
        }
        auto const failed = Json::parse(result);
        auto const code = static_cast<ExitCode>(failed.at("code").get<int>());
        auto const what = fmt::format("rank {}: {}", rank, failed.at("what").get<std::string>());
        if (failed.at("stopped").get<bool>()) throw Stopped{what, code};
        throw Error{what, {}, code};
    }
    return results;
}

}  // namespace samner
