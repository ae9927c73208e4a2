#include "weights/dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/clones.h"
#include "core/error.h"
#include "core/parallel.h"

namespace samner::weights {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

struct DtypeFacts {
    std::string_view name;
    std::size_t size;
};

/// In the order of the enumeration.
constexpr auto facts = std::to_array<DtypeFacts>({{"BOOL", 1},
                                                  {"U8", 1},
                                                  {"I8", 1},
                                                  {"F8_E5M2", 1},
                                                  {"F8_E4M3", 1},
                                                  {"I16", 2},
                                                  {"U16", 2},
                                                  {"F16", 2},
                                                  {"BF16", 2},
                                                  {"I32", 4},
                                                  {"U32", 4},
                                                  {"F32", 4},
                                                  {"F64", 8},
                                                  {"I64", 8},
                                                  {"U64", 8}});
static_assert(facts.size() == static_cast<std::size_t>(Dtype::u64) + 1);

constexpr std::int64_t grain = 1 << 16;

template <class T>
T load(std::byte const* from, std::size_t index) {
    T value;
    std::memcpy(&value, from + index * sizeof(T), sizeof(T));
    return value;
}

template <class T>
void store(std::byte* to, std::size_t index, T value) {
    std::memcpy(to + index * sizeof(T), &value, sizeof(T));
}

void check_sizes(Dtype type, std::size_t bytes, std::size_t elements) {
    if (bytes == elements * size_of(type)) return;
    throw InputError{fmt::format("{} bytes are not {} elements of type {}", bytes, elements, name(type))};
}

// Loops over elements of any alignment.

SAMNER_CLONES void widen_half(std::byte const* from, float* to, std::size_t elements) {
    for (std::size_t i = 0; i < elements; ++i) to[i] = half_to_float(load<std::uint16_t>(from, i));
}

SAMNER_CLONES void widen_bfloat(std::byte const* from, float* to, std::size_t elements) {
    for (std::size_t i = 0; i < elements; ++i) to[i] = bfloat_to_float(load<std::uint16_t>(from, i));
}

SAMNER_CLONES void narrow_double(std::byte const* from, float* to, std::size_t elements) {
    for (std::size_t i = 0; i < elements; ++i) to[i] = static_cast<float>(load<double>(from, i));
}

SAMNER_CLONES void narrow_to_half(float const* from, std::byte* to, std::size_t elements) {
    for (std::size_t i = 0; i < elements; ++i) store(to, i, float_to_half(from[i]));
}

SAMNER_CLONES void narrow_to_bfloat(float const* from, std::byte* to, std::size_t elements) {
    for (std::size_t i = 0; i < elements; ++i) store(to, i, float_to_bfloat(from[i]));
}

constexpr std::uint32_t magnitude_bits = 0x7FFFFFFFU;
constexpr std::uint32_t infinity = 0x7F800000U;

/// Whether a magnitude lies in [first, end). Without a way out of the loop, so that it is vectorised.
SAMNER_CLONES bool any_between(float const* values, std::size_t elements, std::uint32_t first, std::uint32_t end) {
    std::uint32_t any = 0;
    for (std::size_t i = 0; i < elements; ++i)
        any |= (std::bit_cast<std::uint32_t>(values[i]) & magnitude_bits) - first < end - first ? 1U : 0U;
    return any != 0;
}

/// Index of the first value whose magnitude bits lie in [first, end).
std::optional<std::size_t> find_between(std::span<float const> values, std::uint32_t first, std::uint32_t end) {
    constexpr std::size_t block = 4096;
    for (std::size_t begin = 0; begin < values.size(); begin += block) {
        auto const piece = values.subspan(begin, std::min(block, values.size() - begin));
        if (!any_between(piece.data(), piece.size(), first, end)) continue;
        for (std::size_t i = 0; i < piece.size(); ++i)
            if (any_between(&piece[i], 1, first, end)) return begin + i;
    }
    return std::nullopt;
}

/// Calls `convert(from, to, elements)` for pieces of `elements` elements, on several threads.
template <class From, class To, class Convert>
void convert_all(From const* from, std::size_t from_step, To* to, std::size_t to_step, std::size_t elements,
                 Convert const& convert) {
    parallel_for(0, static_cast<std::int64_t>(elements), grain, [&](std::int64_t first, std::int64_t last) {
        auto const begin = static_cast<std::size_t>(first);
        convert(from + begin * from_step, to + begin * to_step, static_cast<std::size_t>(last) - begin);
    });
}

void copy(std::span<std::byte const> from, std::byte* to) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

}  // namespace

std::string_view name(Dtype type) noexcept {
    return facts[static_cast<std::size_t>(type)].name;
}

std::optional<Dtype> dtype_named(std::string_view name) noexcept {
    for (std::size_t i = 0; i < facts.size(); ++i) {
        if (facts[i].name == name) return static_cast<Dtype>(i);
    }
    return std::nullopt;
}

std::size_t size_of(Dtype type) noexcept {
    return facts[static_cast<std::size_t>(type)].size;
}

void to_float(Dtype type, std::span<std::byte const> bytes, std::span<float> out) {
    check_sizes(type, bytes.size(), out.size());
    switch (type) {
        case Dtype::f32:
            return copy(bytes, std::as_writable_bytes(out).data());
        case Dtype::f16:
            return convert_all(bytes.data(), 2, out.data(), 1, out.size(), widen_half);
        case Dtype::bf16:
            return convert_all(bytes.data(), 2, out.data(), 1, out.size(), widen_bfloat);
        case Dtype::f64:
            return convert_all(bytes.data(), 8, out.data(), 1, out.size(), narrow_double);
        default:
            throw InputError{fmt::format("elements of type {} are not weights", name(type)),
                             "supported are F32, F16, BF16 and F64"};
    }
}

void from_float(Dtype type, std::span<float const> values, std::span<std::byte> out) {
    check_sizes(type, out.size(), values.size());
    switch (type) {
        case Dtype::f32:
            return copy(std::as_bytes(values), out.data());
        case Dtype::f16:
            return convert_all(values.data(), 1, out.data(), 2, out.size() / 2, narrow_to_half);
        case Dtype::bf16:
            return convert_all(values.data(), 1, out.data(), 2, out.size() / 2, narrow_to_bfloat);
        default:
            throw InputError{fmt::format("weights cannot be written as {}", name(type)),
                             "supported are F32, F16 and BF16"};
    }
}

std::optional<std::size_t> find_too_large(Dtype type, std::span<float const> values) {
    // The smallest magnitude that rounds to infinity; every finite one from there on does.
    auto const first = type == Dtype::f16 ? 0x477FF000U : type == Dtype::bf16 ? 0x7F7F8000U : infinity;
    return find_between(values, first, infinity);
}

void throw_too_large(std::string_view tensor, Dtype type, std::size_t index, float value) {
    throw InputError{fmt::format("tensor '{}' is {} at index {}, too large for {}", tensor, value, index, name(type)),
                     "use a wider type, such as F32"};
}

void narrow(std::string_view tensor, Dtype type, std::span<float const> values, std::span<std::byte> out) {
    from_float(type, values, out);
    if (auto const index = find_too_large(type, values)) throw_too_large(tensor, type, *index, values[*index]);
}

std::optional<std::size_t> find_nonfinite(std::span<float const> values) {
    return find_between(values, infinity, magnitude_bits + 1);
}

}  // namespace samner::weights
