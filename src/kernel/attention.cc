#include "kernel/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "kernel/table.h"

namespace samner::kernel {
namespace {

static_assert(kv_block == lanes, "a block of keys is one vector wide");

void check(AttentionShape const& shape) {
    if (shape.kv_heads < 1 || shape.heads < 1 || shape.heads % shape.kv_heads != 0 ||
        shape.heads / shape.kv_heads > 64 || shape.head_dim < 1) {
        throw InputError{fmt::format("attention with {} heads, {} key/value heads of dimension {}", shape.heads,
                                     shape.kv_heads, shape.head_dim),
                         "heads must be a multiple (at most 64) of key/value heads"};
    }
}

std::int64_t block_floats(AttentionShape const& shape) {
    return shape.kv_heads * shape.head_dim * kv_block;
}
std::int64_t blocks_of(std::int64_t length) {
    return (length + kv_block - 1) / kv_block;
}

/// Rows whose queries fill the largest register tile.
std::int64_t rows_together(AttentionShape const& shape) {
    return std::max<std::int64_t>(1, 12 * shape.kv_heads / shape.heads);
}
/// What one call of the kernel needs.
std::vector<float> scratch_for(AttentionShape const& shape, std::int64_t rows, std::int64_t longest) {
    auto const queries = rows * shape.heads / shape.kv_heads;
    return std::vector<float>(static_cast<std::size_t>(queries * (blocks_of(longest) * kv_block + 2 * shape.head_dim)));
}

/// Neighbouring rows that the kernel takes together.
struct RowGroup {
    std::int64_t begin;
    std::int64_t count;
    std::int64_t shared;  ///< blocks
};
std::vector<RowGroup> groups_of(std::span<AttentionRow const> rows, std::int64_t most) {
    std::vector<RowGroup> groups;
    for (std::int64_t i = 0; i < std::ssize(rows); ++i) {
        auto const& row = rows[static_cast<std::size_t>(i)];
        // What rows do not share goes by one row at a time, which is slower: it has to be the smaller part.
        bool const joins = !groups.empty() && groups.back().count < most && 2 * row.shared >= blocks_of(row.length);
        if (!joins) {
            groups.push_back({i, 1, 0});
        } else {
            auto& group = groups.back();
            group.shared = group.count == 1 ? row.shared : std::min<std::int64_t>(group.shared, row.shared);
            ++group.count;
        }
    }
    return groups;
}

/// Rows of x [rows, head_dim] (ld floats a row) as blocks [head_dim][kv_block], zero beyond the last row.
void transpose_blocks(float const* x, std::int64_t rows, std::int64_t ld, std::int64_t head_dim,
                      std::vector<float>& out) {
    out.assign(static_cast<std::size_t>(blocks_of(rows) * head_dim * kv_block), 0.0F);
    for (std::int64_t row = 0; row < rows; ++row) {
        auto* const block = out.data() + row / kv_block * head_dim * kv_block + row % kv_block;
        for (std::int64_t d = 0; d < head_dim; ++d) block[d * kv_block] = x[row * ld + d];
    }
}

void copy_rows(float const* x, std::int64_t rows, std::int64_t ld, std::int64_t head_dim, std::vector<float>& out) {
    out.assign(static_cast<std::size_t>(blocks_of(rows) * head_dim * kv_block), 0.0F);
    for (std::int64_t row = 0; row < rows; ++row) std::copy_n(x + row * ld, head_dim, out.data() + row * head_dim);
}

/// Runs body(sequence begin, length, key/value head) for all sequences and heads.
template <class Body>
void for_each_head(AttentionShape const& shape, std::span<std::int32_t const> offsets, Body const& body) {
    auto const sequences = std::ssize(offsets) - 1;
    parallel_for(0, sequences * shape.kv_heads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto item = begin; item < end; ++item) {
            auto const sequence = static_cast<std::size_t>(item / shape.kv_heads);
            body(offsets[sequence], offsets[sequence + 1] - offsets[sequence], item % shape.kv_heads);
        }
    });
}

}  // namespace

void store_kv(AttentionShape const& shape, KvPool const& pool, std::int32_t block, std::int32_t slot, float const* k,
              float const* v) {
    auto* keys = pool.keys + block * block_floats(shape) + slot;
    auto* values = pool.values + block * block_floats(shape) + slot * shape.head_dim;
    for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
        for (std::int64_t d = 0; d < shape.head_dim; ++d) keys[d * kv_block] = k[d];
        std::copy_n(v, shape.head_dim, values);
        keys += shape.head_dim * kv_block;
        values += shape.head_dim * kv_block;
        k += shape.head_dim;
        v += shape.head_dim;
    }
}

void paged_attention(AttentionShape const& shape, KvPool const& pool, std::span<AttentionRow const> rows,
                     float const* q, std::int64_t ldq, float* out, std::int64_t ldo) {
    check(shape);
    auto const group = shape.heads / shape.kv_heads;
    auto const& kernels = table();
    auto const groups = groups_of(rows, rows_together(shape));
    // Heads outermost: the rows of one head share the blocks of a common prefix.
    auto const count = std::ssize(groups);
    parallel_for(0, count * shape.kv_heads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto item = begin; item < end; ++item) {
            auto const head = item / count;
            auto const& members = groups[static_cast<std::size_t>(item % count)];
            auto const offset = head * shape.head_dim * kv_block;
            auto const first = head * group * shape.head_dim;
            std::vector<AttentionQuery> queries;
            std::int64_t longest = 0;
            for (auto row = members.begin; row < members.begin + members.count; ++row) {
                auto const& positions = rows[static_cast<std::size_t>(row)];
                queries.push_back(
                    {positions.blocks, positions.length, q + row * ldq + first, out + row * ldo + first, nullptr});
                longest = std::max<std::int64_t>(longest, positions.length);
            }
            auto scratch = scratch_for(shape, members.count, longest);
            kernels.attention({group, shape.head_dim, shape.scale, pool.keys + offset, pool.values + offset,
                               block_floats(shape), queries.data(), members.count, members.shared, scratch.data(), 0});
        }
    });
}

void attention_forward(AttentionShape const& shape, std::span<std::int32_t const> offsets, bool causal, float const* q,
                       std::int64_t ldq, float const* k, std::int64_t ldk, float const* v, std::int64_t ldv, float* out,
                       std::int64_t ldo, float* stats) {
    check(shape);
    auto const group = shape.heads / shape.kv_heads;
    auto const dim = shape.head_dim;
    auto const& kernels = table();
    for_each_head(shape, offsets, [&](std::int64_t begin, std::int64_t length, std::int64_t head) {
        std::vector<float> keys;
        std::vector<float> values;
        transpose_blocks(k + begin * ldk + head * dim, length, ldk, dim, keys);
        copy_rows(v + begin * ldv + head * dim, length, ldv, dim, values);
        std::vector<std::int32_t> blocks(static_cast<std::size_t>(blocks_of(length)));
        std::iota(blocks.begin(), blocks.end(), 0);
        auto const most = rows_together(shape);
        auto scratch = scratch_for(shape, most, length);
        std::vector<AttentionQuery> queries;
        for (std::int64_t first = 0; first < length; first += most) {
            queries.clear();
            for (auto i = first; i < std::min(first + most, length); ++i) {
                auto const row = begin + i;
                queries.push_back({blocks.data(), causal ? i + 1 : length, q + row * ldq + head * group * dim,
                                   out + row * ldo + head * group * dim,
                                   stats ? stats + row * 2 * shape.heads + head * group : nullptr});
            }
            kernels.attention({group, dim, shape.scale, keys.data(), values.data(), dim * kv_block, queries.data(),
                               std::ssize(queries), blocks_of(queries.front().length), scratch.data(), shape.heads});
        }
    });
}

void attention_backward(AttentionShape const& shape, std::span<std::int32_t const> offsets, bool causal, float const* q,
                        std::int64_t ldq, float const* k, std::int64_t ldk, float const* v, std::int64_t ldv,
                        float const* out, std::int64_t ldo, float const* stats, float const* d_out,
                        std::int64_t ld_out_gradient, float* dq, std::int64_t lddq, float* dk, std::int64_t lddk,
                        float* dv, std::int64_t lddv) {
    check(shape);
    auto const group = shape.heads / shape.kv_heads;
    auto const dim = shape.head_dim;
    auto const& kernels = table();
    for_each_head(shape, offsets, [&](std::int64_t begin, std::int64_t length, std::int64_t head) {
        std::vector<float> keys_transposed;
        std::vector<float> values_transposed;
        std::vector<float> keys;
        transpose_blocks(k + begin * ldk + head * dim, length, ldk, dim, keys_transposed);
        transpose_blocks(v + begin * ldv + head * dim, length, ldv, dim, values_transposed);
        copy_rows(k + begin * ldk + head * dim, length, ldk, dim, keys);
        std::vector<float> key_gradients(static_cast<std::size_t>(length * dim), 0.0F);
        std::vector<float> value_gradients(key_gradients.size(), 0.0F);
        std::vector<float> scratch(static_cast<std::size_t>(2 * blocks_of(length) * kv_block));
        for (std::int64_t member = 0; member < group; ++member) {
            auto const query = head * group + member;
            for (std::int64_t i = 0; i < length; ++i) {
                auto const row = begin + i;
                kernels.attention_backward(
                    {dim, shape.scale, causal ? i + 1 : length, keys_transposed.data(), values_transposed.data(),
                     keys.data(), q + row * ldq + query * dim, out + row * ldo + query * dim,
                     d_out + row * ld_out_gradient + query * dim, stats[row * 2 * shape.heads + query],
                     stats[row * 2 * shape.heads + shape.heads + query], dq + row * lddq + query * dim,
                     key_gradients.data(), value_gradients.data(), scratch.data()});
            }
        }
        for (std::int64_t i = 0; i < length; ++i) {
            std::copy_n(key_gradients.data() + i * dim, dim, dk + (begin + i) * lddk + head * dim);
            std::copy_n(value_gradients.data() + i * dim, dim, dv + (begin + i) * lddv + head * dim);
        }
    });
}

}  // namespace samner::kernel
