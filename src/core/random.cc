#include "core/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "core/hash.h"

namespace samner {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept {
    for (int round = 0; round < 10; ++round) {
        auto const first = std::uint64_t{0xD2511F53U} * counter[0];
        auto const second = std::uint64_t{0xCD9E8D57U} * counter[2];
        counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(second),
                   static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(first)};
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    return counter;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose)
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
      domain_{std::stoull(sha256(purpose).substr(0, 16), nullptr, 16)} {}

std::uint64_t RandomStream::bits(std::uint64_t index) const noexcept {
    auto const words = philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                               static_cast<std::uint32_t>(domain_), static_cast<std::uint32_t>(domain_ >> 32)},
                              key_);
    return (std::uint64_t{words[0]} << 32) | words[1];
}

double RandomStream::uniform(std::uint64_t index) const noexcept {
    return static_cast<double>(bits(index) >> 11) * 0x1.0p-53;
}

double RandomStream::normal(std::uint64_t index) const noexcept {
    auto const radius = std::sqrt(-2.0 * std::log1p(-uniform(2 * index)));
    return radius * std::cos(2.0 * std::numbers::pi * uniform(2 * index + 1));
}

std::uint64_t RandomStream::below(std::uint64_t bound, std::uint64_t index) const noexcept {
    __extension__ using Wide = unsigned __int128;
    // The high half of the product: biased by less than bound / 2^64.
    return static_cast<std::uint64_t>((Wide{bits(index)} * bound) >> 64);
}

std::vector<std::size_t> RandomStream::permutation(std::size_t size) const {
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = 0; i + 1 < size; ++i) std::swap(order[i], order[i + below(size - i, i)]);
    return order;
}

}  // namespace samner
