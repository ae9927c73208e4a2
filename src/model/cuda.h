#pragma once

namespace samner::model {

/// Whether libtorch finds a CUDA device.
bool has_cuda();

}  // namespace samner::model
