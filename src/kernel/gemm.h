#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace samner::kernel {

/// Room for `count` floats, 64-byte aligned, not initialised.
std::shared_ptr<float> allocate(std::size_t count);

/// The right operand B [depth, columns] of a product C = A · B, packed once into panels.
class PackedMatrix {
public:
    PackedMatrix() = default;

    /// Floats that one takes.
    static std::size_t floats(std::int64_t depth, std::int64_t columns);
    /// One that lies in memory already, as `pack_weight` or `pack_matrix` left it there.
    PackedMatrix(std::int64_t depth, std::int64_t columns, std::shared_ptr<float const> data);

    /// Of a weight as nn.Linear keeps it, w [n, k] with `ld` floats a row: the product is y = x · wᵀ, k deep, n wide.
    static PackedMatrix from_weight(float const* w, std::int64_t n, std::int64_t k, std::int64_t ld);
    /// Of b [k, n] with `ld` floats a row: the product is y = x · b.
    static PackedMatrix from_matrix(float const* b, std::int64_t k, std::int64_t n, std::int64_t ld,
                                    float factor = 1.0F);

    /// The same into memory of the caller, `floats(depth, columns)` of it, 64-byte aligned.
    static void pack_weight(float const* w, std::int64_t n, std::int64_t k, std::int64_t ld, float* out);
    static void pack_matrix(float const* b, std::int64_t k, std::int64_t n, std::int64_t ld, float factor, float* out);

    std::int64_t depth() const { return depth_; }
    std::int64_t columns() const { return columns_; }
    /// [depth][panel_width] floats, zero beyond the last column.
    float const* panel(std::int64_t index) const;

private:
    std::int64_t depth_ = 0;
    std::int64_t columns_ = 0;
    std::shared_ptr<float const> data_;
};

/// C [m, columns] = A [m, depth] · B, or C += A · B with `accumulate`. lda and ldc are floats a row.
///
/// Each element is one chain of fused multiply-adds over the depth, starting from zero or from C's value: its bits
/// depend on its row of A and its column of B alone.
void gemm(std::int64_t m, float const* a, std::int64_t lda, PackedMatrix const& b, float* c, std::int64_t ldc,
          bool accumulate);

enum class Op { none, transpose };

/// C [m, n] (+)= op(A) [m, k] · (alpha · op(B)) [k, n], with the same guarantee; alpha multiplies the elements of B
/// first.
void gemm(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, float const* a,
          std::int64_t lda, float const* b, std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate);

}  // namespace samner::kernel
