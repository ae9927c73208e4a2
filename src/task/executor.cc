#include "task/executor.h"

#include <spdlog/spdlog.h>

#include "comm/comm.h"
#include "task/agreement.h"

namespace samner::task {

void Executor::load_base(comm::Comm const& ranks, bool for_training) {
    on_all(&ranks, [&] { context_.engine(); });  // what cannot be opened on one rank is given up by all
    context_.engine().load_together(ranks, for_training);
}

Done Executor::run(std::string const& key, work::Task const& task, comm::Comm const* team) {
    spdlog::debug("begins {} ({})", work::label_of(task), key);
    return std::visit(
        [&](auto const& one) -> Done {
            if constexpr (requires { do_task(one, key, context_, team); }) {
                return do_task(one, key, context_, team);
            } else {
                return team && team->rank() > 0 ? Done{} : do_task(one, key, context_);
            }
        },
        task);
}

void Executor::prepare(std::vector<std::pair<std::string, work::Task>> const& batch) {
    std::vector<std::pair<std::string, work::Infer>> evaluations;
    for (auto const& [key, task] : batch) {
        if (auto const* const infer = std::get_if<work::Infer>(&task)) evaluations.emplace_back(key, *infer);
    }
    decode_ahead(evaluations, context_);
}

}  // namespace samner::task
