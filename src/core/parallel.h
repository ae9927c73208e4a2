#pragma once

#include <cstdint>
#include <functional>

namespace samner {

/// Sets how many threads this process computes with (at least 1). Call before work starts, from the main thread.
/// @throws InputError when the system does not start as many
void set_num_threads(int threads);
int num_threads() noexcept;

/// Calls `body(begin, end)` on disjoint pieces that cover [begin, end), on up to num_threads() threads, and waits.
/// Pieces hold at least `grain` items. Which thread does which piece, and where pieces are cut, must not matter to the
/// result. Nested calls run in the calling thread. What a body throws is thrown here.
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain,
                  std::function<void(std::int64_t, std::int64_t)> const& body);

}  // namespace samner
