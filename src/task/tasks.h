#pragma once

#include <string>
#include <vector>

#include "task/context.h"
#include "work/result.h"
#include "work/task.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// What a task leaves.
struct Done {
    std::string sha256;   ///< of its artifact
    work::Result result;  ///< what the run keeps of it
};

// One function a kind of task, each in a file of its own. Those with a team are collective calls of its ranks (null:
// this one alone), of which the first writes the artifact and returns what counts; the others are done by one rank.

Done do_task(work::Train const& task, std::string const& key, Context& context, comm::Comm const* team);
Done do_task(work::Cluster const& task, std::string const& key, Context& context);
Done do_task(work::Encode const& task, std::string const& key, Context& context);
Done do_task(work::Import const& task, std::string const& key, Context& context);
Done do_task(work::Infer const& task, std::string const& key, Context& context);
Done do_task(work::Select const& task, std::string const& key, Context& context);
Done do_task(work::Merge const& task, std::string const& key, Context& context, comm::Comm const* team);

/// Decodes infer tasks that differ in their adapter only in one batch, for the calls of do_task that follow. What fails
/// here is left to those calls, so that an adapter that cannot be read fails its own task alone.
void decode_ahead(std::vector<std::pair<std::string, work::Infer>> const& tasks, Context& context);

}  // namespace samner::task
