#pragma once

#include <cstdint>

#include "core/precision.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"

struct CUstream_st;

/// samner's own CUDA kernels: launchers that take device pointers and return before the work is done. Pointers to void
/// are rows of the precision's numbers, without gaps. The arithmetic is in device_math.h.
/// @throws InfrastructureError (all of them) when the launch fails
namespace samner::model::device {

/// In which order, and on which numbers, kernels run.
struct Queue {
    CUstream_st* stream;
    Precision precision;
};

/// x += addend, unless it is null; y = the norm of x times the weight. y may be x.
void rms_norm(Queue const& queue, void const* addend, void* x, void const* weight, float eps, std::int64_t rows,
              std::int64_t n, void* y);
void rms_norm_backward(Queue const& queue, void const* x, void const* weight, float eps, void const* dy,
                       std::int64_t rows, std::int64_t n, void* dx, bool accumulate);
/// @param x  [rows, heads, 2 half]. @param cos, sin  [positions, half]
void rope(Queue const& queue, void* x, std::int32_t const* positions, std::int64_t rows, int heads, std::int64_t half,
          float const* cos, float const* sin, bool inverse);
void swiglu(Queue const& queue, void const* gate, void const* up, void* out, std::int64_t count);
void swiglu_backward(Queue const& queue, void const* gate, void const* up, void const* d_out, void* d_gate, void* d_up,
                     std::int64_t count);
/// kernel::dropout. @param rows_of  [rows, 3]: position, low and high half of the number of the sequence
void dropout(Queue const& queue, std::uint64_t key, std::uint32_t const* rows_of, kernel::DropoutRule const& rule,
             void const* x, std::int64_t rows, std::int64_t n, void* y, bool accumulate);
/// The logits [rows, n] become the gradient; loss [rows]. Targets are in [0, n).
void cross_entropy(Queue const& queue, void* logits, std::int32_t const* targets, std::int64_t rows, std::int64_t n,
                   float* loss);
/// best [rows]: n where a row has no largest element, because it holds NaN.
void argmax(Queue const& queue, void const* logits, std::int64_t rows, std::int64_t n, std::int32_t* best);

/// Row i of keys and values, `width` elements each, goes to place[i] of one layer's cache.
void store_kv(Queue const& queue, void const* k, void const* v, std::int32_t const* places, std::int64_t rows,
              std::int64_t width, void* keys, void* values);
/// kernel::paged_attention over a cache [positions, kv_heads, head_dim]; row i has its blocks at i · blocks_a_row.
/// @param start  what comes before this position, in all rows, is in `before`
/// @param before  attention to that [rows, heads, head_dim], or null
/// @param log_sums  [heads, rows] logarithms of its summed exponentials
void attend(Queue const& queue, kernel::AttentionShape const& shape, void const* keys, void const* values,
            std::int32_t const* blocks, std::int64_t blocks_a_row, std::int32_t const* lengths, std::int64_t rows,
            std::int32_t start, void const* before, float const* log_sums, void const* q, void* out);

}  // namespace samner::model::device
