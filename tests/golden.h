#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "weights/safetensors.h"

namespace samner {

/// tests/data/golden/<name>: expected values from the reference libraries.
inline std::filesystem::path golden(std::string const& name) {
    return std::filesystem::path{SAMNER_TEST_DATA} / "golden" / name;
}

/// A tensor of a safetensors file as floats.
inline std::vector<float> golden_tensor(weights::SafetensorsFile const& file, std::string const& name) {
    return file.floats(name);
}

}  // namespace samner
