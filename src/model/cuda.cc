#include "model/cuda.h"

#include <ATen/Context.h>

namespace samner::model {

bool has_cuda() {
    return at::hasCUDA();
}

}  // namespace samner::model
