#include "kernel/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "kernel/table.h"

namespace samner::kernel {
namespace {

std::int64_t panels(std::int64_t columns) {
    return (columns + panel_width - 1) / panel_width;
}

/// out [columns of in][rows of in], times factor.
void transpose(float const* in, std::int64_t rows, std::int64_t columns, std::int64_t ld, float factor, float* out) {
    constexpr std::int64_t block = 16;
    parallel_for(0, (rows + block - 1) / block, 4, [&](std::int64_t begin, std::int64_t end) {
        for (auto r0 = begin * block; r0 < std::min(end * block, rows); r0 += block) {
            auto const r1 = std::min(r0 + block, rows);
            for (std::int64_t c = 0; c < columns; ++c) {
                for (auto r = r0; r < r1; ++r) out[c * rows + r] = factor * in[r * ld + c];
            }
        }
    });
}

}  // namespace

std::shared_ptr<float> allocate(std::size_t count) {
    auto const bytes = std::max<std::size_t>(count, 1) * sizeof(float);
    auto* const memory = static_cast<float*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (!memory) throw std::bad_alloc{};
    return {memory, [](float* taken) { std::free(taken); }};
}

PackedMatrix::PackedMatrix(std::int64_t depth, std::int64_t columns, std::shared_ptr<float const> data)
    : depth_{depth}, columns_{columns}, data_{std::move(data)} {}

std::size_t PackedMatrix::floats(std::int64_t depth, std::int64_t columns) {
    return static_cast<std::size_t>(panels(columns) * depth * panel_width);
}

float const* PackedMatrix::panel(std::int64_t index) const {
    return data_.get() + index * depth_ * panel_width;
}

void PackedMatrix::pack_weight(float const* w, std::int64_t n, std::int64_t k, std::int64_t ld, float* out) {
    parallel_for(0, panels(n), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto p = begin; p < end; ++p) {
            auto* const panel = out + p * k * panel_width;
            auto const width = std::min(panel_width, n - p * panel_width);
            constexpr std::int64_t block = 16;
            for (std::int64_t k0 = 0; k0 < k; k0 += block) {
                auto const k1 = std::min(k0 + block, k);
                for (std::int64_t j = 0; j < panel_width; ++j) {
                    auto const* const row = w + (p * panel_width + j) * ld;
                    for (auto i = k0; i < k1; ++i) panel[i * panel_width + j] = j < width ? row[i] : 0.0F;
                }
            }
        }
    });
}

void PackedMatrix::pack_matrix(float const* b, std::int64_t k, std::int64_t n, std::int64_t ld, float factor,
                               float* out) {
    parallel_for(0, panels(n), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto p = begin; p < end; ++p) {
            auto* const panel = out + p * k * panel_width;
            auto const width = std::min(panel_width, n - p * panel_width);
            for (std::int64_t i = 0; i < k; ++i) {
                auto const* const row = b + i * ld + p * panel_width;
                for (std::int64_t j = 0; j < width; ++j) panel[i * panel_width + j] = factor * row[j];
                for (auto j = width; j < panel_width; ++j) panel[i * panel_width + j] = 0.0F;
            }
        }
    });
}

PackedMatrix PackedMatrix::from_weight(float const* w, std::int64_t n, std::int64_t k, std::int64_t ld) {
    auto const memory = allocate(floats(k, n));
    pack_weight(w, n, k, ld, memory.get());
    return {k, n, memory};
}

PackedMatrix PackedMatrix::from_matrix(float const* b, std::int64_t k, std::int64_t n, std::int64_t ld, float factor) {
    auto const memory = allocate(floats(k, n));
    pack_matrix(b, k, n, ld, factor, memory.get());
    return {k, n, memory};
}

void gemm(std::int64_t m, float const* a, std::int64_t lda, PackedMatrix const& b, float* c, std::int64_t ldc,
          bool accumulate) {
    if (m == 0) return;
    auto const& kernels = table();
    constexpr std::int64_t row_block = 96;  // rows that one thread takes at a time
    auto const row_blocks = (m + row_block - 1) / row_block;
    auto const work =
        2 * std::min(m, row_block) * panel_width * std::max<std::int64_t>(b.depth(), 1);  // floating-point operations
    auto const grain = std::max<std::int64_t>(1, 1'000'000 / work);
    // All row blocks of a panel are neighbours, so that it stays in a thread's cache.
    parallel_for(0, panels(b.columns()) * row_blocks, grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto item = begin; item < end; ++item) {
            auto const p = item / row_blocks;
            auto const row = item % row_blocks * row_block;
            kernels.gemm({std::min(row_block, m - row), std::min(panel_width, b.columns() - p * panel_width), b.depth(),
                          a + row * lda, lda, b.panel(p), c + row * ldc + p * panel_width, ldc, accumulate});
        }
    });
}

void gemm(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, float const* a,
          std::int64_t lda, float const* b, std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate) {
    if (m == 0 || n == 0) return;
    if (op_a == Op::transpose && op_b == Op::none && m > n) {
        // Cᵀ = (alpha · B)ᵀ · A instead: the same chains, and the large operand is packed without being transposed.
        std::vector<float> left(static_cast<std::size_t>(n * k));
        transpose(b, k, n, ldb, alpha, left.data());
        std::vector<float> result(static_cast<std::size_t>(n * m));
        if (accumulate) transpose(c, m, n, ldc, 1.0F, result.data());
        gemm(n, left.data(), k, PackedMatrix::from_matrix(a, k, m, lda), result.data(), m, accumulate);
        for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = result[static_cast<std::size_t>(j * m + i)];
        }
        return;
    }
    std::vector<float> transposed_a;
    if (op_a == Op::transpose) {
        transposed_a.resize(static_cast<std::size_t>(m * k));
        transpose(a, k, m, lda, 1.0F, transposed_a.data());
        a = transposed_a.data();
        lda = k;
    }
    std::vector<float> transposed_b;
    if (op_b == Op::transpose) {
        transposed_b.resize(static_cast<std::size_t>(k * n));
        transpose(b, n, k, ldb, 1.0F, transposed_b.data());
        b = transposed_b.data();
        ldb = n;
    }
    gemm(m, a, lda, PackedMatrix::from_matrix(b, k, n, ldb, alpha), c, ldc, accumulate);
}

}  // namespace samner::kernel
