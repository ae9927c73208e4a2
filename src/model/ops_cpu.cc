#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "kernel/gemm.h"
#include "model/ops.h"

namespace samner::model {
namespace {

float const* in(at::Tensor const& tensor) {
    return tensor.const_data_ptr<float>();
}
float* out(at::Tensor& tensor) {
    return tensor.mutable_data_ptr<float>();
}
std::int64_t width(at::Tensor const& tensor) {
    return tensor.size(1);
}
std::span<std::int32_t const> integers(at::Tensor const& tensor) {
    return {tensor.const_data_ptr<std::int32_t>(), static_cast<std::size_t>(tensor.numel())};
}

struct CpuWeight : Weight {
    using Weight::Weight;
    kernel::PackedMatrix forward;   ///< y = x · Wᵀ
    kernel::PackedMatrix backward;  ///< dx = dy · W; empty unless asked for
};

struct CpuCache : KvCache {
    kernel::AttentionShape shape;
    int layers;
    std::int64_t layer_size;
    at::Tensor keys;
    at::Tensor values;

    kernel::KvPool layer(int index) const {
        auto const offset = index * layer_size;
        return {keys.mutable_data_ptr<float>() + offset, values.mutable_data_ptr<float>() + offset};
    }
};

class CpuOps : public Ops {
public:
    at::Tensor empty(at::IntArrayRef shape) const override {
        return at::empty(shape, at::TensorOptions{}.dtype(at::kFloat));
    }
    at::Tensor floats(at::IntArrayRef shape) const override { return empty(shape); }

    at::Tensor indices(std::span<std::int32_t const> values) const override {
        auto tensor = at::Tensor{at::empty({std::ssize(values)}, at::TensorOptions{}.dtype(at::kInt))};
        std::ranges::copy(values, tensor.mutable_data_ptr<std::int32_t>());
        return tensor;
    }

    std::unique_ptr<Weight> prepare(Values const& weight, bool with_backward, Placement& placement) const override {
        using kernel::PackedMatrix;
        auto const rows = weight.shape[0];
        auto const columns = weight.shape[1];
        auto const forward = PackedMatrix::floats(columns, rows);
        auto const backward = with_backward ? PackedMatrix::floats(rows, columns) : 0;
        auto const memory = placement.host(forward + backward, [&](float* to) {
            auto const values = weight.read();
            PackedMatrix::pack_weight(in(values), rows, columns, columns, to);
            if (with_backward) PackedMatrix::pack_matrix(in(values), rows, columns, columns, 1.0F, to + forward);
        });
        auto result = std::make_unique<CpuWeight>(rows, columns);
        result->forward = {columns, rows, memory};
        if (with_backward) result->backward = {rows, columns, {memory, memory.get() + forward}};
        return result;
    }

    at::Tensor place(Values const& values, bool /*in_fp32*/, Placement& placement) const override {
        auto const count = static_cast<std::size_t>(c10::multiply_integers(values.shape));
        auto memory = placement.host(count, [&](float* to) { std::copy_n(in(values.read()), count, to); });
        auto* const data = const_cast<float*>(memory.get());  // nobody writes to it
        return at::from_blob(
            data, values.shape, [memory = std::move(memory)](void*) {}, at::kFloat);
    }

    void linear(Weight const& weight, at::Tensor const& x, at::Tensor& y, bool accumulate) const override {
        kernel::gemm(x.size(0), in(x), width(x), static_cast<CpuWeight const&>(weight).forward, out(y), width(y),
                     accumulate);
    }

    void linear_backward(Weight const& weight, at::Tensor const& dy, at::Tensor& dx, bool accumulate) const override {
        kernel::gemm(dy.size(0), in(dy), width(dy), static_cast<CpuWeight const&>(weight).backward, out(dx), width(dx),
                     accumulate);
    }

    void matmul(Side side_a, at::Tensor const& a, Side side_b, at::Tensor const& b, float alpha, at::Tensor& c,
                bool accumulate) const override {
        auto const op = [](Side side) { return side == Side::plain ? kernel::Op::none : kernel::Op::transpose; };
        auto const depth = side_a == Side::plain ? a.size(1) : a.size(0);
        kernel::gemm(op(side_a), op(side_b), c.size(0), c.size(1), depth, alpha, in(a), width(a), in(b), width(b),
                     out(c), width(c), accumulate);
    }

    void embed(at::Tensor const& table, at::Tensor const& ids, at::Tensor& y) const override { gather(table, ids, y); }

    void gather(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const override {
        auto const n = width(x);
        auto const numbers = integers(rows);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            std::copy_n(in(x) + numbers[i] * n, n, out(y) + static_cast<std::int64_t>(i) * n);
        }
    }

    void scatter_add(at::Tensor const& x, at::Tensor const& rows, at::Tensor& y) const override {
        auto const n = width(x);
        auto const numbers = integers(rows);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            auto const* const from = in(x) + static_cast<std::int64_t>(i) * n;
            auto* const to = out(y) + numbers[i] * n;
            for (std::int64_t j = 0; j < n; ++j) to[j] += from[j];
        }
    }

    void add(at::Tensor const& x, at::Tensor& y) const override { kernel::add(in(x), out(y), x.numel()); }

    void add_bias(at::Tensor const& bias, at::Tensor& y) const override {
        kernel::add_bias(in(bias), y.size(0), width(y), out(y));
    }

    void rms_norm(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor& y) const override {
        kernel::rms_norm(in(x), in(weight), eps, x.size(0), width(x), out(y));
    }

    void rms_norm_backward(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor const& dy,
                           at::Tensor& dx, bool accumulate) const override {
        kernel::rms_norm_backward(in(x), in(weight), eps, in(dy), x.size(0), width(x), out(dx), accumulate);
    }

    void layer_norm(at::Tensor const& x, at::Tensor const& weight, at::Tensor const& bias, float eps,
                    at::Tensor& y) const override {
        kernel::layer_norm(in(x), in(weight), in(bias), eps, x.size(0), width(x), out(y));
    }
    void gelu(at::Tensor const& x, at::Tensor& y) const override { kernel::gelu(in(x), out(y), x.numel()); }

    void rope(at::Tensor& x, at::Tensor const& positions, int heads, at::Tensor const& cos, at::Tensor const& sin,
              bool inverse) const override {
        kernel::rope(out(x), width(x), integers(positions), heads, static_cast<int>(2 * width(cos)), in(cos), in(sin),
                     inverse);
    }

    void swiglu(at::Tensor const& gate, at::Tensor const& up, at::Tensor& y) const override {
        kernel::swiglu(in(gate), in(up), out(y), y.numel());
    }

    void swiglu_backward(at::Tensor const& gate, at::Tensor const& up, at::Tensor const& d_out, at::Tensor& d_gate,
                         at::Tensor& d_up) const override {
        kernel::swiglu_backward(in(gate), in(up), in(d_out), out(d_gate), out(d_up), d_out.numel());
    }

    std::unique_ptr<KvCache> make_cache(kernel::AttentionShape const& shape, int layers,
                                        std::int64_t blocks) const override {
        auto cache = std::make_unique<CpuCache>();
        cache->shape = shape;
        cache->layers = layers;
        cache->layer_size = blocks * shape.kv_heads * shape.head_dim * kernel::kv_block;
        // Zeros, so that the unused slots of a block hold finite numbers.
        cache->keys = at::zeros({layers * cache->layer_size}, at::TensorOptions{}.dtype(at::kFloat));
        cache->values = at::zeros({layers * cache->layer_size}, at::TensorOptions{}.dtype(at::kFloat));
        return cache;
    }

    void store_kv(KvCache& cache, int layer, KvRows const& rows, at::Tensor const& k,
                  at::Tensor const& v) const override {
        auto const& ours = static_cast<CpuCache const&>(cache);
        for (std::size_t i = 0; i < rows.slots.size(); ++i) {
            auto const row = static_cast<std::int64_t>(i);
            auto const& [block, slot] = rows.slots[i];
            kernel::store_kv(ours.shape, ours.layer(layer), block, slot, in(k) + row * width(k),
                             in(v) + row * width(v));
        }
    }

    void copy_kv(KvCache const& from, std::span<std::int32_t const> from_blocks, KvCache& to,
                 std::span<std::int32_t const> to_blocks) const override {
        auto const& source = static_cast<CpuCache const&>(from);
        auto const& target = static_cast<CpuCache const&>(to);
        auto const size = source.shape.kv_heads * source.shape.head_dim * kernel::kv_block;
        for (int layer = 0; layer < source.layers; ++layer) {
            for (std::size_t i = 0; i < from_blocks.size(); ++i) {
                auto const copy = [&](float const* x, float* y) {
                    std::copy_n(x + from_blocks[i] * size, size, y + to_blocks[i] * size);
                };
                copy(source.layer(layer).keys, target.layer(layer).keys);
                copy(source.layer(layer).values, target.layer(layer).values);
            }
        }
    }

    void attend(KvCache const& cache, int layer, KvRows const& rows, at::Tensor const& q,
                at::Tensor& y) const override {
        auto const& ours = static_cast<CpuCache const&>(cache);
        kernel::paged_attention(ours.shape, ours.layer(layer), rows.attention, in(q), width(q), out(y), width(y));
    }

    void attention(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal, at::Tensor const& q,
                   at::Tensor const& k, at::Tensor const& v, at::Tensor& y, at::Tensor& stats) const override {
        stats = empty({q.size(0), 2 * shape.heads});
        kernel::attention_forward(shape, sequences.offsets, causal, in(q), width(q), in(k), width(k), in(v), width(v),
                                  out(y), width(y), out(stats));
    }

    void attention_backward(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                            at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor const& y,
                            at::Tensor const& stats, at::Tensor const& d_out, at::Tensor& dq, at::Tensor& dk,
                            at::Tensor& dv) const override {
        kernel::attention_backward(shape, sequences.offsets, causal, in(q), width(q), in(k), width(k), in(v), width(v),
                                   in(y), width(y), in(stats), in(d_out), width(d_out), out(dq), width(dq), out(dk),
                                   width(dk), out(dv), width(dv));
    }

    void dropout(std::uint64_t key, std::span<kernel::DropoutRow const> rows, double p, at::Tensor const& x,
                 at::Tensor& y, bool accumulate) const override {
        kernel::dropout(key, rows, p, in(x), width(x), out(y), accumulate);
    }

    std::vector<float> cross_entropy(at::Tensor& logits, at::Tensor const& targets) const override {
        std::vector<float> loss(static_cast<std::size_t>(targets.numel()));
        kernel::cross_entropy(out(logits), integers(targets), width(logits), 1.0F, loss.data());
        return loss;
    }

    void adamw(at::Tensor& parameters, at::Tensor const& gradients, at::Tensor& first_moment, at::Tensor& second_moment,
               kernel::AdamW const& settings, double learning_rate, std::int64_t step) const override {
        kernel::adamw_step(settings, learning_rate, step, parameters.numel(), in(gradients), out(parameters),
                           out(first_moment), out(second_moment));
    }

    void scale(float factor, at::Tensor& x) const override { kernel::scale(factor, out(x), x.numel()); }
    double sum_of_squares(at::Tensor const& x) const override { return kernel::sum_of_squares(in(x), x.numel()); }

    void argmax(at::Tensor const& logits, at::Tensor& best) const override {
        kernel::argmax(in(logits), logits.size(0), width(logits), best.mutable_data_ptr<std::int32_t>());
    }
};

class Repeated : public Recording {
public:
    explicit Repeated(std::function<void()> work) : work_{std::move(work)} {}
    void replay() override { work_(); }

private:
    std::function<void()> work_;
};

}  // namespace

at::Tensor Ops::zeros(at::IntArrayRef shape) const {
    auto tensor = empty(shape);
    tensor.zero_();
    return tensor;
}

std::unique_ptr<Weight> Ops::prepare(at::Tensor const& weight, bool with_backward) const {
    OwnPlacement own;
    return prepare({weight.sizes().vec(), [&] { return weight; }}, with_backward, own);
}

Sequences Ops::sequences(std::vector<std::int32_t> offsets) const {
    Sequences result{std::move(offsets), {}, 0};
    result.on_device = indices(result.offsets);
    for (std::size_t i = 1; i < result.offsets.size(); ++i)
        result.longest = std::max(result.longest, result.offsets[i] - result.offsets[i - 1]);
    return result;
}

void Ops::add_rms_norm(at::Tensor const& addend, at::Tensor& x, at::Tensor const& weight, float eps,
                       at::Tensor& y) const {
    add(addend, x);
    rms_norm(x, weight, eps, y);
}

std::unique_ptr<KvRows> Ops::make_rows(std::int64_t /*count*/, std::int64_t /*blocks*/) const {
    return std::make_unique<KvRows>();
}

void Ops::set_rows(KvRows& rows, std::vector<KvSlot> slots, std::vector<kernel::AttentionRow> attention,
                   std::int64_t common) const {
    rows.common = common;
    rows.slots = std::move(slots);
    rows.attention = std::move(attention);
}

std::vector<std::int32_t> Ops::found(at::Tensor const& best, std::int64_t vocabulary) const {
    auto const host = best.cpu();
    auto const* const data = host.const_data_ptr<std::int32_t>();
    std::vector<std::int32_t> result{data, data + host.numel()};
    for (std::size_t row = 0; row < result.size(); ++row) {
        if (result[row] >= 0 && result[row] < vocabulary) continue;
        throw Error{fmt::format("row {} of {} logits has no largest one: it holds NaN", row, vocabulary),
                    "the model's weights are broken, or its training diverged"};
    }
    return result;
}

std::unique_ptr<Recording> Ops::record(std::function<void()> work) const {
    work();
    return std::make_unique<Repeated>(std::move(work));
}

std::unique_ptr<Ops> make_cpu_ops() {
    return std::make_unique<CpuOps>();
}

}  // namespace samner::model
