#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "model/ops.h"

namespace samner::model {

struct AtenCache : KvCache {
    kernel::AttentionShape shape{};
    at::Tensor keys;    ///< [layers, blocks * kv_block, kv_heads, head_dim]
    at::Tensor values;  ///< likewise
};

/// libtorch's operators; several after each other, in fp32, where it has none for a step.
class AtenOps : public Ops {
public:
    AtenOps(at::Device device, Precision precision);

    at::Tensor empty(at::IntArrayRef shape) const override;
    at::Tensor floats(at::IntArrayRef shape) const override;
    at::Tensor indices(std::span<std::int32_t const> values) const override;

    std::unique_ptr<Weight> prepare(Values const& weight, bool with_backward, Placement& placement) const override;
    at::Tensor place(Values const& values, bool in_fp32, Placement& placement) const override;
    void linear(Weight const& weight, at::Tensor const& x, at::Tensor& y, bool accumulate) const override;
    void linear_backward(Weight const& weight, at::Tensor const& dy, at::Tensor& dx, bool accumulate) const override;
    void matmul(Side side_a, at::Tensor const& a, Side side_b, at::Tensor const& b, float alpha, at::Tensor& c,
                bool accumulate) const override;

    void embed(at::Tensor const& table, at::Tensor const& ids, at::Tensor& y) const override;
    void gather(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const override;
    void scatter_add(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const override;

    void add(at::Tensor const& x, at::Tensor& y) const override;
    void add_bias(at::Tensor const& bias, at::Tensor& y) const override;
    void rms_norm(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor& y) const override;
    void rms_norm_backward(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor const& dy,
                           at::Tensor& dx, bool accumulate) const override;
    void layer_norm(at::Tensor const& x, at::Tensor const& weight, at::Tensor const& bias, float eps,
                    at::Tensor& y) const override;
    void gelu(at::Tensor const& x, at::Tensor& y) const override;
    void rope(at::Tensor& x, at::Tensor const& positions, int heads, at::Tensor const& cos, at::Tensor const& sin,
              bool inverse) const override;
    void swiglu(at::Tensor const& gate, at::Tensor const& up, at::Tensor& y) const override;
    void swiglu_backward(at::Tensor const& gate, at::Tensor const& up, at::Tensor const& d_out, at::Tensor& d_gate,
                         at::Tensor& d_up) const override;

    std::unique_ptr<KvCache> make_cache(kernel::AttentionShape const& shape, int layers,
                                        std::int64_t blocks) const override;
    void store_kv(KvCache& cache, int layer, KvRows const& rows, at::Tensor const& k,
                  at::Tensor const& v) const override;
    void copy_kv(KvCache const& from, std::span<std::int32_t const> from_blocks, KvCache& to,
                 std::span<std::int32_t const> to_blocks) const override;
    void attend(KvCache const& cache, int layer, KvRows const& rows, at::Tensor const& q, at::Tensor& y) const override;

    void attention(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal, at::Tensor const& q,
                   at::Tensor const& k, at::Tensor const& v, at::Tensor& y, at::Tensor& stats) const override;
    void attention_backward(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                            at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor const& y,
                            at::Tensor const& stats, at::Tensor const& d_out, at::Tensor& dq, at::Tensor& dk,
                            at::Tensor& dv) const override;

    void dropout(std::uint64_t key, std::span<kernel::DropoutRow const> rows, double p, at::Tensor const& x,
                 at::Tensor& y, bool accumulate) const override;
    std::vector<float> cross_entropy(at::Tensor& logits, at::Tensor const& targets) const override;
    void adamw(at::Tensor& parameters, at::Tensor const& gradients, at::Tensor& first_moment, at::Tensor& second_moment,
               kernel::AdamW const& settings, double learning_rate, std::int64_t step) const override;
    void scale(float factor, at::Tensor& x) const override;
    double sum_of_squares(at::Tensor const& x) const override;
    void argmax(at::Tensor const& logits, at::Tensor& best) const override;

protected:
    at::TensorOptions options(at::ScalarType type) const { return at::TensorOptions{}.dtype(type).device(device_); }
    Precision precision() const { return precision_; }

private:
    at::Device device_;
    Precision precision_;
    at::ScalarType type_;  ///< of weights and activations
};

/// Those with samner's own kernels, libtorch's flash attention and CUDA graphs (ops_cuda.cc).
/// @throws InputError where the build has no CUDA
std::unique_ptr<Ops> make_cuda_ops(at::Device device, Precision precision);

}  // namespace samner::model
