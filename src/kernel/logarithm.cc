#include "kernel/logarithm.h"

#include <cmath>
#include <numbers>

namespace samner::kernel {

double natural_log(double x) noexcept {
    if (!(x > 0) || std::isinf(x)) return x == 0 ? -HUGE_VAL : x;  // NaN stays NaN
    int exponent = 0;
    auto mantissa = std::frexp(x, &exponent);
    if (mantissa < std::numbers::sqrt2 / 2) {
        mantissa *= 2;
        --exponent;
    }
    // ln m = 2 artanh s = 2 (s + s³ / 3 + s⁵ / 5 + …) with |s| <= 0.172: what follows s²⁵ is below 1e-21.
    auto const s = (mantissa - 1) / (mantissa + 1);
    auto const square = s * s;
    double series = 0;
    for (int n = 25; n >= 3; n -= 2) series = (series + 1.0 / n) * square;
    return exponent * std::numbers::ln2 + (2 * s + 2 * s * series);
}

double whole_power(double base, std::int64_t n) noexcept {
    double result = 1;
    for (; n > 0; n /= 2, base *= base)
        if (n % 2 == 1) result *= base;
    return result;
}

}  // namespace samner::kernel
