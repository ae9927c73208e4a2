#include "weights/quant.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "weights/dtype.h"

namespace samner::weights {
namespace {

/// Bytes of a block as unsigned numbers.
class Block {
public:
    explicit Block(std::byte const* bytes) : bytes_{bytes} {}

    unsigned at(int index) const { return std::to_integer<unsigned>(bytes_[index]); }
    int signed_at(int index) const { return static_cast<std::int8_t>(bytes_[index]); }
    float half(int index) const { return half_to_float(word(index)); }
    std::uint16_t word(int index) const {
        std::uint16_t value;
        std::memcpy(&value, bytes_ + index, sizeof value);
        return value;
    }

private:
    std::byte const* bytes_;
};

float as_float(unsigned value) {
    return static_cast<float>(value);
}
float as_float(int value) {
    return static_cast<float>(value);
}

void f32_values(std::byte const* block, float* out) {
    std::memcpy(out, block, sizeof *out);
}

void f16_values(std::byte const* block, float* out) {
    *out = Block{block}.half(0);
}

void bf16_values(std::byte const* block, float* out) {
    *out = bfloat_to_float(Block{block}.word(0));
}

/// 32 values: half d, then 16 bytes whose low nibbles are values 0-15 and high nibbles 16-31.
void q4_0_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(0);
    for (int i = 0; i < 16; ++i) {
        out[i] = d * as_float(static_cast<int>(block.at(2 + i) & 15U) - 8);
        out[16 + i] = d * as_float(static_cast<int>(block.at(2 + i) >> 4) - 8);
    }
}

void q4_1_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(0);
    auto const m = block.half(2);
    for (int i = 0; i < 16; ++i) {
        out[i] = d * as_float(block.at(4 + i) & 15U) + m;
        out[16 + i] = d * as_float(block.at(4 + i) >> 4) + m;
    }
}

/// Value `i` of 32 with five bits: a nibble as in Q4_0 at `low`, the fifth bit from the 32 bits at `high`.
int five_bits(Block const& block, int high, int low, int i) {
    auto const nibble = (block.at(low + i % 16) >> (i < 16 ? 0 : 4)) & 15U;
    auto const fifth = (block.at(high + i / 8) >> (i % 8)) & 1U;
    return static_cast<int>(nibble | (fifth << 4));
}

void q5_0_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(0);
    for (int i = 0; i < 32; ++i) out[i] = d * as_float(five_bits(block, 2, 6, i) - 16);
}

void q5_1_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(0);
    auto const m = block.half(2);
    for (int i = 0; i < 32; ++i) out[i] = d * as_float(five_bits(block, 4, 8, i)) + m;
}

void q8_0_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(0);
    for (int i = 0; i < 32; ++i) out[i] = as_float(block.signed_at(2 + i)) * d;
}

/// 256 values in 16 groups: scales and minima as nibbles [16], two-bit values [64], halves d and dmin.
void q2_k_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(80);
    auto const dmin = block.half(82);
    for (int i = 0; i < 256; ++i) {
        auto const scale = block.at(i / 16);
        auto const value = (block.at(16 + (i / 128) * 32 + i % 32) >> (2 * ((i / 32) % 4))) & 3U;
        out[i] = d * as_float(scale & 15U) * as_float(value) - dmin * as_float(scale >> 4);
    }
}

/// 256 values in 16 groups: high bits [32], low two bits [64], six-bit scales [12], half d.
void q3_k_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(108);
    std::array<float, 16> scale{};
    for (int group = 0; group < 16; ++group) {
        auto const low = (block.at(96 + group % 8) >> (group < 8 ? 0 : 4)) & 15U;
        auto const high = (block.at(104 + group % 4) >> (2 * (group / 4))) & 3U;
        scale[static_cast<std::size_t>(group)] = d * as_float(static_cast<int>(low | (high << 4)) - 32);
    }
    for (int i = 0; i < 256; ++i) {
        auto const low = (block.at(32 + (i / 128) * 32 + i % 32) >> (2 * ((i / 32) % 4))) & 3U;
        auto const absent = ((block.at(i % 32) >> (i / 32)) & 1U) ^ 1U;
        auto const value = static_cast<int>(low) - static_cast<int>(absent << 2);
        out[i] = scale[static_cast<std::size_t>(i / 16)] * as_float(value);
    }
}

struct ScaleAndMin {
    float scale;
    float min;
};

/// The eight scales and minima of Q4_K and Q5_K, six bits each in 12 bytes at byte 4, times the halves before them.
std::array<ScaleAndMin, 8> k_scales(Block const& block) {
    auto const d = block.half(0);
    auto const dmin = block.half(2);
    std::array<ScaleAndMin, 8> scales{};
    for (int i = 0; i < 4; ++i) {
        auto const first = block.at(4 + i);
        auto const second = block.at(8 + i);
        auto const third = block.at(12 + i);
        scales[static_cast<std::size_t>(i)] = {d * as_float(first & 63U), dmin * as_float(second & 63U)};
        scales[static_cast<std::size_t>(i + 4)] = {d * as_float((third & 15U) | ((first >> 2) & 48U)),
                                                   dmin * as_float((third >> 4) | ((second >> 2) & 48U))};
    }
    return scales;
}

/// Nibble `i` of 256: each 32 bytes hold 32 values in their low and the next 32 in their high nibbles.
unsigned k_nibble(Block const& block, int start, int i) {
    return (block.at(start + (i / 64) * 32 + i % 32) >> (4 * ((i / 32) % 2))) & 15U;
}

void q4_k_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const scales = k_scales(block);
    for (int i = 0; i < 256; ++i) {
        auto const [scale, min] = scales[static_cast<std::size_t>(i / 32)];
        out[i] = scale * as_float(k_nibble(block, 16, i)) - min;
    }
}

void q5_k_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const scales = k_scales(block);
    for (int i = 0; i < 256; ++i) {
        auto const [scale, min] = scales[static_cast<std::size_t>(i / 32)];
        auto const fifth = (block.at(16 + i % 32) >> (i / 32)) & 1U;
        out[i] = scale * as_float(k_nibble(block, 48, i) | (fifth << 4)) - min;
    }
}

/// 256 values in 16 groups: low nibbles [128], high two bits [64], signed scales [16], half d.
void q6_k_values(std::byte const* bytes, float* out) {
    Block const block{bytes};
    auto const d = block.half(208);
    for (int i = 0; i < 256; ++i) {
        auto const low = (block.at((i / 128) * 64 + i % 64) >> (4 * ((i / 64) % 2))) & 15U;
        auto const high = (block.at(128 + (i / 128) * 32 + i % 32) >> (2 * ((i / 32) % 4))) & 3U;
        auto const scale = d * as_float(block.signed_at(192 + i / 16));
        out[i] = scale * as_float(static_cast<int>(low | (high << 4)) - 32);
    }
}

constexpr auto types = std::to_array<GgufTypeFacts>({{GgufType::f32, "F32", 1, 4, f32_values},
                                                     {GgufType::f16, "F16", 1, 2, f16_values},
                                                     {GgufType::bf16, "BF16", 1, 2, bf16_values},
                                                     {GgufType::q8_0, "Q8_0", 32, 34, q8_0_values},
                                                     {GgufType::q4_0, "Q4_0", 32, 18, q4_0_values},
                                                     {GgufType::q4_1, "Q4_1", 32, 20, q4_1_values},
                                                     {GgufType::q5_0, "Q5_0", 32, 22, q5_0_values},
                                                     {GgufType::q5_1, "Q5_1", 32, 24, q5_1_values},
                                                     {GgufType::q2_k, "Q2_K", 256, 84, q2_k_values},
                                                     {GgufType::q3_k, "Q3_K", 256, 110, q3_k_values},
                                                     {GgufType::q4_k, "Q4_K", 256, 144, q4_k_values},
                                                     {GgufType::q5_k, "Q5_K", 256, 176, q5_k_values},
                                                     {GgufType::q6_k, "Q6_K", 256, 210, q6_k_values}});

/// Names of types that ggml knows and this reader does not, for the message.
constexpr auto unsupported = std::to_array<std::pair<std::uint32_t, std::string_view>>({{9, "Q8_1"},
                                                                                        {15, "Q8_K"},
                                                                                        {16, "IQ2_XXS"},
                                                                                        {17, "IQ2_XS"},
                                                                                        {18, "IQ3_XXS"},
                                                                                        {19, "IQ1_S"},
                                                                                        {20, "IQ4_NL"},
                                                                                        {21, "IQ3_S"},
                                                                                        {22, "IQ2_S"},
                                                                                        {23, "IQ4_XS"},
                                                                                        {24, "I8"},
                                                                                        {25, "I16"},
                                                                                        {26, "I32"},
                                                                                        {27, "I64"},
                                                                                        {28, "F64"},
                                                                                        {29, "IQ1_M"},
                                                                                        {34, "TQ1_0"},
                                                                                        {35, "TQ2_0"},
                                                                                        {39, "MXFP4"}});

GgufTypeFacts const* find_type(std::uint32_t type) noexcept {
    auto const* const found = std::find_if(types.begin(), types.end(), [&](GgufTypeFacts const& facts) {
        return static_cast<std::uint32_t>(facts.type) == type;
    });
    return found == types.end() ? nullptr : found;
}

}  // namespace

GgufTypeFacts const& gguf_type_facts(std::uint32_t type, std::string_view place) {
    if (auto const* facts = find_type(type)) return *facts;
    auto const* const known =
        std::find_if(unsupported.begin(), unsupported.end(), [&](auto const& entry) { return entry.first == type; });
    std::vector<std::string_view> names;
    for (auto const& facts : types) names.push_back(facts.name);
    throw InputError{fmt::format("tensor type {} ({}) is not supported ({})",
                                 known == unsupported.end() ? "unknown" : known->second, type, place),
                     fmt::format("supported are {}", fmt::join(names, ", "))};
}

GgufTypeFacts const& gguf_type_facts(GgufType type) noexcept {
    return *find_type(static_cast<std::uint32_t>(type));
}

void dequantise(GgufType type, std::span<std::byte const> bytes, std::span<float> out) {
    auto const& facts = gguf_type_facts(type);
    auto const blocks = static_cast<std::int64_t>(bytes.size()) / facts.block_bytes;
    if (blocks * facts.block_bytes != static_cast<std::int64_t>(bytes.size()) ||
        blocks * facts.block_values != static_cast<std::int64_t>(out.size())) {
        throw InputError{
            fmt::format("{} bytes of type {} do not hold {} values", bytes.size(), facts.name, out.size())};
    }
    if (type == GgufType::f32) return to_float(Dtype::f32, bytes, out);
    if (type == GgufType::f16) return to_float(Dtype::f16, bytes, out);
    if (type == GgufType::bf16) return to_float(Dtype::bf16, bytes, out);
    auto const grain = std::max<std::int64_t>(1, (1 << 16) / facts.block_values);
    parallel_for(0, blocks, grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto block = begin; block < end; ++block) {
            facts.dequantise(bytes.data() + block * facts.block_bytes, out.data() + block * facts.block_values);
        }
    });
}

}  // namespace samner::weights
