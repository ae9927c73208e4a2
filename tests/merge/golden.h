#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"

namespace samner::merge {

struct GoldenTensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};
using GoldenTensors = std::map<std::string, GoldenTensor>;

/// The float32 tensors of one of the committed files.
inline GoldenTensors read_golden(std::filesystem::path const& path) {
    std::ifstream file{path, std::ios::binary};
    file.exceptions(std::ios::failbit | std::ios::badbit);
    std::uint64_t header_size = 0;
    file.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
    std::string header(header_size, '\0');
    file.read(header.data(), static_cast<std::streamsize>(header_size));
    GoldenTensors tensors;
    auto const entries = parse_json(header, path.string());
    for (auto const& [name, entry] : entries.items()) {
        if (name == "__metadata__") continue;
        auto& tensor = tensors[name];
        tensor.shape = entry.at("shape").get<std::vector<std::int64_t>>();
        auto const begin = entry.at("data_offsets").at(0).get<std::uint64_t>();
        auto const end = entry.at("data_offsets").at(1).get<std::uint64_t>();
        tensor.values.resize((end - begin) / sizeof(float));
        file.seekg(static_cast<std::streamoff>(sizeof header_size + header_size + begin));
        file.read(reinterpret_cast<char*>(tensor.values.data()), static_cast<std::streamsize>(end - begin));
    }
    return tensors;
}

}  // namespace samner::merge
