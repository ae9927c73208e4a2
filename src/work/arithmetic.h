#pragma once

#include <string>
#include <string_view>

#include "core/fields.h"
#include "core/precision.h"

namespace samner::work {

/// Whether the project's own kernels compute: results then depend on nothing but the inputs.
inline bool own_kernels(std::string_view device, Precision precision) {
    return device == "cpu" && precision == Precision::fp32;
}

/// In which numbers a task computes, as far as its result depends on it. The project's own fp32 kernels give the same
/// bits on any processor; libtorch's operators promise them for the same version on the same kind of device only.
/// All processors count as one kind: in bf16 their bits may differ by instruction set, which is provenance, as are
/// ranks, threads and date.
struct Arithmetic {
    std::string device = "cpu";  ///< cpu or cuda
    Precision precision = Precision::fp32;
    std::string libtorch = {};   ///< its version, where its operators compute; else empty
    std::string processor = {};  ///< the kind of device that they compute on

    friend bool operator==(Arithmetic const&, Arithmetic const&) = default;

    /// Whether results depend on nothing but the inputs: not on slots, batches or shards.
    bool exact() const { return libtorch.empty(); }

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("device", self.device);
        visit("dtype", self.precision);
        visit("libtorch", self.libtorch, !self.libtorch.empty());
        visit("processor", self.processor, !self.libtorch.empty());
    }
};

}  // namespace samner::work
