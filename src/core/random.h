#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace samner {

/// Philox-4x32-10 (Salmon et al., SC 2011): four random 32-bit words that are a function of key and counter alone.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept;

/// A stream of random numbers named by what it is for, never by who draws it: the same (seed, purpose) gives the same
/// numbers on any rank, and number `i` can be had without those before it.
class RandomStream {
public:
    RandomStream(std::uint64_t seed, std::string_view purpose);

    std::uint64_t bits(std::uint64_t index) const noexcept;
    double uniform(std::uint64_t index) const noexcept;  ///< in [0, 1), 53 bits
    double normal(std::uint64_t index) const noexcept;   ///< mean 0, deviation 1 (Box-Muller)

    /// An integer in [0, bound); bound > 0.
    std::uint64_t below(std::uint64_t bound, std::uint64_t index) const noexcept;

    /// 0 … size-1 in random order (Fisher-Yates, numbers 0 … size-2 of the stream).
    std::vector<std::size_t> permutation(std::size_t size) const;

private:
    std::array<std::uint32_t, 2> key_;
    std::uint64_t domain_;
};

}  // namespace samner
