#include "task/together.h"

#include <string>

#include "comm/comm.h"
#include "core/together.h"

namespace samner::task {

std::vector<Json> do_together(comm::Comm const* ranks, std::function<Json()> const& work) {
    if (!ranks || ranks->size() == 1) return {work()};
    auto const all_gather = [&](std::string_view bytes) { return ranks->all_gather(bytes); };
    auto const packed = [&] {  // as CBOR, which keeps NaN and infinity
        std::string bytes;
        Json::to_cbor(work(), bytes);
        return bytes;
    };
    std::vector<Json> results;
    for (auto const& bytes : together(ranks->size(), all_gather, packed)) results.push_back(Json::from_cbor(bytes));
    return results;
}

}  // namespace samner::task
