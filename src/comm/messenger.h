#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "comm/comm.h"

namespace samner::comm {

struct MessengerOptions {
    std::chrono::milliseconds heartbeat{10'000};  ///< at least one message in this time, both ways
    std::chrono::milliseconds silence{90'000};    ///< a partner silent for longer is lost
    std::size_t slice = std::size_t{1} << 26;     ///< bytes in one MPI message; longer ones are cut
    /// Called once from the messenger's thread when a partner is lost. Unset: says so and ends the job with code 70,
    /// for the main thread may be deep in a task or wait in a collective for the rank that is gone.
    std::function<void(std::string const& what)> on_lost = {};
};

/// Messages between rank 0 and every other rank (not among those), in order per pair, of any size.
/// One thread of its own makes all MPI calls on the communicator (MPI_Iprobe and sleeps of at most 0.5 ms, sends that
/// do not wait): heartbeats go on while the main thread is in a long task, and no send can deadlock.
class Messenger {
public:
    Messenger(Comm const& control, MessengerOptions options = {});
    Messenger(Messenger const&) = delete;
    Messenger& operator=(Messenger const&) = delete;
    ~Messenger();  ///< without a close before it, messages under way are lost

    /// @param rank  0, or on rank 0 any other @throws InfrastructureError when a partner was lost
    void send(int rank, std::string message);

    /// The next message and who sent it, if there is one; waits up to `wait` for it.
    /// @throws InfrastructureError when a partner was lost
    std::optional<std::pair<int, std::string>> poll(std::chrono::milliseconds wait = {});

    /// Sees each message first, in the messenger's thread; true means taken. For what must not wait for the main
    /// thread.
    void intercept(std::function<bool(int, std::string const&)> handler);

    /// Collective: delivers what was sent on all sides and stops. Messages not polled by then are dropped.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace samner::comm
