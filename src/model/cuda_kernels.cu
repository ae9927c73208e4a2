#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "core/error.h"
#include "model/cuda_kernels.h"
#include "model/device_math.h"

namespace samner::model::device {
namespace {

constexpr int warp = 32;
constexpr int row_threads = 256;          // for one row of activations
constexpr int vocabulary_threads = 1024;  // for one row of logits
constexpr int attend_threads = 128;       // for one row and head of keys
constexpr std::int64_t most_blocks = 8192;

/// The threads of a block as lanes of device_math.h.
class Block {
public:
    __device__ int lane() const { return static_cast<int>(threadIdx.x); }
    __device__ int lanes() const { return static_cast<int>(blockDim.x); }
    __device__ void barrier() const { __syncthreads(); }
    __device__ float sum(float x) const {
        return reduce(x, 0.0F, [](float a, float b) { return a + b; });
    }
    __device__ float max(float x) const {
        return reduce(x, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
    }
    __device__ std::int32_t min(std::int32_t x) const {
        return reduce(x, INT32_MAX, [](std::int32_t a, std::int32_t b) { return a < b ? a : b; });
    }

private:
    /// Blocks are whole warps.
    template <class T, class Combine>
    __device__ static T reduce(T x, T neutral, Combine const& combine) {
        __shared__ T parts[warp];
        for (int offset = warp / 2; offset > 0; offset /= 2) x = combine(x, __shfl_xor_sync(0xFFFFFFFFU, x, offset));
        __syncthreads();  // the parts of the last reduction have been read
        if (threadIdx.x % warp == 0) parts[threadIdx.x / warp] = x;
        __syncthreads();
        x = threadIdx.x % warp < blockDim.x / warp ? parts[threadIdx.x % warp] : neutral;
        for (int offset = warp / 2; offset > 0; offset /= 2) x = combine(x, __shfl_xor_sync(0xFFFFFFFFU, x, offset));
        return x;
    }
};

template <class T, int width>
__global__ void rms_norm_kernel(T const* addend, T* x, T const* weight, float eps, std::int64_t n, T* y) {
    auto const row = blockIdx.x * n;
    rms_norm_row<width>(Block{}, addend ? addend + row : nullptr, x + row, weight, n, eps, y + row);
}

template <class T, int width>
__global__ void rms_norm_backward_kernel(T const* x, T const* weight, float eps, T const* dy, std::int64_t n, T* dx,
                                         bool accumulate) {
    auto const row = blockIdx.x * n;
    rms_norm_backward_row<width>(Block{}, x + row, weight, dy + row, n, eps, dx + row, accumulate);
}

template <class T>
__global__ void rope_kernel(T* x, std::int32_t const* positions, int heads, std::int64_t half, float const* cos,
                            float const* sin, float sign) {
    auto const table = positions[blockIdx.x] * half;
    auto* const row = x + blockIdx.x * heads * 2 * half;
    for (auto i = std::int64_t{threadIdx.x}; i < heads * half; i += blockDim.x) {
        auto const pair = i % half;
        rope_pair(row + i / half * 2 * half, pair, half, cos[table + pair], sin[table + pair], sign);
    }
}

template <class T, int width>
__global__ void swiglu_kernel(T const* gate, T const* up, T* out, std::int64_t packs) {
    for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs;
         i += std::int64_t{gridDim.x} * blockDim.x)
        store(swiglu(load<width>(gate, i), load<width>(up, i)), out, i);
}

template <class T, int width>
__global__ void swiglu_backward_kernel(T const* gate, T const* up, T const* d_out, T* d_gate, T* d_up,
                                       std::int64_t packs) {
    for (auto i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs;
         i += std::int64_t{gridDim.x} * blockDim.x) {
        Pack<T, width> gate_gradient;
        Pack<T, width> up_gradient;
        swiglu_backward(load<width>(gate, i), load<width>(up, i), load<width>(d_out, i), gate_gradient, up_gradient);
        store(gate_gradient, d_gate, i);
        store(up_gradient, d_up, i);
    }
}

template <class T>
__global__ void dropout_kernel(std::uint64_t key, std::uint32_t const* rows_of, kernel::DropoutRule rule, T const* x,
                               std::int64_t n, T* y, bool accumulate) {
    auto const row = blockIdx.x * n;
    for (auto i = std::int64_t{threadIdx.x}; i < (n + 7) / 8; i += blockDim.x)
        drop_eight(key, rows_of + 3 * blockIdx.x, rule.threshold, rule.scale, i, x + row, n, y + row, accumulate);
}

template <class T, int width>
__global__ void cross_entropy_kernel(T* logits, std::int32_t const* targets, std::int64_t n, float* loss) {
    auto const value = cross_entropy_row<width>(Block{}, logits + blockIdx.x * n, n, targets[blockIdx.x]);
    if (threadIdx.x == 0) loss[blockIdx.x] = value;
}

template <class T, int width>
__global__ void argmax_kernel(T const* logits, std::int64_t n, std::int32_t* best) {
    auto const index = argmax_row<width>(Block{}, logits + blockIdx.x * n, n);
    if (threadIdx.x == 0) best[blockIdx.x] = index;
}

template <class T, int width>
__global__ void store_kv_kernel(T const* k, T const* v, std::int32_t const* places, std::int64_t packs, T* keys,
                                T* values) {
    auto const from = blockIdx.x * packs;
    auto const to = places[blockIdx.x] * packs;
    for (auto i = std::int64_t{threadIdx.x}; i < packs; i += blockDim.x) {
        store(load<width>(k, from + i), keys, to + i);
        store(load<width>(v, from + i), values, to + i);
    }
}

template <class T, int width>
__global__ void attend_kernel(AttendShape shape, Cache<T> cache, std::int32_t const* blocks, std::int64_t blocks_a_row,
                              std::int32_t const* lengths, std::int32_t start, T const* before, float const* log_sums,
                              T const* q, T* out) {
    extern __shared__ float scratch[];
    auto const row = std::int64_t{blockIdx.x};
    auto const head = static_cast<int>(blockIdx.y);
    auto const offset = (row * shape.kv_heads + head) * shape.group * shape.head_dim;
    auto const rows = std::int64_t{gridDim.x};
    Before<T> const earlier{before ? before + offset : nullptr,
                            log_sums ? log_sums + head * shape.group * rows + row : nullptr, rows};
    attend_row<width>(Block{}, shape, cache, head, blocks + row * blocks_a_row, start, lengths[row], earlier,
                      q + offset, out + offset, scratch);
}

void check(cudaError_t code, char const* kernel) {
    if (code == cudaSuccess) return;
    throw InfrastructureError{std::string{"CUDA kernel "} + kernel + " failed: " + cudaGetErrorString(code),
                              "look at the device with nvidia-smi, or compute with --device cpu"};
}

bool aligned(std::initializer_list<void const*> pointers) {
    return std::ranges::all_of(pointers,
                               [](void const* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; });
}

/// Calls body.operator()<T, width>() with the precision's numbers, 16 bytes of them at once where rows of n allow it.
template <class Body>
void dispatch(Queue const& queue, std::int64_t n, std::initializer_list<void const*> pointers, char const* kernel,
              Body const& body) {
    auto const with = [&]<class T>() {
        constexpr int most = 16 / sizeof(T);
        if (n % most == 0 && aligned(pointers)) {
            body.template operator()<T, most>();
        } else {
            body.template operator()<T, 1>();
        }
    };
    if (queue.precision == Precision::bf16) {
        with.template operator()<Bf16>();
    } else {
        with.template operator()<float>();
    }
    check(cudaGetLastError(), kernel);
}

template <class T>
T const* as(void const* pointer) {
    return static_cast<T const*>(pointer);
}
template <class T>
T* as(void* pointer) {
    return static_cast<T*>(pointer);
}

unsigned grid(std::int64_t count) {
    return static_cast<unsigned>(count);
}
unsigned grid_for(std::int64_t items) {
    return grid(std::clamp<std::int64_t>((items + row_threads - 1) / row_threads, 1, most_blocks));
}

}  // namespace

void rms_norm(Queue const& queue, void const* addend, void* x, void const* weight, float eps, std::int64_t rows,
              std::int64_t n, void* y) {
    if (rows == 0) return;
    dispatch(queue, n, {addend, x, weight, y}, "rms_norm", [&]<class T, int width>() {
        rms_norm_kernel<T, width>
            <<<grid(rows), row_threads, 0, queue.stream>>>(as<T>(addend), as<T>(x), as<T>(weight), eps, n, as<T>(y));
    });
}

void rms_norm_backward(Queue const& queue, void const* x, void const* weight, float eps, void const* dy,
                       std::int64_t rows, std::int64_t n, void* dx, bool accumulate) {
    if (rows == 0) return;
    dispatch(queue, n, {x, weight, dy, dx}, "rms_norm_backward", [&]<class T, int width>() {
        rms_norm_backward_kernel<T, width><<<grid(rows), row_threads, 0, queue.stream>>>(
            as<T>(x), as<T>(weight), eps, as<T>(dy), n, as<T>(dx), accumulate);
    });
}

void rope(Queue const& queue, void* x, std::int32_t const* positions, std::int64_t rows, int heads, std::int64_t half,
          float const* cos, float const* sin, bool inverse) {
    if (rows == 0) return;
    dispatch(queue, 1, {}, "rope", [&]<class T, int>() {
        rope_kernel<T><<<grid(rows), row_threads, 0, queue.stream>>>(as<T>(x), positions, heads, half, cos, sin,
                                                                     inverse ? -1.0F : 1.0F);
    });
}

void swiglu(Queue const& queue, void const* gate, void const* up, void* out, std::int64_t count) {
    if (count == 0) return;
    dispatch(queue, count, {gate, up, out}, "swiglu", [&]<class T, int width>() {
        swiglu_kernel<T, width><<<grid_for(count / width), row_threads, 0, queue.stream>>>(as<T>(gate), as<T>(up),
                                                                                           as<T>(out), count / width);
    });
}

void swiglu_backward(Queue const& queue, void const* gate, void const* up, void const* d_out, void* d_gate, void* d_up,
                     std::int64_t count) {
    if (count == 0) return;
    dispatch(queue, count, {gate, up, d_out, d_gate, d_up}, "swiglu_backward", [&]<class T, int width>() {
        swiglu_backward_kernel<T, width><<<grid_for(count / width), row_threads, 0, queue.stream>>>(
            as<T>(gate), as<T>(up), as<T>(d_out), as<T>(d_gate), as<T>(d_up), count / width);
    });
}

void dropout(Queue const& queue, std::uint64_t key, std::uint32_t const* rows_of, kernel::DropoutRule const& rule,
             void const* x, std::int64_t rows, std::int64_t n, void* y, bool accumulate) {
    if (rows == 0) return;
    dispatch(queue, 1, {}, "dropout", [&]<class T, int>() {
        dropout_kernel<T>
            <<<grid(rows), row_threads, 0, queue.stream>>>(key, rows_of, rule, as<T>(x), n, as<T>(y), accumulate);
    });
}

void cross_entropy(Queue const& queue, void* logits, std::int32_t const* targets, std::int64_t rows, std::int64_t n,
                   float* loss) {
    if (rows == 0) return;
    dispatch(queue, n, {logits}, "cross_entropy", [&]<class T, int width>() {
        cross_entropy_kernel<T, width>
            <<<grid(rows), vocabulary_threads, 0, queue.stream>>>(as<T>(logits), targets, n, loss);
    });
}

void argmax(Queue const& queue, void const* logits, std::int64_t rows, std::int64_t n, std::int32_t* best) {
    if (rows == 0) return;
    dispatch(queue, n, {logits}, "argmax", [&]<class T, int width>() {
        argmax_kernel<T, width><<<grid(rows), vocabulary_threads, 0, queue.stream>>>(as<T>(logits), n, best);
    });
}

void store_kv(Queue const& queue, void const* k, void const* v, std::int32_t const* places, std::int64_t rows,
              std::int64_t width, void* keys, void* values) {
    if (rows == 0) return;
    dispatch(queue, width, {k, v, keys, values}, "store_kv", [&]<class T, int pack>() {
        store_kv_kernel<T, pack><<<grid(rows), attend_threads, 0, queue.stream>>>(
            as<T>(k), as<T>(v), places, width / pack, as<T>(keys), as<T>(values));
    });
}

void attend(Queue const& queue, kernel::AttentionShape const& shape, void const* keys, void const* values,
            std::int32_t const* blocks, std::int64_t blocks_a_row, std::int32_t const* lengths, std::int64_t rows,
            std::int32_t start, void const* before, float const* log_sums, void const* q, void* out) {
    if (rows == 0) return;
    AttendShape const heads{static_cast<int>(shape.heads / shape.kv_heads), static_cast<int>(shape.kv_heads),
                            static_cast<int>(shape.head_dim), shape.scale};
    auto const scratch = static_cast<std::size_t>(attend_scratch(heads.group, heads.head_dim)) * sizeof(float);
    dispatch(queue, shape.head_dim, {keys}, "attend", [&]<class T, int width>() {
        dim3 const size{grid(rows), static_cast<unsigned>(heads.kv_heads)};
        if (scratch > 48 * 1024) {  // more than a block may have unasked
            check(cudaFuncSetAttribute(attend_kernel<T, width>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(scratch)),
                  "attend");
        }
        attend_kernel<T, width><<<size, attend_threads, scratch, queue.stream>>>(
            heads, Cache<T>{as<T>(keys), as<T>(values)}, blocks, blocks_a_row, lengths, start, as<T>(before), log_sums,
            as<T>(q), as<T>(out));
    });
}

}  // namespace samner::model::device
