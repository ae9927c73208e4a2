#pragma once

#include <cmath>
#include <cstdint>

#include "kernel/attention.h"

// The arithmetic of the CUDA kernels (cuda_kernels.cu), as functions that the host compiles too, so that tests without
// a device run it. A function that works on a whole row or head is called by all lanes of a group, each of which does a
// part; a group is the threads of a CUDA block there and whatever a test makes of it here. A Group has
//   int lane() const, lanes() const     this lane's number, and how many there
//   are void barrier() const                waits for all lanes and makes what
//   they wrote visible to each other float sum(float) const, max(float) const;
//   std::int32_t min(std::int32_t) const
//                                       over all lanes, given to all of them;
//                                       barriers too
#ifdef __CUDACC__
#define SAMNER_DEVICE __device__ inline
#else
#define SAMNER_DEVICE inline
#endif

namespace samner::model::device {

/// bfloat16 as it lies in memory.
struct Bf16 {
    std::uint16_t bits;
};

union FloatBits {
    float value;
    std::uint32_t bits;
};

SAMNER_DEVICE float wide(float x) {
    return x;
}
SAMNER_DEVICE float wide(Bf16 x) {
    FloatBits result;
    result.bits = std::uint32_t{x.bits} << 16;
    return result.value;
}

SAMNER_DEVICE void narrow(float x, float& out) {
    out = x;
}
/// To the nearest, ties to even.
SAMNER_DEVICE void narrow(float x, Bf16& out) {
    FloatBits from;
    from.value = x;
    if (x != x) {
        out.bits = 0x7FC0;
    } else {
        out.bits = static_cast<std::uint16_t>((from.bits + 0x7FFFU + ((from.bits >> 16) & 1U)) >> 16);
    }
}

/// `width` neighbours, read and written at once.
template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
    T at[width];
};

template <int width, class T>
SAMNER_DEVICE Pack<T, width> load(T const* from, std::int64_t pack) {
    return reinterpret_cast<Pack<T, width> const*>(from)[pack];
}
template <class T, int width>
SAMNER_DEVICE void store(Pack<T, width> const& values, T* to, std::int64_t pack) {
    reinterpret_cast<Pack<T, width>*>(to)[pack] = values;
}

/// 1 / sqrt(mean(x²) + eps) of a row of n elements.
template <int width, class Group, class T>
SAMNER_DEVICE float inverse_norm(Group const& group, T const* x, std::int64_t n, float eps) {
    float squares = 0.0F;
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(x, i);
        for (int j = 0; j < width; ++j) squares = fmaf(wide(values.at[j]), wide(values.at[j]), squares);
    }
    return 1.0F / sqrtf(group.sum(squares) / static_cast<float>(n) + eps);
}

/// x += addend, where there is one (it is null otherwise); y = x / sqrt(mean(x²) + eps), rounded, times the weight.
template <int width, class Group, class T>
SAMNER_DEVICE void rms_norm_row(Group const& group, T const* addend, T* x, T const* weight, std::int64_t n, float eps,
                                T* y) {
    if (addend) {
        for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
            auto const more = load<width>(addend, i);
            auto values = load<width>(static_cast<T const*>(x), i);
            for (int j = 0; j < width; ++j) narrow(wide(values.at[j]) + wide(more.at[j]), values.at[j]);
            store(values, x, i);
        }
    }
    // Each lane reads again what it wrote itself.
    auto const scale = inverse_norm<width>(group, static_cast<T const*>(x), n, eps);
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(static_cast<T const*>(x), i);
        auto const weights = load<width>(weight, i);
        Pack<T, width> out;
        for (int j = 0; j < width; ++j) {
            T unit;
            narrow(wide(values.at[j]) * scale, unit);
            narrow(wide(unit) * wide(weights.at[j]), out.at[j]);
        }
        store(out, y, i);
    }
}

/// dx (+)= the gradient of the row's norm with respect to x.
template <int width, class Group, class T>
SAMNER_DEVICE void rms_norm_backward_row(Group const& group, T const* x, T const* weight, T const* dy, std::int64_t n,
                                         float eps, T* dx, bool accumulate) {
    auto const scale = inverse_norm<width>(group, x, n, eps);
    float products = 0.0F;
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(x, i);
        auto const weights = load<width>(weight, i);
        auto const gradients = load<width>(dy, i);
        for (int j = 0; j < width; ++j)
            products = fmaf(wide(gradients.at[j]) * wide(weights.at[j]), wide(values.at[j]) * scale, products);
    }
    auto const mean = group.sum(products) / static_cast<float>(n);
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(x, i);
        auto const weights = load<width>(weight, i);
        auto const gradients = load<width>(dy, i);
        auto out = load<width>(static_cast<T const*>(dx), i);
        for (int j = 0; j < width; ++j) {
            auto const gradient =
                scale * (wide(gradients.at[j]) * wide(weights.at[j]) - wide(values.at[j]) * scale * mean);
            narrow(accumulate ? wide(out.at[j]) + gradient : gradient, out.at[j]);
        }
        store(out, dx, i);
    }
}

/// Rotates pair `pair` of the half-rotation layout of a head of 2 `half` elements. @param sign  -1: backward
template <class T>
SAMNER_DEVICE void rope_pair(T* head, std::int64_t pair, std::int64_t half, float cos, float sin, float sign) {
    auto const first = wide(head[pair]);
    auto const second = wide(head[pair + half]);
    narrow(first * cos - second * (sign * sin), head[pair]);
    narrow(second * cos + first * (sign * sin), head[pair + half]);
}

SAMNER_DEVICE float sigmoid(float x) {
    return 1.0F / (1.0F + expf(-x));
}

/// silu(gate) · up
template <int width, class T>
SAMNER_DEVICE Pack<T, width> swiglu(Pack<T, width> const& gate, Pack<T, width> const& up) {
    Pack<T, width> out;
    for (int j = 0; j < width; ++j) {
        auto const x = wide(gate.at[j]);
        narrow(x * sigmoid(x) * wide(up.at[j]), out.at[j]);
    }
    return out;
}

template <int width, class T>
SAMNER_DEVICE void swiglu_backward(Pack<T, width> const& gate, Pack<T, width> const& up, Pack<T, width> const& d_out,
                                   Pack<T, width>& d_gate, Pack<T, width>& d_up) {
    for (int j = 0; j < width; ++j) {
        auto const x = wide(gate.at[j]);
        auto const share = sigmoid(x);
        auto const gradient = wide(d_out.at[j]);
        narrow(gradient * wide(up.at[j]) * share * (1.0F + x * (1.0F - share)), d_gate.at[j]);
        narrow(gradient * x * share, d_up.at[j]);
    }
}

/// kernel::dropout of the eight elements from 8 · `eight` on of a row of n, as far as they are there.
/// @param row  the row's position, low and high half of its sequence's number
template <class T>
SAMNER_DEVICE void drop_eight(std::uint64_t key, std::uint32_t const* row, std::uint32_t threshold, float scale,
                              std::int64_t eight, T const* x, std::int64_t n, T* y, bool accumulate) {
    // Philox-4x32-10 (core/random.h).
    std::uint32_t words[4] = {static_cast<std::uint32_t>(eight), row[0], row[1], row[2]};
    std::uint32_t keys[2] = {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
    for (int round = 0; round < 10; ++round) {
        auto const first = std::uint64_t{0xD2511F53U} * words[0];
        auto const second = std::uint64_t{0xCD9E8D57U} * words[2];
        words[0] = static_cast<std::uint32_t>(second >> 32) ^ words[1] ^ keys[0];
        words[2] = static_cast<std::uint32_t>(first >> 32) ^ words[3] ^ keys[1];
        words[1] = static_cast<std::uint32_t>(second);
        words[3] = static_cast<std::uint32_t>(first);
        keys[0] += 0x9E3779B9U;
        keys[1] += 0xBB67AE85U;
    }
    for (int j = 0; j < 8 && 8 * eight + j < n; ++j) {
        auto const half = (words[j / 2] >> (16 * (j % 2))) & 0xFFFFU;
        auto const i = 8 * eight + j;
        auto const value = wide(x[i]) * (half < threshold ? 0.0F : scale);
        narrow(accumulate ? wide(y[i]) + value : value, y[i]);
    }
}

/// Replaces a row of logits by the gradient of its cross-entropy with `target`.
/// @return the loss, in nats
template <int width, class Group, class T>
SAMNER_DEVICE float cross_entropy_row(Group const& group, T* logits, std::int64_t n, std::int32_t target) {
    auto const wanted = wide(logits[target]);
    float largest = -INFINITY;
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(static_cast<T const*>(logits), i);
        for (int j = 0; j < width; ++j) largest = fmaxf(largest, wide(values.at[j]));
    }
    largest = group.max(largest);
    float part = 0.0F;
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(static_cast<T const*>(logits), i);
        for (int j = 0; j < width; ++j) part += expf(wide(values.at[j]) - largest);
    }
    auto const sum = group.sum(part);  // a barrier: `wanted` has been read by every lane
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto values = load<width>(static_cast<T const*>(logits), i);
        for (int j = 0; j < width; ++j) {
            auto const share = expf(wide(values.at[j]) - largest) / sum;
            narrow(i * width + j == target ? share - 1.0F : share, values.at[j]);
        }
        store(values, logits, i);
    }
    return largest - wanted + logf(sum);
}

/// The lowest index of the largest element of a row; n where the row holds NaN or nothing above minus infinity.
template <int width, class Group, class T>
SAMNER_DEVICE std::int32_t argmax_row(Group const& group, T const* x, std::int64_t n) {
    float largest = -INFINITY;
    float broken = 0.0F;
    auto best = static_cast<std::int32_t>(n);
    for (std::int64_t i = group.lane(); i < n / width; i += group.lanes()) {
        auto const values = load<width>(x, i);
        for (int j = 0; j < width; ++j) {
            auto const value = wide(values.at[j]);
            if (value != value) broken = 1.0F;
            if (value > largest) {
                largest = value;
                best = static_cast<std::int32_t>(i * width + j);
            }
        }
    }
    auto const whole = group.max(largest);
    broken = group.max(broken);
    auto const lowest = group.min(largest == whole ? best : static_cast<std::int32_t>(n));
    return broken > 0.0F ? static_cast<std::int32_t>(n) : lowest;
}

/// Keys and values of one layer: position s of the cache is [kv_heads, head_dim] at s · kv_heads · head_dim.
template <class T>
struct Cache {
    T const* keys;
    T const* values;
};

/// What a group needs to attend one row with the query heads that share one head of keys.
struct AttendShape {
    int group;  ///< query heads to a head of keys
    int kv_heads;
    int head_dim;
    float scale;
};
constexpr int attend_chunk = 64;                                  ///< positions taken at once
constexpr std::int64_t attend_scratch(int group, int head_dim) {  ///< floats
    return std::int64_t{group} * (2 * head_dim + attend_chunk + 3);
}

/// What a row attended to before, by another way: results [group, head_dim] and the logarithms of their summed
/// exponentials, `stride` apart. Null: nothing.
template <class T>
struct Before {
    T const* out;
    float const* log_sums;
    std::int64_t stride;
};

/// Softmax attention of the query heads [group, head_dim] at `q` over the positions start … length - 1 of the cache,
/// position p being in block blocks[p / kv_block], and over what they attended to before. Goes chunk by chunk, with a
/// running maximum and sum.
/// @param scratch  attend_scratch floats that all lanes see
template <int width, class Group, class T>
SAMNER_DEVICE void attend_row(Group const& group, AttendShape const& shape, Cache<T> const& cache, int kv_head,
                              std::int32_t const* blocks, std::int32_t start, std::int32_t length,
                              Before<T> const& before, T const* q, T* out, float* scratch) {
    auto const dim = shape.head_dim;
    auto* const query = scratch;
    auto* const sums = query + shape.group * dim;               // of weighted values
    auto* const scores = sums + shape.group * dim;              // [group, chunk]
    auto* const largest = scores + shape.group * attend_chunk;  // [group], likewise the next two
    auto* const total = largest + shape.group;
    auto* const shrink = total + shape.group;  // by how much a chunk lowers what came before
    for (int i = group.lane(); i < shape.group * dim; i += group.lanes()) {
        query[i] = wide(q[i]) * shape.scale;
        sums[i] = 0.0F;
    }
    for (int head = group.lane(); head < shape.group; head += group.lanes()) {
        largest[head] = -INFINITY;
        total[head] = 0.0F;
    }
    auto const row = [&](std::int32_t position) {
        auto const place =
            std::int64_t{blocks[position / kernel::kv_block]} * kernel::kv_block + position % kernel::kv_block;
        return (place * shape.kv_heads + kv_head) * dim;
    };
    for (auto begin = start; begin < length; begin += attend_chunk) {
        auto const count = length - begin < attend_chunk ? length - begin : attend_chunk;
        group.barrier();
        // A lane takes the scores of one position with several heads after each other.
        for (int i = group.lane(); i < shape.group * count; i += group.lanes()) {
            auto const head = i / count;
            auto const* const key = cache.keys + row(begin + i % count);
            float score = 0.0F;
            for (int d = 0; d < dim / width; ++d) {
                auto const part = load<width>(key, d);
                for (int j = 0; j < width; ++j)
                    score = fmaf(query[head * dim + d * width + j], wide(part.at[j]), score);
            }
            scores[head * attend_chunk + i % count] = score;
        }
        group.barrier();
        for (int head = group.lane(); head < shape.group; head += group.lanes()) {
            auto* const own = scores + head * attend_chunk;
            auto most = largest[head];
            for (int i = 0; i < count; ++i) most = fmaxf(most, own[i]);
            float sum = 0.0F;
            for (int i = 0; i < count; ++i) {
                own[i] = expf(own[i] - most);
                sum += own[i];
            }
            shrink[head] = expf(largest[head] - most);
            total[head] = total[head] * shrink[head] + sum;
            largest[head] = most;
        }
        group.barrier();
        for (int i = group.lane(); i < shape.group * dim; i += group.lanes()) {
            auto const head = i / dim;
            auto sum = sums[i] * shrink[head];
            for (int p = 0; p < count; ++p)
                sum = fmaf(scores[head * attend_chunk + p], wide(cache.values[row(begin + p) + i % dim]), sum);
            sums[i] = sum;
        }
    }
    for (int i = group.lane(); i < shape.group * dim; i += group.lanes()) {
        auto const head = i / dim;
        auto result = sums[i] / total[head];
        if (before.out) {
            // The share of what came before in the whole sum is e^a / (e^a + e^b).
            auto const difference = before.log_sums[head * before.stride] - (largest[head] + logf(total[head]));
            result += sigmoid(difference) * (wide(before.out[i]) - result);
        }
        narrow(result, out[i]);
    }
}

}  // namespace samner::model::device
