#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace samner::weights {

/// Types of tensor data in GGUF files that can be read, with ggml's numbers (ggml.h, enum ggml_type).
enum class GgufType : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    bf16 = 30,
};

/// What a type looks like and how its blocks become floats.
struct GgufTypeFacts {
    GgufType type;
    std::string_view name;      ///< as in ggml: "Q4_1"
    std::int64_t block_values;  ///< values of a block; rows hold whole blocks
    std::int64_t block_bytes;
    void (*dequantise)(std::byte const* block, float* out);
};

/// @throws InputError naming the type beside the supported ones; `place` says where it stands
GgufTypeFacts const& gguf_type_facts(std::uint32_t type, std::string_view place);
GgufTypeFacts const& gguf_type_facts(GgufType type) noexcept;

/// Quantised blocks as float: each value by float32 operations rounded one at a time in the order of the gguf Python
/// package (gguf.quants), so results are bit-equal to it.
/// @param bytes  whole blocks
/// @param out    as many values as the blocks hold
/// @throws InputError when the sizes disagree
void dequantise(GgufType type, std::span<std::byte const> bytes, std::span<float> out);

}  // namespace samner::weights
