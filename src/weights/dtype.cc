#include "weights/dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

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

void check_sizes(Dtype type, std::size_t bytes, std::size_t elements) {
    if (bytes == elements * size_of(type)) return;
    throw InputError{fmt::format("{} bytes are not {} elements of type {}", bytes, elements, name(type))};
}

template <class From, class To, class Convert>
void convert_all(std::byte const* from, std::byte* to, std::size_t elements, Convert const& convert) {
    parallel_for(0, static_cast<std::int64_t>(elements), grain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
            From value;
            std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
            To const converted = convert(value);
            std::memcpy(to + static_cast<std::size_t>(i) * sizeof(To), &converted, sizeof(To));
        }
    });
}

constexpr std::uint32_t magnitude_bits = 0x7FFFFFFFU;
constexpr std::uint32_t infinity = 0x7F800000U;

/// Index of the first value of which the condition holds.
template <class Condition>
std::optional<std::size_t> find_first(std::span<float const> values, Condition const& holds) {
    constexpr std::size_t block = 4096;
    for (std::size_t begin = 0; begin < values.size(); begin += block) {
        auto const piece = values.subspan(begin, std::min(block, values.size() - begin));
        bool any = false;  // without a way out, so that the loop is vectorised
        for (auto const value : piece) any |= holds(value);
        if (any) return begin + static_cast<std::size_t>(std::ranges::find_if(piece, holds) - piece.begin());
    }
    return std::nullopt;
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
    auto* const target = std::as_writable_bytes(out).data();
    switch (type) {
        case Dtype::f32:
            return copy(bytes, target);
        case Dtype::f16:
            return convert_all<std::uint16_t, float>(bytes.data(), target, out.size(),
                                                     [](std::uint16_t bits) { return half_to_float(bits); });
        case Dtype::bf16:
            return convert_all<std::uint16_t, float>(bytes.data(), target, out.size(),
                                                     [](std::uint16_t bits) { return bfloat_to_float(bits); });
        case Dtype::f64:
            return convert_all<double, float>(bytes.data(), target, out.size(),
                                              [](double value) { return static_cast<float>(value); });
        default:
            throw InputError{fmt::format("elements of type {} are not weights", name(type)),
                             "supported are F32, F16, BF16 and F64"};
    }
}

void from_float(Dtype type, std::span<float const> values, std::span<std::byte> out) {
    check_sizes(type, out.size(), values.size());
    auto const source = std::as_bytes(values);
    switch (type) {
        case Dtype::f32:
            return copy(source, out.data());
        case Dtype::f16:
            return convert_all<float, std::uint16_t>(source.data(), out.data(), values.size(),
                                                     [](float value) { return float_to_half(value); });
        case Dtype::bf16:
            return convert_all<float, std::uint16_t>(source.data(), out.data(), values.size(),
                                                     [](float value) { return float_to_bfloat(value); });
        default:
            throw InputError{fmt::format("weights cannot be written as {}", name(type)),
                             "supported are F32, F16 and BF16"};
    }
}

void narrow(std::string_view tensor, Dtype type, std::span<float const> values, std::span<std::byte> out) {
    from_float(type, values, out);
    // The smallest magnitude that rounds to infinity; every finite one from there on does.
    auto const first = type == Dtype::f16 ? 0x477FF000U : type == Dtype::bf16 ? 0x7F7F8000U : infinity;
    auto const too_large = [first](float value) {
        auto const bits = std::bit_cast<std::uint32_t>(value) & magnitude_bits;
        return bits >= first && bits < infinity;
    };
    if (auto const index = find_first(values, too_large)) {
        throw InputError{
            fmt::format("tensor '{}' is {} at index {}, too large for {}", tensor, values[*index], *index, name(type)),
            "use a wider type, such as F32"};
    }
}

std::optional<std::size_t> find_nonfinite(std::span<float const> values) {
    return find_first(values,
                      [](float value) { return (std::bit_cast<std::uint32_t>(value) & magnitude_bits) >= infinity; });
}

}  // namespace samner::weights
