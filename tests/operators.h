#pragma once

#include <memory>
#include <string>

#include "core/error.h"
#include "model/ops.h"

namespace samner {

/// Operators by the name that tests give them: kernel (samner's own on the CPU), libtorch (on the CPU) or cuda.
inline std::unique_ptr<model::Ops> operators(std::string const& name, Precision precision = Precision::fp32) {
    if (name == "kernel") return model::make_cpu_ops();
    return model::make_aten_ops(name == "cuda" ? "cuda" : "cpu", precision);
}

/// Why these operators cannot be tested here; empty where they can.
inline std::string obstacle(std::string const& name) {
    try {
        operators(name);
        return {};
    } catch (InputError const& error) {
        return error.what();
    }
}

}  // namespace samner
