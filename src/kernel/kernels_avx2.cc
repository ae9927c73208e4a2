#include <cstdint>

#include "kernel/table.h"
#include "kernel/vec_avx2.h"

namespace samner::kernel::avx2 {

// Register tile of the matrix product.
constexpr int tile_rows = 6;
constexpr int tile_vectors = 1;

#include "kernel/kernels.inl"

}  // namespace samner::kernel::avx2
