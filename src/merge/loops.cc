#include "merge/loops.h"

#include <bit>
#include <cmath>

// The build's baseline is SSE2; the loader picks the widest version that the machine runs. Sanitizers instrument the
// function that picks, which runs before they are ready, so they get the baseline; so does clang, which names the
// instruction sets differently.
#if defined(__x86_64__) && defined(__ELF__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define SAMNER_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define SAMNER_CLONES
#endif

namespace samner::merge::loops {

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
