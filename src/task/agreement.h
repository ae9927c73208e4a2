#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/fields.h"

namespace samner::comm {
class Comm;
}

namespace samner::task {

/// Does `work` on every rank (core/gather_results.h): what fails on one fails on all.
/// @param ranks  null: this process alone; else a collective call
void on_all(comm::Comm const* ranks, std::function<void()> const& work);

/// The same; gives each rank what all returned, in rank order.
std::vector<std::string> bytes_of_all(comm::Comm const* ranks, std::function<std::string()> const& work);

/// The same for values with a wire form (core/fields.h); NaN and infinity arrive as they are.
template <class T>
std::vector<T> gather_all(comm::Comm const* ranks, std::function<T()> const& work) {
    std::vector<T> values;
    for (auto const& bytes : bytes_of_all(ranks, [&] { return to_bytes(work()); }))
        values.push_back(from_bytes<T>(bytes, "value", "from another rank"));
    return values;
}

}  // namespace samner::task
