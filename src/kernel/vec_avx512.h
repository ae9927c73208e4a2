// Sixteen floats in one AVX-512 register.
#include <immintrin.h>

#include <cstdint>

namespace samner::kernel::avx512 {

struct Vec {
    __m512 v;
};

inline __mmask16 mask_of(std::int64_t n) {
    return static_cast<__mmask16>(n >= 16 ? 0xFFFF : (1 << n) - 1);
}
inline Vec load(float const* p) {
    return {_mm512_loadu_ps(p)};
}
inline Vec load_part(float const* p, std::int64_t n) {
    return {_mm512_maskz_loadu_ps(mask_of(n), p)};
}
inline void store(float* p, Vec a) {
    _mm512_storeu_ps(p, a.v);
}
inline void store_part(float* p, Vec a, std::int64_t n) {
    _mm512_mask_storeu_ps(p, mask_of(n), a.v);
}
inline Vec splat(float x) {
    return {_mm512_set1_ps(x)};
}
inline Vec operator+(Vec a, Vec b) {
    return {_mm512_add_ps(a.v, b.v)};
}
inline Vec operator-(Vec a, Vec b) {
    return {_mm512_sub_ps(a.v, b.v)};
}
inline Vec operator*(Vec a, Vec b) {
    return {_mm512_mul_ps(a.v, b.v)};
}
inline Vec operator/(Vec a, Vec b) {
    return {_mm512_div_ps(a.v, b.v)};
}
inline Vec fma(Vec a, Vec b, Vec c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline Vec max(Vec a, Vec b) {
    return {_mm512_max_ps(a.v, b.v)};
}
inline Vec min(Vec a, Vec b) {
    return {_mm512_min_ps(a.v, b.v)};
}
inline Vec root(Vec a) {
    return {_mm512_sqrt_ps(a.v)};
}
inline Vec absolute(Vec a) {
    return {_mm512_abs_ps(a.v)};
}
inline Vec with_sign(Vec a, Vec from) {
    auto const sign = _mm512_set1_epi32(static_cast<int>(0x80000000U));
    auto const bits = _mm512_or_epi32(_mm512_andnot_epi32(sign, _mm512_castps_si512(a.v)),
                                      _mm512_and_epi32(sign, _mm512_castps_si512(from.v)));
    return {_mm512_castsi512_ps(bits)};
}
inline Vec where_less(Vec x, Vec y, Vec a, Vec b) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, y.v, _CMP_LT_OQ), b.v, a.v)};
}
/// a where x is NaN, else b
inline Vec where_nan(Vec x, Vec a, Vec b) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q), b.v, a.v)};
}
inline Vec exp2_whole(Vec n) {
    return {
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23))};
}

}  // namespace samner::kernel::avx512
