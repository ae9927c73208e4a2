// Compiled with --fmad=false: every sum, product and quotient is rounded by itself and in the order of kernel.cc, so
// that the bits are those of the CPU.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "merge/device.h"
#include "merge/loops.h"

namespace samner::merge {
namespace {

constexpr int threads = 256;
constexpr unsigned most_blocks = 4096;
constexpr std::size_t chunk = 4096;  // elements that share a count of equal magnitudes
constexpr std::size_t num_buckets = 256;
using Count = unsigned long long;

void check(cudaError_t code, char const* call) {
    if (code == cudaSuccess) return;
    throw InfrastructureError{std::string{call} + " failed: " + cudaGetErrorString(code),
                              "merge on the CPU, or look at the device with nvidia-smi"};
}

template <class T>
class DeviceArray {
public:
    explicit DeviceArray(std::size_t size) : size_{size} {
        check(cudaMalloc(&data_, std::max<std::size_t>(size, 1) * sizeof(T)), "cudaMalloc");
    }
    explicit DeviceArray(std::span<T const> values) : DeviceArray{values.size()} {
        check(cudaMemcpy(data_, values.data(), values.size_bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }
    DeviceArray(DeviceArray&& other) noexcept : data_{std::exchange(other.data_, nullptr)}, size_{other.size_} {}
    DeviceArray(DeviceArray const&) = delete;
    DeviceArray& operator=(DeviceArray const&) = delete;
    ~DeviceArray() { cudaFree(data_); }

    T* data() const { return data_; }
    void clear() { check(cudaMemset(data_, 0, size_ * sizeof(T)), "cudaMemset"); }
    void copy_to(std::span<T> out, std::size_t begin = 0) const {
        check(cudaMemcpy(out.data(), data_ + begin, out.size_bytes(), cudaMemcpyDeviceToHost), "cudaMemcpy");
    }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

unsigned blocks_for(std::size_t items) {
    return static_cast<unsigned>(std::clamp<std::size_t>((items + threads - 1) / threads, 1, most_blocks));
}

__device__ std::uint32_t magnitude(float value) {
    return __float_as_uint(value) & loops::magnitude_bits;
}

/// Counts the next eight bits of the magnitudes whose bits above them are `prefix`.
__global__ void count_digits(float const* values, std::size_t size, int shift, std::uint32_t prefix, Count* counts) {
    __shared__ unsigned local[num_buckets];
    for (unsigned i = threadIdx.x; i < num_buckets; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < size;
         i += std::size_t{gridDim.x} * blockDim.x) {
        auto const key = magnitude(values[i]);
        if (shift == 24 || key >> (shift + 8) == prefix) atomicAdd(&local[key >> shift & (num_buckets - 1)], 1U);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < num_buckets; i += blockDim.x)
        if (local[i] != 0) atomicAdd(&counts[i], Count{local[i]});
}

/// How many elements of each chunk have this magnitude.
__global__ void count_equal(float const* values, std::size_t size, std::uint32_t key, Count* counts) {
    __shared__ unsigned local;
    if (threadIdx.x == 0) local = 0;
    __syncthreads();
    auto const begin = blockIdx.x * chunk;
    auto const end = begin + chunk < size ? begin + chunk : size;
    for (auto i = begin + threadIdx.x; i < end; i += blockDim.x)
        if (magnitude(values[i]) == key) atomicAdd(&local, 1U);
    __syncthreads();
    if (threadIdx.x == 0) counts[blockIdx.x] = local;
}

/// find_cut of select.h.
Cut find_cut_on_device(DeviceArray<float> const& values, std::size_t size, std::size_t k) {
    if (k >= size) return {};
    if (k == 0) return {.threshold = 0x80000000U};
    DeviceArray<Count> device_counts{num_buckets};
    std::array<Count, num_buckets> counts;
    std::uint32_t threshold = 0;
    std::size_t digit = 0;
    for (int const shift : {24, 16, 8, 0}) {
        device_counts.clear();
        count_digits<<<blocks_for(size), threads>>>(values.data(), size, shift, threshold, device_counts.data());
        check(cudaGetLastError(), "count_digits");
        device_counts.copy_to(counts);
        for (digit = num_buckets - 1; k > counts[digit]; --digit) k -= counts[digit];
        threshold = threshold << 8 | static_cast<std::uint32_t>(digit);
    }
    if (threshold == 0 || k == counts[digit]) return {.threshold = threshold};
    // The k-th of equal ones: the chunk in which it lies, then its place there.
    auto const num_chunks = (size + chunk - 1) / chunk;
    DeviceArray<Count> device_equal{num_chunks};
    count_equal<<<static_cast<unsigned>(num_chunks), threads>>>(values.data(), size, threshold, device_equal.data());
    check(cudaGetLastError(), "count_equal");
    std::vector<Count> equal(num_chunks);
    device_equal.copy_to(equal);
    std::size_t number = 0;
    for (; k > equal[number]; ++number) k -= equal[number];
    auto const begin = number * chunk;
    std::vector<float> piece(std::min(chunk, size - begin));
    values.copy_to(piece, begin);
    for (std::size_t i = 0; i < piece.size(); ++i)
        if ((std::bit_cast<std::uint32_t>(piece[i]) & loops::magnitude_bits) == threshold && --k == 0)
            return {threshold, begin + i + 1};
    throw InfrastructureError{"the device counted equal magnitudes that are not there", "merge on the CPU"};
}

/// A contribution on the device.
struct Term {
    float const* values;
    float coefficient;
    float share;
    Cut cut;
    bool trims;

    __device__ float kept(std::size_t i) const {
        auto const value = values[i];
        if (!trims) return value;
        return magnitude(value) >= (i < cut.end_at_threshold ? cut.threshold : cut.threshold + 1) ? value : 0.0F;
    }
};

/// What kernel.cc's combine_all and combine_agreeing take from a recipe.
struct Combination {
    Elect elect;
    bool divides;
    bool elect_weighted;
    bool zero_is_negative;
    float denominator;  ///< without an election
};

__device__ float combine_one(Term const* terms, std::size_t count, Combination how, std::size_t i) {
    float sum = 0.0F;
    if (how.elect == Elect::nobody) {
        for (std::size_t t = 0; t < count; ++t) sum += terms[t].coefficient * terms[t].kept(i);
        return sum / how.denominator;
    }
    float elected = 0.0F;
    for (std::size_t t = 0; t < count; ++t) {
        auto value = terms[t].kept(i);
        if (how.elect_weighted) value *= terms[t].coefficient;
        elected += how.elect == Elect::frequency ? (value > 0.0F ? 1.0F : 0.0F) - (value < 0.0F ? 1.0F : 0.0F) : value;
    }
    if (how.zero_is_negative && elected == 0.0F) elected = -1.0F;
    float denominator = 0.0F;
    for (std::size_t t = 0; t < count; ++t) {
        auto value = terms[t].kept(i);
        if (how.elect_weighted) value *= terms[t].coefficient;
        float const along = elected >= 0.0F ? value : -value;
        float const term = (how.elect_weighted ? 1.0F : terms[t].coefficient) * value;
        sum += along > 0.0F ? term : 0.0F;
        denominator += along > 0.0F ? terms[t].share : 0.0F;
    }
    if (!how.divides) return sum;
    return sum / (fabsf(denominator) < least_weight ? 1.0F : denominator);
}

__global__ void combine(Term const* terms, std::size_t count, Combination how, std::size_t size, float* out) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < size;
         i += std::size_t{gridDim.x} * blockDim.x)
        out[i] = combine_one(terms, count, how, i);
}

}  // namespace

std::string device_obstacle() {
    int devices = 0;
    auto const code = cudaGetDeviceCount(&devices);
    if (code != cudaSuccess) return std::string{"CUDA finds no device: "} + cudaGetErrorString(code);
    return devices == 0 ? "CUDA finds no device" : "";
}

void merge_tensor_on_device(Recipe const& recipe, std::string_view name, std::span<Contribution const> contributions,
                            std::span<float> out, int device) {
    if (recipe.sparsify != Sparsify::nothing && recipe.sparsify != Sparsify::largest)
        throw InputError{
            "merging " + std::string{name} + " on a CUDA device by a method that drops at random or the largest",
            "use linear, task_arithmetic, magnitude_prune or ties there, or merge on the CPU"};
    auto const order = checked_order(name, contributions, out.size());
    if (out.empty()) return;
    check(cudaSetDevice(device), "cudaSetDevice");  // of the calling thread
    std::vector<DeviceArray<float>> memory;
    std::vector<Term> terms;
    Combination how{recipe.elect, recipe.divide != Divide::by_one, recipe.elect_weighted, recipe.zero_is_negative,
                    0.0F};
    for (auto const index : order) {
        auto const& one = contributions[index];
        auto const& values = memory.emplace_back(one.values);
        Term term{values.data(),
                  one.coefficient,
                  share_of(recipe, one),
                  {},
                  recipe.sparsify == Sparsify::largest && one.density < 1.0};
        if (term.trims) term.cut = one.cut ? *one.cut : find_cut_on_device(values, out.size(), num_kept(recipe, one));
        how.denominator += term.share;
        terms.push_back(term);
    }
    if (recipe.divide == Divide::by_one || std::fabs(how.denominator) < least_weight) how.denominator = 1.0F;
    DeviceArray<Term> const device_terms{std::span<Term const>{terms}};
    DeviceArray<float> const result{out.size()};
    combine<<<blocks_for(out.size()), threads>>>(device_terms.data(), terms.size(), how, out.size(), result.data());
    check(cudaGetLastError(), "combine");
    result.copy_to(out);
}

}  // namespace samner::merge
