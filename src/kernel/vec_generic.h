// Sixteen floats as four vectors of four, in the compiler's portable vector types: for processors without AVX2 and FMA.
#include <stddef.h>
#include <string.h>

#include <cstdint>

namespace samner::kernel::generic {

using Float4 = float __attribute__((vector_size(16)));
using Int4 = int __attribute__((vector_size(16)));
using Float2 = float __attribute__((vector_size(8)));
using Double2 = double __attribute__((vector_size(16)));
using Long2 = long long __attribute__((vector_size(16)));

struct Vec {
    Float4 part[4];
};

template <class Function>
inline Vec map(Function const& function) {
    return {{function(0), function(1), function(2), function(3)}};
}
inline Vec splat(float x) {
    return map([&](int) { return Float4{x, x, x, x}; });
}
inline Vec load(float const* p) {
    Vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
inline Vec load_part(float const* p, std::int64_t n) {
    Vec a = splat(0.0F);
    memcpy(&a, p, static_cast<size_t>(n < 16 ? n : 16) * sizeof(float));
    return a;
}
inline void store(float* p, Vec const& a) {
    memcpy(p, &a, sizeof a);
}
inline void store_part(float* p, Vec const& a, std::int64_t n) {
    memcpy(p, &a, static_cast<size_t>(n < 16 ? n : 16) * sizeof(float));
}
inline Vec operator+(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] + b.part[i]; });
}
inline Vec operator-(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] - b.part[i]; });
}
inline Vec operator*(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] * b.part[i]; });
}
inline Vec operator/(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] / b.part[i]; });
}
/// a * b + c with one rounding. The product is exact in double; the sum is rounded to odd there, by way of its exact
/// error (Boldo and Melquiond, 2008), so that rounding it to float is the only rounding. The C library's fmaf does the
/// same some twenty times slower where there is no FMA instruction.
inline Float2 fma(Float2 a, Float2 b, Float2 c) {
    Double2 const product = __builtin_convertvector(a, Double2) * __builtin_convertvector(b, Double2);
    Double2 const addend = __builtin_convertvector(c, Double2);
    Double2 const sum = product + addend;
    Double2 const back = sum - product;
    Double2 const error = (product - (sum - back)) + (addend - back);
    auto const bits = (Long2)sum;
    Long2 const inexact = (error > 0.0) | (error < 0.0);
    Long2 const away = (error > 0.0) ^ (sum > 0.0);  // all ones where the sum was rounded away from zero
    Long2 const odd = bits + (inexact & ~bits & 1) * (away | 1);
    return __builtin_convertvector((Double2)odd, Float2);
}
inline Vec fma(Vec const& a, Vec const& b, Vec const& c) {
    return map([&](int i) {
        auto const low = [i](Vec const& x) { return Float2{x.part[i][0], x.part[i][1]}; };
        auto const high = [i](Vec const& x) { return Float2{x.part[i][2], x.part[i][3]}; };
        auto const first = fma(low(a), low(b), low(c));
        auto const second = fma(high(a), high(b), high(c));
        return Float4{first[0], first[1], second[0], second[1]};
    });
}
/// As the vector instructions: the second operand when the first is not larger (or smaller).
inline Vec max(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] > b.part[i] ? a.part[i] : b.part[i]; });
}
inline Vec min(Vec const& a, Vec const& b) {
    return map([&](int i) { return a.part[i] < b.part[i] ? a.part[i] : b.part[i]; });
}
inline Vec root(Vec const& a) {
    return map([&](int i) {
        return Float4{__builtin_sqrtf(a.part[i][0]), __builtin_sqrtf(a.part[i][1]), __builtin_sqrtf(a.part[i][2]),
                      __builtin_sqrtf(a.part[i][3])};
    });
}
inline Vec absolute(Vec const& a) {
    return map([&](int i) { return (Float4)((Int4)a.part[i] & 0x7FFFFFFF); });
}
inline Vec with_sign(Vec const& a, Vec const& from) {
    return map([&](int i) { return (Float4)(((Int4)a.part[i] & 0x7FFFFFFF) | ((Int4)from.part[i] & ~0x7FFFFFFF)); });
}
/// a where x < y, else b
inline Vec where_less(Vec const& x, Vec const& y, Vec const& a, Vec const& b) {
    return map([&](int i) { return x.part[i] < y.part[i] ? a.part[i] : b.part[i]; });
}
/// a where x is NaN, else b
inline Vec where_nan(Vec const& x, Vec const& a, Vec const& b) {
    return map([&](int i) { return x.part[i] == x.part[i] ? b.part[i] : a.part[i]; });
}
/// 2^n for whole n in -126 … 127
inline Vec exp2_whole(Vec const& n) {
    // Adding 1.5 * 2^23 leaves n in the low bits; shifting drops the others.
    return map([&](int i) { return (Float4)(((Int4)(n.part[i] + 12582912.0F) + 127) << 23); });
}

}  // namespace samner::kernel::generic
