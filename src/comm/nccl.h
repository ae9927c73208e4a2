#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "comm/comm.h"

namespace samner::comm {

/// CUDA devices that this process sees; 0 in a build without CUDA and where there is no driver.
int visible_devices();

/// The device of a rank: `cuda` is the rank's number on its node modulo the visible devices, anything else stays.
std::string device_of_rank(std::string const& device, int local_rank);

/// Why this build cannot exchange between devices; empty where it can. Says nothing of the ranks.
std::string exchange_obstacle();

/// A communicator between the devices of ranks (NCCL). Failures are InfrastructureErrors. When it is destroyed without
/// `finish`, as by unwinding, it is aborted, so that nobody waits for a rank that never comes.
class DeviceComm {
public:
    /// Collective over the ranks. @param device  index of this rank's
    /// @param timeout  for the connection, and for each wait
    /// @throws InputError in a build without NCCL
    DeviceComm(Comm const& ranks, int device, std::chrono::milliseconds timeout = std::chrono::minutes{5});
    DeviceComm(DeviceComm const&) = delete;
    DeviceComm& operator=(DeviceComm const&) = delete;
    ~DeviceComm();

    /// Gives every rank root's bytes. Pointers are to the device's memory; the call returns when it is done.
    void broadcast(void* data, std::size_t bytes, int root) const;
    /// The same for bytes in the host's memory, which go from device to device.
    void broadcast_host(std::span<std::byte> bytes, int root) const;
    /// Adds up over the ranks, in place. The order is NCCL's: the bits can differ from those of Comm::tree_sum and
    /// depend on the number of ranks.
    void sum(float* values, std::size_t count) const;

    void finish();  ///< collective; nothing can be exchanged afterwards

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A communicator between the devices of `ranks` where each rank has a device of its own, and null (said in the log)
/// where it has not, or on the CPU: the exchange then goes through host memory by MPI. Collective.
/// @param device  "cpu" or "cuda:INDEX"
std::unique_ptr<DeviceComm> connect_devices(Comm const& ranks, std::string const& device);

}  // namespace samner::comm
