#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace samner {

/// In which numbers a model computes.
enum class Precision {
    fp32,
    /// Weights, activations and cached keys and values in bf16; norms, softmax, rotary positions and losses inside in
    /// fp32; the factors of an adapter that is trained, their gradients and moments in fp32, their products in bf16.
    bf16
};

constexpr auto enum_names(Precision const*) {
    return std::to_array<std::pair<std::string_view, Precision>>(
        {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}});
}

/// @param place  where the name was read, for messages
/// @throws InputError for a name other than fp32 and bf16
Precision parse_precision(std::string_view name, std::string_view place);
std::string_view to_string(Precision precision);

}  // namespace samner
