#include "model/placement.h"

#include "kernel/gemm.h"

namespace samner::model {

std::shared_ptr<float const> OwnPlacement::host(std::size_t count, std::function<void(float*)> const& fill) {
    auto memory = kernel::allocate(count);
    fill(memory.get());
    return memory;
}

void OwnPlacement::device(void* /*data*/, std::size_t /*bytes*/, std::function<void()> const& fill) {
    fill();
}

}  // namespace samner::model
