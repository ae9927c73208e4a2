#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

/// What a fuzz target offers: libFuzzer calls it (build with SAMNER_FUZZER), or driver.cc does. Any exception that
/// leaves it, and a broken promise, is a fault.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace samner {

/// A promise of the code under test.
inline void promise(bool kept, char const* what) {
    if (kept) return;
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

}  // namespace samner
