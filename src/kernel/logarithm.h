#pragma once

#include <cstdint>

namespace samner::kernel {

// libm promises no bits: its results may change with the processor. These do not.

/// ln(x) of a positive finite x, to 4e-16 · max(1, |ln x|).
double natural_log(double x) noexcept;

/// base to the power of n >= 0.
double whole_power(double base, std::int64_t n) noexcept;

}  // namespace samner::kernel
