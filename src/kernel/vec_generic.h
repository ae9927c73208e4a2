// Sixteen floats in plain C++: what the other instruction sets have to agree with, bit by bit.
#include <math.h>
#include <string.h>

namespace samner::kernel::generic {

struct Vec {
    float v[16];
};

template <class Function>
inline Vec map(Function const& function) {
    Vec r;
    for (int i = 0; i < 16; ++i) r.v[i] = function(i);
    return r;
}
inline Vec load(float const* p) {
    return map([&](int i) { return p[i]; });
}
inline Vec load_part(float const* p, std::int64_t n) {
    return map([&](int i) { return i < n ? p[i] : 0.0F; });
}
inline void store(float* p, Vec a) {
    memcpy(p, a.v, sizeof a.v);
}
inline void store_part(float* p, Vec a, std::int64_t n) {
    memcpy(p, a.v, static_cast<size_t>(n) * sizeof(float));
}
inline Vec splat(float x) {
    return map([&](int) { return x; });
}
inline Vec operator+(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator-(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec operator*(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec operator/(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] / b.v[i]; });
}
inline Vec fma(Vec a, Vec b, Vec c) {
    return map([&](int i) { return ::fmaf(a.v[i], b.v[i], c.v[i]); });
}
/// As the vector instructions: the second operand when the first is not larger (or smaller).
inline Vec max(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec min(Vec a, Vec b) {
    return map([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec root(Vec a) {
    return map([&](int i) { return ::sqrtf(a.v[i]); });
}
inline Vec absolute(Vec a) {
    return map([&](int i) { return ::fabsf(a.v[i]); });
}
inline Vec with_sign(Vec a, Vec sign) {
    return map([&](int i) { return ::copysignf(a.v[i], sign.v[i]); });
}
/// a where x < y, else b
inline Vec where_less(Vec x, Vec y, Vec a, Vec b) {
    return map([&](int i) { return x.v[i] < y.v[i] ? a.v[i] : b.v[i]; });
}
/// 2^n for whole n in -126 … 127
inline Vec exp2_whole(Vec n) {
    return map([&](int i) {
        std::uint32_t const bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n.v[i]) + 127) << 23;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    });
}

}  // namespace samner::kernel::generic
