#pragma once

#include <compare>
#include <cstdint>

namespace samner {

/// An integer that cannot be taken for another kind of integer.
template <class Tag>
struct Id {
    constexpr explicit Id(std::int32_t raw) : value{raw} {}
    std::int32_t value;
    friend auto operator<=>(Id const&, Id const&) = default;
};

}  // namespace samner
