#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "model/cuda_kernels.h"
#include "model/ops_aten.h"

namespace samner::model {
namespace {

/// Has libtorch choose kernels whose results do not change from one run to the next. (If it only warned, flash
/// attention would stay as it is.)
class Repeatable {
public:
    Repeatable() {
        context_.setDeterministicAlgorithms(true, false);
        context_.setDeterministicFillUninitializedMemory(false);
    }
    ~Repeatable() {
        context_.setDeterministicAlgorithms(algorithms_, only_warns_);
        context_.setDeterministicFillUninitializedMemory(fills_);
    }
    Repeatable(Repeatable const&) = delete;
    Repeatable& operator=(Repeatable const&) = delete;

private:
    at::Context& context_ = at::globalContext();
    bool algorithms_ = context_.deterministicAlgorithms();
    bool only_warns_ = context_.deterministicAlgorithmsWarnOnly();
    bool fills_ = context_.deterministicFillUninitializedMemory();
};

class Graph : public Recording {
public:
    /// Does the work once on this stream, so that libraries make ready what they make on first use, then captures it.
    Graph(std::function<void()> const& work, c10::cuda::CUDAStream stream) {
        c10::cuda::getCurrentCUDAStream().synchronize();
        c10::cuda::CUDAStreamGuard const guard{stream};
        work();
        stream.synchronize();
        graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        try {
            work();
        } catch (...) {
            graph_.capture_end();  // or the stream would stay in capture
            throw;
        }
        graph_.capture_end();
    }
    void replay() override { graph_.replay(); }

private:
    at::cuda::CUDAGraph graph_;
};

struct CudaRows : KvRows {
    at::Tensor places;   ///< [rows]: positions of the cache that keys and values go to; int32, as all three
    at::Tensor blocks;   ///< [rows, most blocks]; what stands behind a row's own means nothing
    at::Tensor lengths;  ///< [rows]
    // Where the rows have blocks in common:
    at::Tensor common_places;   ///< [positions in them], in the cache
    at::Tensor ends_of_rows;    ///< [0, rows]
    at::Tensor ends_of_common;  ///< [0, positions in them]
};

class CudaOps : public AtenOps {
public:
    CudaOps(at::Device device, Precision precision)
        : AtenOps{device, precision}, recording_stream_{c10::cuda::getStreamFromPool()} {}

    std::string device_name() const override { return at::cuda::getCurrentDeviceProperties()->name; }

    void rms_norm(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor& y) const override {
        device::rms_norm(queue(), nullptr, x.data_ptr(), weight.const_data_ptr(), eps, x.size(0), x.size(1),
                         y.data_ptr());
    }
    void add_rms_norm(at::Tensor const& addend, at::Tensor& x, at::Tensor const& weight, float eps,
                      at::Tensor& y) const override {
        device::rms_norm(queue(), addend.const_data_ptr(), x.data_ptr(), weight.const_data_ptr(), eps, x.size(0),
                         x.size(1), y.data_ptr());
    }
    void rms_norm_backward(at::Tensor const& x, at::Tensor const& weight, float eps, at::Tensor const& dy,
                           at::Tensor& dx, bool accumulate) const override {
        device::rms_norm_backward(queue(), x.const_data_ptr(), weight.const_data_ptr(), eps, dy.const_data_ptr(),
                                  x.size(0), x.size(1), dx.data_ptr(), accumulate);
    }

    void rope(at::Tensor& x, at::Tensor const& positions, int heads, at::Tensor const& cos, at::Tensor const& sin,
              bool inverse) const override {
        device::rope(queue(), x.data_ptr(), positions.const_data_ptr<std::int32_t>(), x.size(0), heads, cos.size(1),
                     cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), inverse);
    }

    void swiglu(at::Tensor const& gate, at::Tensor const& up, at::Tensor& y) const override {
        device::swiglu(queue(), gate.const_data_ptr(), up.const_data_ptr(), y.data_ptr(), y.numel());
    }
    void swiglu_backward(at::Tensor const& gate, at::Tensor const& up, at::Tensor const& d_out, at::Tensor& d_gate,
                         at::Tensor& d_up) const override {
        device::swiglu_backward(queue(), gate.const_data_ptr(), up.const_data_ptr(), d_out.const_data_ptr(),
                                d_gate.data_ptr(), d_up.data_ptr(), d_out.numel());
    }

    void dropout(std::uint64_t key, std::span<kernel::DropoutRow const> rows, double p, at::Tensor const& x,
                 at::Tensor& y, bool accumulate) const override {
        std::vector<std::int32_t> rows_of;
        for (auto const& [sequence, position] : rows) {
            rows_of.push_back(position);
            rows_of.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(sequence)));
            rows_of.push_back(static_cast<std::int32_t>(static_cast<std::uint32_t>(sequence >> 32)));
        }
        auto const there = indices(rows_of);
        device::dropout(queue(), key, static_cast<std::uint32_t const*>(there.const_data_ptr()),
                        kernel::dropout_rule(p), x.const_data_ptr(), x.size(0), x.size(1), y.data_ptr(), accumulate);
    }

    std::vector<float> cross_entropy(at::Tensor& logits, at::Tensor const& targets) const override {
        auto loss = floats({logits.size(0)});
        device::cross_entropy(queue(), logits.data_ptr(), targets.const_data_ptr<std::int32_t>(), logits.size(0),
                              logits.size(1), loss.mutable_data_ptr<float>());
        auto const host = loss.cpu();
        auto const* const data = host.const_data_ptr<float>();
        return {data, data + host.numel()};
    }

    void argmax(at::Tensor const& logits, at::Tensor& best) const override {
        device::argmax(queue(), logits.const_data_ptr(), logits.size(0), logits.size(1),
                       best.mutable_data_ptr<std::int32_t>());
    }

    std::unique_ptr<KvRows> make_rows(std::int64_t count, std::int64_t blocks) const override {
        auto rows = std::make_unique<CudaRows>();
        rows->places = at::empty({count}, options(at::kInt));
        rows->blocks = at::empty({count, blocks}, options(at::kInt));
        rows->lengths = at::empty({count}, options(at::kInt));
        return rows;
    }

    void set_rows(KvRows& rows, std::vector<KvSlot> slots, std::vector<kernel::AttentionRow> attention,
                  std::int64_t common) const override {
        auto& ours = static_cast<CudaRows&>(rows);
        auto const most = ours.blocks.size(1);
        std::vector<std::int32_t> places;
        std::vector<std::int32_t> lengths;
        std::vector<std::int32_t> blocks(attention.size() * static_cast<std::size_t>(most));
        for (std::size_t i = 0; i < slots.size(); ++i) {
            places.push_back(slots[i].block * kernel::kv_block + slots[i].slot);
            lengths.push_back(attention[i].length);
            std::copy_n(attention[i].blocks, (lengths.back() + kernel::kv_block - 1) / kernel::kv_block,
                        blocks.begin() + static_cast<std::ptrdiff_t>(i) * most);
        }
        ours.places.copy_(indices(places));
        ours.lengths.copy_(indices(lengths));
        ours.blocks.copy_(indices(blocks).view(ours.blocks.sizes()));
        ours.common = common;
        if (common == 0) return;
        std::vector<std::int32_t> common_places;
        for (std::int64_t i = 0; i < common; ++i) {
            for (std::int32_t slot = 0; slot < kernel::kv_block; ++slot)
                common_places.push_back(attention[0].blocks[i] * kernel::kv_block + slot);
        }
        keep(ours.common_places, common_places);
        keep(ours.ends_of_rows, {0, static_cast<std::int32_t>(slots.size())});
        keep(ours.ends_of_common, {0, static_cast<std::int32_t>(common_places.size())});
    }

    void store_kv(KvCache& cache, int layer, KvRows const& rows, at::Tensor const& k,
                  at::Tensor const& v) const override {
        auto& ours = static_cast<AtenCache&>(cache);
        auto const& places = static_cast<CudaRows const&>(rows).places;
        device::store_kv(queue(), k.const_data_ptr(), v.const_data_ptr(), places.const_data_ptr<std::int32_t>(),
                         k.size(0), k.size(1), ours.keys.select(0, layer).data_ptr(),
                         ours.values.select(0, layer).data_ptr());
    }

    void attend(KvCache const& cache, int layer, KvRows const& rows, at::Tensor const& q,
                at::Tensor& y) const override {
        auto const& ours = static_cast<AtenCache const&>(cache);
        auto const& lists = static_cast<CudaRows const&>(rows);
        auto const keys = ours.keys.select(0, layer);
        auto const values = ours.values.select(0, layer);
        auto const [before, log_sums] = attend_common(ours.shape, lists, keys, values, q);
        bool const joins = before.defined();
        device::attend(queue(), ours.shape, keys.const_data_ptr(), values.const_data_ptr(),
                       lists.blocks.const_data_ptr<std::int32_t>(), lists.blocks.size(1),
                       lists.lengths.const_data_ptr<std::int32_t>(), q.size(0),
                       joins ? static_cast<std::int32_t>(lists.common * kernel::kv_block) : 0,
                       joins ? before.const_data_ptr() : nullptr, joins ? log_sums.const_data_ptr<float>() : nullptr,
                       q.const_data_ptr(), y.data_ptr());
    }

    void attention(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal, at::Tensor const& q,
                   at::Tensor const& k, at::Tensor const& v, at::Tensor& y, at::Tensor& stats) const override {
        if (!has_flash(shape) || sequences.longest == 1)
            return AtenOps::attention(shape, sequences, causal, q, k, v, y, stats);
        auto const [out, log_sums, random, unused, mask] = at::_flash_attention_forward(
            by_head(q, shape.heads), by_head(k, shape.kv_heads), by_head(v, shape.kv_heads), sequences.on_device,
            sequences.on_device, sequences.longest, sequences.longest, 0.0, causal, false,
            static_cast<double>(shape.scale));
        y.copy_(out.view(y.sizes()));
        stats = log_sums;
    }

    void attention_backward(kernel::AttentionShape const& shape, Sequences const& sequences, bool causal,
                            at::Tensor const& q, at::Tensor const& k, at::Tensor const& v, at::Tensor const& y,
                            at::Tensor const& stats, at::Tensor const& d_out, at::Tensor& dq, at::Tensor& dk,
                            at::Tensor& dv) const override {
        if (!has_flash(shape) || sequences.longest == 1)
            return AtenOps::attention_backward(shape, sequences, causal, q, k, v, y, stats, d_out, dq, dk, dv);
        Repeatable const repeatable;
        auto const no_random = at::empty({2}, options(at::kUInt64));  // only read with dropout
        auto const [by_q, by_k, by_v] = at::_flash_attention_backward(
            by_head(d_out, shape.heads), by_head(q, shape.heads), by_head(k, shape.kv_heads),
            by_head(v, shape.kv_heads), by_head(y, shape.heads), stats, sequences.on_device, sequences.on_device,
            sequences.longest, sequences.longest, 0.0, causal, no_random, no_random, static_cast<double>(shape.scale));
        dq.copy_(by_q.view(dq.sizes()));
        dk.copy_(by_k.view(dk.sizes()));
        dv.copy_(by_v.view(dv.sizes()));
    }

    std::unique_ptr<Recording> record(std::function<void()> work) const override {
        return std::make_unique<Graph>(work, recording_stream_);
    }
    bool gains_by_recording() const override { return true; }

private:
    device::Queue queue() const { return {c10::cuda::getCurrentCUDAStream().stream(), precision()}; }

    /// Takes numbers into a tensor that stays where it is as long as their count does.
    void keep(at::Tensor& tensor, std::vector<std::int32_t> const& values) const {
        if (tensor.defined() && tensor.numel() == std::ssize(values)) {
            tensor.copy_(indices(values));
        } else {
            tensor = indices(values);
        }
    }

    /// Attention of all rows to the blocks that they have in common, by one product for all of them, with the
    /// logarithms of the summed exponentials [heads, rows]. Undefined where there are none, or no kernel for it.
    std::pair<at::Tensor, at::Tensor> attend_common(kernel::AttentionShape const& shape, CudaRows const& rows,
                                                    at::Tensor const& keys, at::Tensor const& values,
                                                    at::Tensor const& q) const {
        if (rows.common == 0 || !has_flash(shape) || q.size(0) == 1) return {};
        auto const [out, log_sums, random, unused, mask] = at::_flash_attention_forward(
            by_head(q, shape.heads), keys.index_select(0, rows.common_places),
            values.index_select(0, rows.common_places), rows.ends_of_rows, rows.ends_of_common, q.size(0),
            rows.common_places.size(0), 0.0, false, false, static_cast<double>(shape.scale));
        return {out, log_sums};
    }

    /// What libtorch's flash kernels take: bf16 (of fp32 and bf16) and heads of at most 256 elements, 8 by 8. With one
    /// query to a sequence their statistics have another shape, so they are not asked then.
    bool has_flash(kernel::AttentionShape const& shape) const {
        return precision() == Precision::bf16 && shape.head_dim % 8 == 0 && shape.head_dim <= 256;
    }

    static at::Tensor by_head(at::Tensor const& x, std::int64_t heads) { return x.view({x.size(0), heads, -1}); }

    c10::cuda::CUDAStream recording_stream_;
};

}  // namespace

std::unique_ptr<Ops> make_cuda_ops(at::Device device, Precision precision) {
    if (device.has_index()) c10::cuda::set_device(device.index());  // kernels go to the device that is current
    return std::make_unique<CudaOps>(device, precision);
}

}  // namespace samner::model
