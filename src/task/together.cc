#include "task/together.h"

#include <string>

#include "comm/comm.h"
#include "core/error.h"

namespace samner::task {
namespace {

Json told(std::exception const& error) {
    auto const* known = dynamic_cast<Error const*>(&error);
    return {{"error", error.what()},
            {"remedy", known ? known->remedy() : std::string{}},
            {"code", static_cast<int>(exit_code(error))}};
}

}  // namespace

std::vector<Json> do_together(comm::Comm const* ranks, std::function<Json()> const& work) {
    if (!ranks || ranks->size() == 1) return {work()};
    Json own;
    try {
        own = {{"result", work()}};
    } catch (std::exception const& error) {
        own = told(error);
    }
    auto const bytes = Json::to_cbor(own);
    std::vector<Json> results;
    for (auto const& each : ranks->all_gather({reinterpret_cast<char const*>(bytes.data()), bytes.size()})) {
        auto one = Json::from_cbor(each);
        if (one.contains("error"))
            throw Error{one["error"].get<std::string>(), one["remedy"].get<std::string>(),
                        static_cast<ExitCode>(one["code"].get<int>())};
        results.push_back(std::move(one["result"]));
    }
    return results;
}

}  // namespace samner::task
