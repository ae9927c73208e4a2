#pragma once

#include <cstdint>
#include <span>

namespace samner::kernel {

/// Grouped-query attention: `heads` query heads, a multiple (at most 64) of `kv_heads`.
struct AttentionShape {
    std::int64_t heads;
    std::int64_t kv_heads;
    std::int64_t head_dim;
    float scale;  ///< of the scores
};

constexpr int kv_block = 16;  ///< positions in a block of the key/value cache

/// Keys and values of one layer in blocks: keys [blocks][kv_heads][head_dim][kv_block], transposed for the scores;
/// values [blocks][kv_heads][kv_block][head_dim].
struct KvPool {
    float* keys;
    float* values;
};

/// Stores one position. @param k, v  [kv_heads, head_dim]
void store_kv(AttentionShape const& shape, KvPool const& pool, std::int32_t block, std::int32_t slot, float const* k,
              float const* v);

/// A query that attends to the positions 0 … length - 1, position p being in block blocks[p / kv_block].
struct AttentionRow {
    std::int32_t const* blocks;
    std::int32_t length;  ///< at least 1
    /// How many of its first blocks, within the lengths of both, are known to be those of the row before it. Saves
    /// work where neighbours share a prompt; 0 is always right.
    std::int32_t shared = 0;
};

/// Softmax attention of each row over its own positions. q and out are [rows, heads, head_dim], ldq and ldo floats a
/// row. The bits of a row depend on its query, keys and values alone, not on the other rows or on which blocks hold
/// them.
///
/// Neighbours that share blocks go through them together: keys and values are read once for them. Each keeps its own
/// scores, maximum, sum and weighted values in the order of a row alone, so there are no parts to join by log-sum-exp,
/// which would give other bits.
void paged_attention(AttentionShape const& shape, KvPool const& pool, std::span<AttentionRow const> rows,
                     float const* q, std::int64_t ldq, float* out, std::int64_t ldo);

/// Attention within each of several packed sequences.
/// @param offsets  starts of the sequences, rising, and the number of rows as the last
/// @param causal   a row attends to itself and those before it in its sequence; otherwise to the whole sequence
/// @param stats    [rows, 2 heads] for the backward pass (largest score and 1 / sum of each head); may be null
void attention_forward(AttentionShape const& shape, std::span<std::int32_t const> offsets, bool causal, float const* q,
                       std::int64_t ldq, float const* k, std::int64_t ldk, float const* v, std::int64_t ldv, float* out,
                       std::int64_t ldo, float* stats);

/// Gradients of attention_forward; dq, dk and dv are overwritten.
void attention_backward(AttentionShape const& shape, std::span<std::int32_t const> offsets, bool causal, float const* q,
                        std::int64_t ldq, float const* k, std::int64_t ldk, float const* v, std::int64_t ldv,
                        float const* out, std::int64_t ldo, float const* stats, float const* d_out,
                        std::int64_t ld_out_gradient, float* dq, std::int64_t lddq, float* dk, std::int64_t lddk,
                        float* dv, std::int64_t lddv);

}  // namespace samner::kernel
