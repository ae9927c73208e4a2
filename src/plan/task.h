#pragma once

#include <string>
#include <vector>

#include "core/json.h"

namespace samner::plan {

/// One piece of work of the graph. Equal work has equal keys; a task may start when all of `after` are finished.
struct Task {
    std::string key;                 ///< 64 lower-case hex digits
    std::string kind;                ///< train, encode, infer, select or merge
    Json payload;                    ///< all that the worker needs beside the artifacts of `after`
    std::vector<std::string> after;  ///< keys of tasks
    double cost = 0;                 ///< expected seconds on one rank
    int width = 1;                   ///< the most ranks that can work on it together
    std::string batch = {};          ///< tasks that share it, where it is not empty, can be done at once by one rank
};

}  // namespace samner::plan
