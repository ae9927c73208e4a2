#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace samner::model {

/// A tensor of a base model: its shape, and its values (fp32, on the host) for whoever needs them.
struct Values {
    std::vector<std::int64_t> shape;
    std::function<at::Tensor()> read;
};

/// Where a base model's prepared weights are kept and who fills them. Processes that share the work make the same calls
/// in the same order; what is kept may be read when all of them are through.
class Placement {
public:
    Placement() = default;
    Placement(Placement const&) = delete;
    Placement& operator=(Placement const&) = delete;
    virtual ~Placement() = default;

    /// `count` floats on the host, 64-byte aligned. `fill` writes all of them; one of the processes that share them
    /// calls it.
    virtual std::shared_ptr<float const> host(std::size_t count, std::function<void(float*)> const& fill) = 0;

    /// The `bytes` at `data`, on the device that is current. `fill` writes all of them; the other processes get them
    /// from one that does.
    virtual void device(void* data, std::size_t bytes, std::function<void()> const& fill) = 0;
};

/// This process keeps and fills all for itself.
class OwnPlacement : public Placement {
public:
    std::shared_ptr<float const> host(std::size_t count, std::function<void(float*)> const& fill) override;
    void device(void* data, std::size_t bytes, std::function<void()> const& fill) override;
};

}  // namespace samner::model
