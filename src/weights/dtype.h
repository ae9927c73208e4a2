#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace samner::weights {

/// Types of tensor elements, in the order in which safetensors files store them last to first (widest first).
enum class Dtype : std::uint8_t {
    boolean,
    u8,
    i8,
    f8_e5m2,
    f8_e4m3,
    i16,
    u16,
    f16,
    bf16,
    i32,
    u32,
    f32,
    f64,
    i64,
    u64
};

/// The name in safetensors headers: "F32", "BF16" …
std::string_view name(Dtype type) noexcept;
std::optional<Dtype> dtype_named(std::string_view name) noexcept;

/// Bytes of one element.
std::size_t size_of(Dtype type) noexcept;

/// Little-endian elements as float: F32, F16 and BF16 exactly, F64 rounded to nearest.
/// @param bytes  size_of(type) * out.size() bytes, of any alignment
/// @throws InputError when the type is another one or the sizes disagree
void to_float(Dtype type, std::span<std::byte const> bytes, std::span<float> out);

/// Floats as little-endian F32, F16 or BF16, rounded to nearest, ties to even (IEEE 754); NaN stays NaN.
/// @param out  size_of(type) * values.size() bytes
/// @throws InputError as to_float
void from_float(Dtype type, std::span<float const> values, std::span<std::byte> out);

/// Index of the first finite value that from_float makes infinite.
std::optional<std::size_t> find_too_large(Dtype type, std::span<float const> values);

/// @throws InputError naming the tensor, the index and the value that is too large for the type
[[noreturn]] void throw_too_large(std::string_view tensor, Dtype type, std::size_t index, float value);

/// from_float for a tensor of a file. @throws InputError naming the tensor, the index and the value when a finite one
/// becomes infinite
void narrow(std::string_view tensor, Dtype type, std::span<float const> values, std::span<std::byte> out);

/// Index of the first NaN or infinity.
std::optional<std::size_t> find_nonfinite(std::span<float const> values);

/// An IEEE binary16 as float, exactly; subnormals, infinities and NaN payloads included.
constexpr float half_to_float(std::uint16_t half) noexcept {
    auto const sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    auto const magnitude = static_cast<std::uint32_t>(half & 0x7FFFU);
    if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | ((magnitude & 0x3FFU) << 13));
    if (magnitude >= 0x400U) return std::bit_cast<float>(sign | ((magnitude << 13) + (112U << 23)));
    auto const subnormal = static_cast<float>(magnitude) * 0x1p-24F;
    return sign ? -subnormal : subnormal;
}

constexpr float bfloat_to_float(std::uint16_t bits) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// To nearest, ties to even; above the largest half: infinity.
constexpr std::uint16_t float_to_half(float value) noexcept {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    auto const sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
    auto const magnitude = bits & 0x7FFFFFFFU;
    auto const signed_half = [sign](std::uint32_t half) { return static_cast<std::uint16_t>(sign | half); };
    if (magnitude > 0x7F800000U) return signed_half(0x7E00U | ((magnitude >> 13) & 0x3FFU));
    if (magnitude >= 0x477FF000U) return signed_half(0x7C00U);
    if (magnitude < 0x38800000U) {
        // Subnormal halves are multiples of 2^-24, the spacing of floats in [0.5, 1): the addition rounds.
        auto const rounded = std::bit_cast<float>(magnitude) + 0.5F;
        return signed_half(std::bit_cast<std::uint32_t>(rounded) - 0x3F000000U);
    }
    return signed_half((magnitude - (112U << 23) + 0xFFFU + ((magnitude >> 13) & 1U)) >> 13);
}

/// To nearest, ties to even.
constexpr std::uint16_t float_to_bfloat(float value) noexcept {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace samner::weights
