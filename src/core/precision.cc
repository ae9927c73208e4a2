#include "core/precision.h"

#include <fmt/format.h>

#include "core/error.h"

namespace samner {

Precision parse_precision(std::string_view name, std::string_view place) {
    if (name == "fp32") return Precision::fp32;
    if (name == "bf16") return Precision::bf16;
    throw InputError{fmt::format("dtype is '{}' ({})", name, place), "use fp32 or bf16"};
}

std::string_view to_string(Precision precision) {
    return precision == Precision::fp32 ? "fp32" : "bf16";
}

}  // namespace samner
