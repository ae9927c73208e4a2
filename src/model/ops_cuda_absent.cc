#include "core/error.h"
#include "model/ops_aten.h"

namespace samner::model {

std::unique_ptr<Ops> make_cuda_ops(at::Device, Precision) {
    throw InputError{"device is cuda, and this build has no CUDA", "use cpu, or build with ./bootstrap --cuda"};
}

}  // namespace samner::model
