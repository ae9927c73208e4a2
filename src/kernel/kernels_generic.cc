#include <cstdint>

#include "kernel/table.h"
#include "kernel/vec_generic.h"

namespace samner::kernel::generic {

// Register tile of the matrix product.
constexpr int tile_rows = 4;
constexpr int tile_vectors = 1;

#include "kernel/kernels.inl"

}  // namespace samner::kernel::generic
