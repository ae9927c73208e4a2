#include "core/error.h"
#include "merge/device.h"

namespace samner::merge {

std::string device_obstacle() {
    return "this build has no CUDA";
}

void merge_tensor_on_device(Recipe const&, std::string_view, std::span<Contribution const>, std::span<float>, int) {
    throw InfrastructureError{"a merge on a CUDA device, and this build has no CUDA",
                              "merge on the CPU, or build with ./bootstrap --cuda"};
}

}  // namespace samner::merge
