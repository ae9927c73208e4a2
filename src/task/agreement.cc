#include "task/agreement.h"

#include "comm/comm.h"
#include "core/gather_results.h"

namespace samner::task {

void on_all(comm::Comm const* ranks, std::function<void()> const& work) {
    bytes_of_all(ranks, [&] {
        work();
        return std::string{};
    });
}

std::vector<std::string> bytes_of_all(comm::Comm const* ranks, std::function<std::string()> const& work) {
    if (!ranks) return {work()};
    return gather_results(
        ranks->size(), [&](std::string_view bytes) { return ranks->all_gather(bytes); }, work);
}

}  // namespace samner::task
