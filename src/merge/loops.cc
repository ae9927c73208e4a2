#include "merge/loops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/clones.h"

#if SAMNER_HAS_CLONES
#include <immintrin.h>
#endif

namespace samner::merge::loops {
namespace {

/// `rows` rows and `columns` (at most a panel) columns of multiply_rows, in registers of `width` bytes. The loops are
/// unrolled so that the sums stay there.
template <std::size_t width, std::size_t rows>
[[gnu::always_inline]] inline void multiply_tile(float const* left, float const* right, std::size_t rank, float scale,
                                                 float* out, std::size_t stride, std::size_t columns) {
    using Vector [[gnu::vector_size(width)]] = float;
    constexpr std::size_t lanes = width / sizeof(float);
    constexpr std::size_t vectors = panel / lanes;
    Vector sum[rows][vectors] = {};
    for (std::size_t k = 0; k < rank; ++k) {
        Vector terms[vectors];
#pragma GCC unroll 8
        for (std::size_t v = 0; v < vectors; ++v) std::memcpy(&terms[v], right + k * panel + v * lanes, sizeof(Vector));
#pragma GCC unroll 8
        for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 8
            for (std::size_t v = 0; v < vectors; ++v) sum[r][v] += left[r * rank + k] * terms[v];
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 8
        for (std::size_t v = 0; v < vectors; ++v) sum[r][v] *= scale;
        if (columns == panel) {
#pragma GCC unroll 8
            for (std::size_t v = 0; v < vectors; ++v)
                std::memcpy(out + r * stride + v * lanes, &sum[r][v], sizeof(Vector));
        } else {
            std::memcpy(out + r * stride, sum[r], columns * sizeof(float));
        }
    }
}

template <std::size_t width, std::size_t tile>
[[gnu::always_inline]] inline void multiply_all(float const* left, float const* panels, std::size_t rows,
                                                std::size_t rank, std::size_t columns, float scale, float* out) {
    for (std::size_t begin = 0; begin < columns; begin += panel, panels += rank * panel) {
        auto const here = std::min(panel, columns - begin);
        std::size_t r = 0;
        for (; r + tile <= rows; r += tile)
            multiply_tile<width, tile>(left + r * rank, panels, rank, scale, out + r * columns + begin, columns, here);
        for (; r < rows; ++r)
            multiply_tile<width, 1>(left + r * rank, panels, rank, scale, out + r * columns + begin, columns, here);
    }
}

// One version an instruction set, each with as many sums as its registers hold.
#if SAMNER_HAS_CLONES
__attribute__((target("arch=x86-64-v4"))) void multiply_rows_v4(float const* left, float const* panels,
                                                                std::size_t rows, std::size_t rank, std::size_t columns,
                                                                float scale, float* out) {
    multiply_all<64, 6>(left, panels, rows, rank, columns, scale, out);
}

__attribute__((target("avx2"))) void multiply_rows_avx2(float const* left, float const* panels, std::size_t rows,
                                                        std::size_t rank, std::size_t columns, float scale,
                                                        float* out) {
    multiply_all<32, 3>(left, panels, rows, rank, columns, scale, out);
}

__attribute__((target("arch=x86-64-v4"))) std::size_t gather_between_v4(float const* in, std::size_t size,
                                                                        std::uint32_t first, std::uint32_t last,
                                                                        std::uint32_t* out) {
    constexpr std::size_t lanes = 16;
    auto const bits = _mm512_set1_epi32(static_cast<int>(magnitude_bits));
    auto const low = _mm512_set1_epi32(static_cast<int>(first));
    auto const width = _mm512_set1_epi32(static_cast<int>(last - first));
    std::size_t found = 0;
    for (std::size_t i = 0; i < size; i += lanes) {
        auto const here = static_cast<__mmask16>(size - i < lanes ? (1U << (size - i)) - 1U : 0xFFFFU);
        auto const keys = _mm512_and_si512(_mm512_maskz_loadu_epi32(here, in + i), bits);
        auto const mask = _mm512_mask_cmple_epu32_mask(here, _mm512_sub_epi32(keys, low), width);
        auto const count = static_cast<unsigned>(std::popcount(static_cast<unsigned>(mask)));
        auto const stored = static_cast<__mmask16>((1U << count) - 1U);
        _mm512_mask_storeu_epi32(out + found, stored, _mm512_maskz_compress_epi32(mask, keys));
        found += count;
    }
    return found;
}
#endif

}  // namespace

std::size_t gather_between(float const* in, std::size_t size, std::uint32_t first, std::uint32_t last,
                           std::uint32_t* out) {
#if SAMNER_HAS_CLONES
    if (__builtin_cpu_supports("x86-64-v4")) return gather_between_v4(in, size, first, last, out);
#endif
    std::size_t found = 0;
    for (std::size_t i = 0; i < size; ++i) {
        auto const key = std::bit_cast<std::uint32_t>(in[i]) & magnitude_bits;
        out[found] = key;  // within `size`: found <= i
        found += key - first <= last - first ? 1 : 0;
    }
    return found;
}

void multiply_rows(float const* left, float const* panels, std::size_t rows, std::size_t rank, std::size_t columns,
                   float scale, float* out) {
#if SAMNER_HAS_CLONES
    if (__builtin_cpu_supports("x86-64-v4")) return multiply_rows_v4(left, panels, rows, rank, columns, scale, out);
    if (__builtin_cpu_supports("avx2")) return multiply_rows_avx2(left, panels, rows, rank, columns, scale, out);
#endif
    multiply_all<16, 1>(left, panels, rows, rank, columns, scale, out);
}

SAMNER_CLONES void keep_at_least(float const* in, float* out, std::size_t size, std::uint32_t threshold) {
    for (std::size_t i = 0; i < size; ++i) {
        auto const bits = std::bit_cast<std::uint32_t>(in[i]);
        out[i] = std::bit_cast<float>((bits & magnitude_bits) >= threshold ? bits : 0U);
    }
}

SAMNER_CLONES std::size_t count_equal(float const* in, std::size_t size, std::uint32_t magnitude) {
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < size; ++i)
        count += (std::bit_cast<std::uint32_t>(in[i]) & magnitude_bits) == magnitude ? 1U : 0U;
    return count;
}

SAMNER_CLONES void keep_drawn(float const* in, std::uint32_t const* word, float* out, std::size_t size,
                              std::uint32_t last, float divisor) {
    for (std::size_t i = 0; i < size; ++i) out[i] = word[i] <= last ? in[i] / divisor : 0.0F;
}

SAMNER_CLONES void multiply(float* values, std::size_t size, float factor) {
    for (std::size_t i = 0; i < size; ++i) values[i] *= factor;
}

SAMNER_CLONES void add(float* sum, float const* values, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) sum[i] += values[i];
}

SAMNER_CLONES void add_signs(float* sum, float const* values, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
        sum[i] += (values[i] > 0.0F ? 1.0F : 0.0F) - (values[i] < 0.0F ? 1.0F : 0.0F);
}

SAMNER_CLONES void add_scaled(float* sum, float const* values, std::size_t size, float factor) {
    for (std::size_t i = 0; i < size; ++i) sum[i] += factor * values[i];
}

SAMNER_CLONES void add_agreeing(float* sum, float* denominator, float const* elected, float const* values,
                                std::size_t size, float factor, float share) {
    for (std::size_t i = 0; i < size; ++i) {
        float const along = elected[i] >= 0.0F ? values[i] : -values[i];
        float const term = factor * values[i];
        sum[i] += along > 0.0F ? term : 0.0F;
        denominator[i] += along > 0.0F ? share : 0.0F;
    }
}

SAMNER_CLONES void divide(float* out, float const* sum, float const* denominator, std::size_t size, float least) {
    for (std::size_t i = 0; i < size; ++i)
        out[i] = sum[i] / (std::fabs(denominator[i]) < least ? 1.0F : denominator[i]);
}

SAMNER_CLONES void rank_by_comparing(std::uint32_t const* key, std::uint32_t* rank, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) rank[i] = 0;
    for (std::size_t j = 0; j < size; ++j) {
        auto const other = static_cast<std::int32_t>(key[j]);  // 31 bits, and signed comparisons are in every set
        for (std::size_t i = 0; i < j; ++i) rank[i] += static_cast<std::int32_t>(key[i]) >= other ? 1U : 0U;
        for (std::size_t i = j + 1; i < size; ++i) rank[i] += static_cast<std::int32_t>(key[i]) > other ? 1U : 0U;
    }
}

SAMNER_CLONES void subtract(float* out, float const* left, float const* right, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out[i] = left[i] - right[i];
}

}  // namespace samner::merge::loops
