#include "comm/nccl.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <thread>
#include <type_traits>

#include "core/error.h"

namespace samner::comm {
namespace {

using Clock = std::chrono::steady_clock;

void check_cuda(cudaError_t code, std::string_view call) {
    if (code != cudaSuccess) throw InfrastructureError{fmt::format("{} failed: {}", call, cudaGetErrorString(code))};
}

void check_nccl(ncclResult_t code, std::string_view call) {
    if (code != ncclSuccess && code != ncclInProgress)
        throw InfrastructureError{fmt::format("{} failed: {}", call, ncclGetErrorString(code)),
                                  "see the log of the rank that went first; NCCL_DEBUG=INFO says more"};
}

struct Abort {
    void operator()(ncclComm_t comm) const noexcept { ncclCommAbort(comm); }
};
using Handle = std::unique_ptr<std::remove_pointer_t<ncclComm_t>, Abort>;

struct DestroyStream {
    void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, DestroyStream>;

struct FreeDevice {
    void operator()(std::byte* memory) const noexcept { cudaFree(memory); }
};

/// Memory of the device that what comes from a host, or goes to one, passes through.
struct Staging {
    std::unique_ptr<std::byte, FreeDevice> data;
    std::size_t size = 0;
};

/// Names a device among those of all machines.
std::string name_of(int device) {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    return {properties.uuid.bytes, sizeof properties.uuid.bytes};
}

}  // namespace

struct DeviceComm::Impl {
    int device;
    int rank;
    std::chrono::milliseconds timeout;
    Handle handle;
    Stream stream;
    Staging staging;

    /// Waits until `is_done` says so, watching for errors of other ranks.
    template <class Done>
    void wait(std::string_view call, Done const& is_done) const {
        auto const start = Clock::now();
        for (;;) {
            auto state = ncclSuccess;
            check_nccl(ncclCommGetAsyncError(handle.get(), &state), "ncclCommGetAsyncError");
            check_nccl(state, call);
            if (is_done(state)) return;
            if (Clock::now() - start > timeout)
                throw InfrastructureError{
                    fmt::format("{} was not done after {} s", call,
                                std::chrono::duration_cast<std::chrono::seconds>(timeout).count()),
                    "see whether a rank is gone"};
            std::this_thread::sleep_for(std::chrono::microseconds{20});
        }
    }

    void wait_for_start(std::string_view call) const {
        wait(call, [](ncclResult_t state) { return state == ncclSuccess; });
    }

    void wait_for_stream(std::string_view call) const {
        wait_for_start(call);
        wait(call, [&](ncclResult_t) {
            auto const code = cudaStreamQuery(stream.get());
            if (code != cudaErrorNotReady) check_cuda(code, call);
            return code == cudaSuccess;
        });
    }

    /// What was started on this device before has to be done first; what comes after finds the result.
    void begin() const {
        check_cuda(cudaSetDevice(device), "cudaSetDevice");
        check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    }
};

int visible_devices() {
    int devices = 0;
    return cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}

std::string device_of_rank(std::string const& device, int local_rank) {
    auto const devices = visible_devices();
    if (device != "cuda" || devices == 0) return device;
    return fmt::format("cuda:{}", local_rank % devices);
}

std::string exchange_obstacle() {
    return visible_devices() == 0 ? "CUDA finds no device" : "";
}

DeviceComm::DeviceComm(Comm const& ranks, int device, std::chrono::milliseconds timeout)
    : impl_{new Impl{device, ranks.rank(), timeout, nullptr, nullptr, {}}} {
    check_cuda(cudaSetDevice(device), "cudaSetDevice");
    ncclUniqueId id;
    std::memset(&id, 0, sizeof id);
    if (ranks.rank() == 0) check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    ranks.broadcast(std::as_writable_bytes(std::span{&id, 1}), 0);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t handle = nullptr;
    auto const code = ncclCommInitRankConfig(&handle, ranks.size(), id, ranks.rank(), &config);
    impl_->handle.reset(handle);
    check_nccl(code, "ncclCommInitRankConfig");
    impl_->wait_for_start("ncclCommInitRankConfig");
    cudaStream_t stream = nullptr;
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    impl_->stream.reset(stream);
}
DeviceComm::~DeviceComm() = default;

void DeviceComm::broadcast(void* data, std::size_t bytes, int root) const {
    impl_->begin();
    check_nccl(ncclBroadcast(data, data, bytes, ncclChar, root, impl_->handle.get(), impl_->stream.get()),
               "ncclBroadcast");
    impl_->wait_for_stream("ncclBroadcast");
}

void DeviceComm::broadcast_host(std::span<std::byte> bytes, int root) const {
    if (bytes.empty()) return;
    auto& staging = impl_->staging;
    check_cuda(cudaSetDevice(impl_->device), "cudaSetDevice");
    if (staging.size < bytes.size()) {
        staging = {};
        void* memory = nullptr;
        check_cuda(cudaMalloc(&memory, bytes.size()), "cudaMalloc");
        staging.data.reset(static_cast<std::byte*>(memory));
        staging.size = bytes.size();
    }
    if (impl_->rank == root)
        check_cuda(cudaMemcpy(staging.data.get(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    broadcast(staging.data.get(), bytes.size(), root);
    if (impl_->rank != root)
        check_cuda(cudaMemcpy(bytes.data(), staging.data.get(), bytes.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
}

void DeviceComm::sum(float* values, std::size_t count) const {
    impl_->begin();
    check_nccl(ncclAllReduce(values, values, count, ncclFloat, ncclSum, impl_->handle.get(), impl_->stream.get()),
               "ncclAllReduce");
    impl_->wait_for_stream("ncclAllReduce");
}

void DeviceComm::finish() {
    check_nccl(ncclCommFinalize(impl_->handle.get()), "ncclCommFinalize");
    impl_->wait_for_start("ncclCommFinalize");
    check_nccl(ncclCommDestroy(impl_->handle.release()), "ncclCommDestroy");
}

std::unique_ptr<DeviceComm> connect_devices(Comm const& ranks, std::string const& device) {
    if (!device.starts_with("cuda")) return nullptr;
    auto const colon = device.find(':');
    auto const index = colon == std::string::npos ? 0 : std::stoi(device.substr(colon + 1));
    auto names = ranks.all_gather(name_of(index));
    std::ranges::sort(names);
    bool const distinct = std::ranges::adjacent_find(names) == names.end();
    if (ranks.rank() == 0) {
        spdlog::info("{} ranks exchange {}", ranks.size(),
                     distinct ? "between their devices by NCCL" : "through host memory by MPI: some share a device");
    }
    return distinct ? std::make_unique<DeviceComm>(ranks, index) : nullptr;
}

}  // namespace samner::comm
