#include "comm/nccl.h"
#include "core/error.h"

namespace samner::comm {

struct DeviceComm::Impl {};

int visible_devices() {
    return 0;
}

std::string device_of_rank(std::string const& device, int /*local_rank*/) {
    return device;
}

std::string exchange_obstacle() {
    return "this build has no NCCL";
}

DeviceComm::DeviceComm(Comm const& /*ranks*/, int /*device*/, std::chrono::milliseconds /*timeout*/) {
    throw InputError{"an exchange between devices, and this build has no NCCL",
                     "use the CPU, or build with ./bootstrap --cuda"};
}
DeviceComm::~DeviceComm() = default;

// No object ever exists.
void DeviceComm::broadcast(void* /*data*/, std::size_t /*bytes*/, int /*root*/) const {}
void DeviceComm::broadcast_host(std::span<std::byte> /*bytes*/, int /*root*/) const {}
void DeviceComm::sum(float* /*values*/, std::size_t /*count*/) const {}
void DeviceComm::finish() {}

std::unique_ptr<DeviceComm> connect_devices(Comm const& /*ranks*/, std::string const& /*device*/) {
    return nullptr;
}

}  // namespace samner::comm
