#include <fmt/format.h>

#include "core/error.h"
#include "task/tasks.h"
#include "weights/adapter.h"

namespace samner::task {

Done do_task(work::Import const& task, std::string const& key, Context& context) {
    auto const hash = context.artifacts().commit(key, [&](std::filesystem::path const& out) {
        weights::copy_adapter(task.folder, out);
        if (weights::adapter_hash(out) != task.sha256) {
            throw InputError{fmt::format("the adapter '{}' has changed since this run was planned", task.folder),
                             "run the same command again: it plans with what is there now"};
        }
    });
    return {hash, work::Imported{std::ssize(weights::AdapterFile{context.artifacts().path(key)}.modules())}};
}

}  // namespace samner::task
