#include <cstdint>

#include "kernel/table.h"
#include "kernel/vec_avx512.h"

namespace samner::kernel::avx512 {

// Register tile of the matrix product.
constexpr int tile_rows = 12;
constexpr int tile_vectors = 2;

#include "kernel/kernels.inl"

}  // namespace samner::kernel::avx512
