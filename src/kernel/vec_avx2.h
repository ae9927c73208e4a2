// Sixteen floats in two AVX registers.
#include <immintrin.h>

#include <cstdint>

namespace samner::kernel::avx2 {

struct Vec {
    __m256 lo, hi;
};

inline __m256i mask_of(std::int64_t n, int first) {
    auto const count = static_cast<int>(n < 16 ? n : 16);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count - first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vec load(float const* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline Vec load_part(float const* p, std::int64_t n) {
    return {_mm256_maskload_ps(p, mask_of(n, 0)), _mm256_maskload_ps(p + 8, mask_of(n, 8))};
}
inline void store(float* p, Vec a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
inline void store_part(float* p, Vec a, std::int64_t n) {
    _mm256_maskstore_ps(p, mask_of(n, 0), a.lo);
    _mm256_maskstore_ps(p + 8, mask_of(n, 8), a.hi);
}
inline Vec splat(float x) {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline Vec operator+(Vec a, Vec b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline Vec operator-(Vec a, Vec b) {
    return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline Vec operator*(Vec a, Vec b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline Vec operator/(Vec a, Vec b) {
    return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline Vec fma(Vec a, Vec b, Vec c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec max(Vec a, Vec b) {
    return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline Vec min(Vec a, Vec b) {
    return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline Vec root(Vec a) {
    return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
inline Vec absolute(Vec a) {
    auto const sign = _mm256_set1_ps(-0.0F);
    return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline Vec with_sign(Vec a, Vec from) {
    auto const sign = _mm256_set1_ps(-0.0F);
    auto const half = [&](__m256 x, __m256 y) {
        return _mm256_or_ps(_mm256_andnot_ps(sign, x), _mm256_and_ps(sign, y));
    };
    return {half(a.lo, from.lo), half(a.hi, from.hi)};
}
inline Vec where_less(Vec x, Vec y, Vec a, Vec b) {
    return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, y.lo, _CMP_LT_OQ)),
            _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, y.hi, _CMP_LT_OQ))};
}
/// a where x is NaN, else b
inline Vec where_nan(Vec x, Vec a, Vec b) {
    return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, x.lo, _CMP_UNORD_Q)),
            _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, x.hi, _CMP_UNORD_Q))};
}
inline Vec exp2_whole(Vec n) {
    auto const half = [](__m256 x) {
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127)), 23));
    };
    return {half(n.lo), half(n.hi)};
}

}  // namespace samner::kernel::avx2
