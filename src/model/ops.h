#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/precision.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "model/placement.h"

namespace samner::model {

/// A weight matrix [out, in] made ready for products on one device.
class Weight {
public:
    Weight(std::int64_t out, std::int64_t in) : out_{out}, in_{in} {}
    Weight(Weight const&) = delete;
    Weight& operator=(Weight const&) = delete;
    virtual ~Weight() = default;

    std::int64_t out() const { return out_; }
    std::int64_t in() const { return in_; }

private:
    std::int64_t out_;
    std::int64_t in_;
};

/// Keys and values of all layers, in blocks of kernel::kv_block positions that sequences hold by number.
class KvCache {
public:
    KvCache() = default;
    KvCache(KvCache const&) = delete;
    KvCache& operator=(KvCache const&) = delete;
    virtual ~KvCache() = default;
};

/// Where the key and value of one position are kept.
struct KvSlot {
    std::int32_t block;
    std::int32_t slot;  ///< 0 … kernel::kv_block - 1
};

/// Where the rows of a forward pass keep their keys and values, and what they attend to, as the operators read it in
/// every layer. What the rows' block tables point to has to stay while it is used.
class KvRows {
public:
    KvRows() = default;
    KvRows(KvRows const&) = delete;
    KvRows& operator=(KvRows const&) = delete;
    virtual ~KvRows() = default;

    std::vector<KvSlot> slots;
    std::vector<kernel::AttentionRow> attention;
    /// First blocks that all rows have in common, before the block of any row's last position.
    std::int64_t common = 0;
};

/// Starts of several packed sequences, rising, and the number of rows as the last, on the host and on the device.
struct Sequences {
    std::vector<std::int32_t> offsets;
    at::Tensor on_device;
    std::int32_t longest = 0;
};

/// Work of the operators that was done once and can be done again.
class Recording {
public:
    Recording() = default;
    Recording(Recording const&) = delete;
    Recording& operator=(Recording const&) = delete;
    virtual ~Recording() = default;
    virtual void replay() = 0;
};

enum class Side { plain, transposed };

/// What the models are made of, on one device. Activations are contiguous matrices [rows, features] of the
/// implementation's precision, as are norms' weights and biases; statistics, tables of rotary positions and what is
/// trained are fp32. Outputs are given by the caller and overwritten, or added to where `accumulate` says so. On the
/// CPU implementation the bits of a row depend neither on the other rows nor on threads nor on the instruction set
/// (module kernel).
class Ops {
public:
    Ops() = default;
    Ops(Ops const&) = delete;
    Ops& operator=(Ops const&) = delete;
    virtual ~Ops() = default;

    virtual std::string device_name() const { return "CPU"; }    ///< as its maker calls it, for reports
    virtual at::Tensor empty(at::IntArrayRef shape) const = 0;   ///< on the device, uninitialised
    virtual at::Tensor floats(at::IntArrayRef shape) const = 0;  ///< likewise, fp32 in every precision
    at::Tensor zeros(at::IntArrayRef shape) const;

    /// Numbers of rows, tokens or positions as the operators take them, int32.
    virtual at::Tensor indices(std::span<std::int32_t const> values) const = 0;
    Sequences sequences(std::vector<std::int32_t> offsets) const;

    /// Prepares a weight [out, in] and keeps it where `placement` says. `with_backward` also prepares
    /// `linear_backward`.
    virtual std::unique_ptr<Weight> prepare(Values const& weight, bool with_backward, Placement& placement) const = 0;
    /// Takes a copy of `weight` (fp32, on the host) for this process alone.
    std::unique_ptr<Weight> prepare(at::Tensor const& weight, bool with_backward) const;
    /// A tensor as it is, on the device, in the implementation's precision or in fp32.
    virtual at::Tensor place(Values const& values, bool in_fp32, Placement& placement) const = 0;
    /// y [rows, out] (+)= x [rows, in] · Wᵀ
    virtual void linear(Weight const& weight, at::Tensor const& x, at::Tensor& y, bool accumulate) const = 0;
    /// dx [rows, in] (+)= dy [rows, out] · W
    virtual void linear_backward(Weight const& weight, at::Tensor const& dy, at::Tensor& dx, bool accumulate) const = 0;
    /// c [m, n] (+)= alpha · a · b, each side read as it is or transposed; c may be fp32 in any precision
    virtual void matmul(Side side_a, at::Tensor const& a, Side side_b, at::Tensor const& b, float alpha, at::Tensor& c,
                        bool accumulate) const = 0;

    /// out[i] = table[ids[i]]
    virtual void embed(at::Tensor const& table, at::Tensor const& ids, at::Tensor& out) const = 0;
    /// out[i] = x[rows[i]]
    virtual void gather(at::Tensor const& x, at::Tensor const& rows, at::Tensor& out) const = 0;
    /// out[rows[i]] += x[i]; rows are distinct
    virtual void scatter_add(at::Tensor const& x, at::Tensor const& rows, at::Tensor& out) const = 0;

    virtual void add(at::Tensor const& x, at::Tensor& y) const = 0;          ///< y += x
    virtual void add_bias(at::Tensor const& bias, at::Tensor& y) const = 0;  ///< y[i] += bias
    /// y may be x.
    virtual void rms_norm(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor& y) const = 0;
    /// x += addend, then y is the norm of x: as add and rms_norm.
    virtual void add_rms_norm(at::Tensor const& addend, at::Tensor& x, at::Tensor const& weight, float eps,
                              at::Tensor& y) const;
    virtual void rms_norm_backward(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor const& dy,
                                   at::Tensor& dx, bool accumulate) const = 0;
    virtual void layer_norm(at::Tensor const& x, at::Tensor const& weight, at::Tensor const& bias, float eps,
                            at::Tensor& y) const = 0;
    virtual void gelu(at::Tensor const& x, at::Tensor& y) const = 0;  ///< the exact one, by the error function
    /// Rotates the heads of x in place; cos and sin are [positions, head_dim / 2]. `inverse` is the backward pass.
    virtual void rope(at::Tensor& x, at::Tensor const& positions, int heads, at::Tensor const& cos,
                      at::Tensor const& sin, bool inverse) const = 0;
    virtual void swiglu(at::Tensor const& gate, at::Tensor const& up, at::Tensor& out) const = 0;  ///< silu(gate) · up
    virtual void swiglu_backward(at::Tensor const& gate, at::Tensor const& up, at::Tensor const& d_out,
                                 at::Tensor& d_gate, at::Tensor& d_up) const = 0;

    virtual std::unique_ptr<KvCache> make_cache(kernel::AttentionShape const& shape, int layers,
                                                std::int64_t blocks) const = 0;
    /// Room for `count` rows that have at most `blocks` blocks each.
    virtual std::unique_ptr<KvRows> make_rows(std::int64_t count, std::int64_t blocks) const;
    /// Fills it with as many rows as it has room for. @param common  as KvRows::common; 0 is always right
    virtual void set_rows(KvRows& rows, std::vector<KvSlot> slots, std::vector<kernel::AttentionRow> attention,
                          std::int64_t common) const;
    virtual void store_kv(KvCache& cache, int layer, KvRows const& rows, at::Tensor const& k,
                          at::Tensor const& v) const = 0;
    /// Copies what blocks of one cache hold, in all layers, to as many blocks of another one of the same shape.
    virtual void copy_kv(KvCache const& from, std::span<std::int32_t const> from_blocks, KvCache& to,
                         std::span<std::int32_t const> to_blocks) const = 0;
    /// Row i attends to the positions that rows.attention[i] names. What neighbours share (AttentionRow::shared) may be
    /// gone through once for all of them.
    virtual void attend(KvCache const& cache, int layer, KvRows const& rows, at::Tensor const& q,
                        at::Tensor& out) const = 0;

    /// Attention within each of several packed sequences. @param stats  is made: what the backward pass needs
    virtual void attention(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                           at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor& out,
                           at::Tensor& stats) const = 0;
    virtual void attention_backward(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                                    at::Tensor const& q, at::Tensor const& k, at::Tensor const& v,
                                    at::Tensor const& out, at::Tensor const& stats, at::Tensor const& d_out,
                                    at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) const = 0;

    /// kernel::dropout: the same elements on every device. y (+)= x with its elements dropped or scaled
    virtual void dropout(std::uint64_t key, std::span<kernel::DropoutRow const> rows, double p, at::Tensor const& x,
                         at::Tensor& y, bool accumulate) const = 0;

    /// Replaces logits [rows, vocabulary] by the gradient of the summed cross-entropy. @return each row's loss, in nats
    virtual std::vector<float> cross_entropy(at::Tensor& logits, at::Tensor const& targets) const = 0;
    /// One AdamW step (torch.optim.AdamW: decay first, bias correction by `step`, which counts from 1) on flat tensors,
    /// fp32 like those of the next two.
    virtual void adamw(at::Tensor& parameters, at::Tensor const& gradients, at::Tensor& first_moment,
                       at::Tensor& second_moment, kernel::AdamW const& settings, double learning_rate,
                       std::int64_t step) const = 0;
    virtual void scale(float factor, at::Tensor& x) const = 0;     ///< x *= factor
    virtual double sum_of_squares(at::Tensor const& x) const = 0;  ///< by one fixed tree
    /// best [rows], int32: the largest logit's index a row, ties to the lowest.
    virtual void argmax(at::Tensor const& logits, at::Tensor& best) const = 0;
    /// What argmax left, on the host. @throws Error where a row held NaN
    std::vector<std::int32_t> found(at::Tensor const& best, std::int64_t vocabulary) const;

    /// Does `work`, and keeps it to do it again: the same operators on the same tensors, whatever these hold by then.
    /// It may not read results to the host. On a GPU a CUDA graph, elsewhere the function.
    virtual std::unique_ptr<Recording> record(std::function<void()> work) const;
    /// Whether repeating a recording is faster than doing the work.
    virtual bool gains_by_recording() const { return false; }
};

/// samner's own CPU kernels (module kernel).
std::unique_ptr<Ops> make_cpu_ops();

/// The version of libtorch, as 2.11.0.
std::string libtorch_version();

/// libtorch's operators: the reference of the CPU kernels, and the path of other devices and of bf16.
/// @param device  "cpu" or "cuda[:index]". @throws InputError when the device is not there
std::unique_ptr<Ops> make_aten_ops(std::string const& device, Precision precision = Precision::fp32);

}  // namespace samner::model
