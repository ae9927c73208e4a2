// Operators on a GPU beside libtorch's on the CPU, in the same precision.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/random.h"
#include "golden.h"
#include "model/recorded_steps.h"
#include "operators.h"

namespace samner::model {
namespace {

class OnDevice : public testing::TestWithParam<Precision> {
protected:
    void SetUp() override {
        if (auto const why = obstacle("cuda"); !why.empty()) GTEST_SKIP() << why;
        device = operators("cuda", GetParam());
        host = operators("libtorch", GetParam());
    }

    /// The same numbers on both.
    struct Twin {
        at::Tensor on_device;
        at::Tensor on_host;
    };
    Twin twin(at::IntArrayRef shape, std::string const& purpose) const {
        auto exact = at::Tensor{at::empty(shape, at::TensorOptions{}.dtype(at::kFloat))};
        RandomStream const random{5, purpose};
        for (std::int64_t i = 0; i < exact.numel(); ++i)
            exact.mutable_data_ptr<float>()[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
        Twin both{device->empty(shape), host->empty(shape)};
        both.on_device.copy_(exact);
        both.on_host.copy_(exact);
        return both;
    }
    Twin empty(at::IntArrayRef shape) const { return {device->empty(shape), host->empty(shape)}; }

    /// Both are near the exact value: each within `roundings` of the precision's (of the value, or of 1 where it is
    /// smaller), and a sum of n numbers in fp32.
    void expect_alike(Twin const& both, double roundings, double n, std::string const& what) const {
        auto const found = both.on_device.to(at::kCPU, at::kDouble);
        auto const expected = both.on_host.to(at::kDouble);
        auto const roundoff = GetParam() == Precision::bf16 ? 0x1.0p-8 : 0x1.0p-24;
        auto const bound = expected.abs().clamp_min(1.0) * (2 * roundings * roundoff + 2 * n * 0x1.0p-24);
        auto const excess = ((found - expected).abs() - bound).max().item<double>();
        EXPECT_LE(excess, 0) << what;
    }

    std::unique_ptr<Ops> device;
    std::unique_ptr<Ops> host;
};

TEST_P(OnDevice, NormsAreThoseOfTheHost) {
    for (std::int64_t const n : {64, 51, 3584}) {
        auto const x = twin({5, n}, "x");
        auto const addend = twin({5, n}, "addend");
        auto const weight = twin({n}, "weight");
        auto const dy = twin({5, n}, "dy");
        auto y = empty({5, n});
        device->rms_norm(x.on_device, weight.on_device, 1e-5F, y.on_device);
        host->rms_norm(x.on_host, weight.on_host, 1e-5F, y.on_host);
        expect_alike(y, 2, static_cast<double>(n), "norm");
        auto sum = twin({5, n}, "sum");
        device->add_rms_norm(addend.on_device, sum.on_device, weight.on_device, 1e-5F, y.on_device);
        host->add_rms_norm(addend.on_host, sum.on_host, weight.on_host, 1e-5F, y.on_host);
        expect_alike(sum, 1, 1, "sum");
        expect_alike(y, 2, static_cast<double>(n), "norm of the sum");
        for (bool const accumulate : {false, true}) {
            auto dx = twin({5, n}, "dx");
            device->rms_norm_backward(x.on_device, weight.on_device, 1e-5F, dy.on_device, dx.on_device, accumulate);
            host->rms_norm_backward(x.on_host, weight.on_host, 1e-5F, dy.on_host, dx.on_host, accumulate);
            expect_alike(dx, 2, static_cast<double>(n), "gradient of the norm");
        }
    }
}

TEST_P(OnDevice, RotationAndGateAreThoseOfTheHost) {
    std::vector<std::int32_t> const positions{3, 0, 7, 7};
    auto angle = at::arange(8 * 16, at::kFloat).view({8, 16}).mul(0.1);
    for (bool const inverse : {false, true}) {
        auto x = twin({4, 3 * 32}, "x");
        auto cos = device->floats({8, 16});
        auto sin = device->floats({8, 16});
        cos.copy_(angle.cos());
        sin.copy_(angle.sin());
        device->rope(x.on_device, device->indices(positions), 3, cos, sin, inverse);
        host->rope(x.on_host, host->indices(positions), 3, angle.cos(), angle.sin(), inverse);
        expect_alike(x, 1, 8, "rotated");
    }
    for (std::int64_t const n : {64, 51}) {
        auto const gate = twin({5, n}, "gate");
        auto const up = twin({5, n}, "up");
        auto const d_out = twin({5, n}, "d_out");
        auto out = empty({5, n});
        auto d_gate = empty({5, n});
        auto d_up = empty({5, n});
        device->swiglu(gate.on_device, up.on_device, out.on_device);
        host->swiglu(gate.on_host, up.on_host, out.on_host);
        device->swiglu_backward(gate.on_device, up.on_device, d_out.on_device, d_gate.on_device, d_up.on_device);
        host->swiglu_backward(gate.on_host, up.on_host, d_out.on_host, d_gate.on_host, d_up.on_host);
        expect_alike(out, 1, 16, "gated");
        expect_alike(d_gate, 1, 16, "gradient of gate");
        expect_alike(d_up, 1, 16, "gradient of up");
    }
}

TEST_P(OnDevice, LossGradientAndLargestLogitAreThoseOfTheHost) {
    for (std::int64_t const n : {1000, 1003}) {
        auto logits = twin({3, n}, "logits");
        auto best =
            std::pair{device->indices(std::vector<std::int32_t>(3)), host->indices(std::vector<std::int32_t>(3))};
        device->argmax(logits.on_device, best.first);
        host->argmax(logits.on_host, best.second);
        EXPECT_EQ(device->found(best.first, n), host->found(best.second, n));
        std::vector<std::int32_t> const targets{0, 17, static_cast<std::int32_t>(n) - 1};
        auto const loss = device->cross_entropy(logits.on_device, device->indices(targets));
        auto const expected = host->cross_entropy(logits.on_host, host->indices(targets));
        for (std::size_t i = 0; i < loss.size(); ++i) EXPECT_NEAR(loss[i], expected[i], 1e-5F * expected[i]);
        expect_alike(logits, 1, 100, "gradient");
        auto broken = device->empty({1, n});
        broken.fill_(std::nan(""));
        auto none = device->indices(std::vector<std::int32_t>(1));
        device->argmax(broken, none);
        EXPECT_THROW(device->found(none, n), Error);
    }
}

TEST_P(OnDevice, ProductsAreThoseOfTheHost) {
    auto const x = twin({7, 64}, "x");
    auto const w = twin({48, 64}, "w");
    auto const on_device = device->prepare(w.on_host.to(at::kFloat), true);
    auto const on_host = host->prepare(w.on_host.to(at::kFloat), true);
    for (bool const accumulate : {false, true}) {
        auto y = twin({7, 48}, "y");
        device->linear(*on_device, x.on_device, y.on_device, accumulate);
        host->linear(*on_host, x.on_host, y.on_host, accumulate);
        expect_alike(y, 1, 64 * 8, "product");
        auto c = Twin{device->floats({64, 48}), host->floats({64, 48})};
        c.on_device.zero_();
        c.on_host.zero_();
        auto const dy = twin({7, 48}, "dy");
        device->matmul(Side::transposed, x.on_device, Side::plain, dy.on_device, 0.5F, c.on_device, accumulate);
        host->matmul(Side::transposed, x.on_host, Side::plain, dy.on_host, 0.5F, c.on_host, accumulate);
        expect_alike(c, 4, 64, "product in fp32");
    }
}

TEST_P(OnDevice, AttentionOverBlocksIsThatOfTheHost) {
    kernel::AttentionShape const shape{6, 2, 64, 0.125F};
    auto const k = twin({12 * 16, 128}, "k");
    auto const v = twin({12 * 16, 128}, "v");
    std::vector<KvSlot> slots;
    for (std::int32_t i = 0; i < 12 * 16; ++i) slots.push_back({i / 16, i % 16});
    std::vector<std::vector<std::int32_t>> const tables{{7, 2, 11, 0, 5}, {7, 2, 3}, {4}, {7, 2, 1}};
    std::vector<kernel::AttentionRow> const apart{
        {tables[0].data(), 80}, {tables[1].data(), 33, 2}, {tables[2].data(), 1}};
    std::vector<kernel::AttentionRow> const sharing{
        {tables[0].data(), 80}, {tables[1].data(), 33, 2}, {tables[3].data(), 48, 2}};
    auto const q = twin({3, 6 * 64}, "q");
    auto out = empty({3, 6 * 64});
    auto const run = [&](Ops const& ops, std::vector<kernel::AttentionRow> const& rows, std::int64_t common,
                         at::Tensor const& keys, at::Tensor const& values, at::Tensor const& queries,
                         at::Tensor& result) {
        auto const cache = ops.make_cache(shape, 2, 12);
        auto const stored = ops.make_rows(std::ssize(slots), 1);
        ops.set_rows(*stored, slots, std::vector<kernel::AttentionRow>(slots.size(), {&slots[0].block, 1}), 0);
        ops.store_kv(*cache, 1, *stored, keys, values);
        auto const read = ops.make_rows(3, 6);
        ops.set_rows(*read, {slots.begin(), slots.begin() + 3}, rows, common);
        ops.attend(*cache, 1, *read, queries, result);
    };
    for (auto const& [rows, common] : {std::pair{apart, 0}, {sharing, 0}, {sharing, 2}}) {
        run(*device, rows, common, k.on_device, v.on_device, q.on_device, out.on_device);
        run(*host, rows, common, k.on_host, v.on_host, q.on_host, out.on_host);
        expect_alike(out, 2, 256, "attended");
    }
}

TEST_P(OnDevice, AttentionWithinPackedSequencesIsThatOfTheHost) {
    kernel::AttentionShape const shape{6, 2, 64, 0.125F};
    std::vector<std::int32_t> const offsets{0, 5, 6, 143};
    auto const q = twin({143, 6 * 64}, "q");
    auto const k = twin({143, 2 * 64}, "k");
    auto const v = twin({143, 2 * 64}, "v");
    auto const d_out = twin({143, 6 * 64}, "d_out");
    for (bool const causal : {true, false}) {
        auto y = empty(q.on_host.sizes());
        auto dq = empty(q.on_host.sizes());
        auto dk = empty(k.on_host.sizes());
        auto dv = empty(v.on_host.sizes());
        at::Tensor stats;
        auto const there = device->sequences(offsets);
        device->attention(shape, there, causal, q.on_device, k.on_device, v.on_device, y.on_device, stats);
        device->attention_backward(shape, there, causal, q.on_device, k.on_device, v.on_device, y.on_device, stats,
                                   d_out.on_device, dq.on_device, dk.on_device, dv.on_device);
        auto const here = host->sequences(offsets);
        host->attention(shape, here, causal, q.on_host, k.on_host, v.on_host, y.on_host, stats);
        host->attention_backward(shape, here, causal, q.on_host, k.on_host, v.on_host, y.on_host, stats, d_out.on_host,
                                 dq.on_host, dk.on_host, dv.on_host);
        // Flash attention also rounds weights and, going back, their gradients; gradients are sums over up to 137
        // positions and three heads.
        expect_alike(y, 3, 512, "attended");
        expect_alike(dq, 12, 512, "gradient of queries");
        expect_alike(dk, 12, 512, "gradient of keys");
        expect_alike(dv, 12, 512, "gradient of values");
    }
}

TEST_P(OnDevice, DropoutIsThatOfTheHost) {
    std::vector<kernel::DropoutRow> const rows{{3, 0}, {3, 1}, {std::uint64_t{1} << 40, 7}};
    auto const x = twin({3, 51}, "x");
    for (bool const accumulate : {false, true}) {
        auto y = twin({3, 51}, "y");
        device->dropout(99, rows, 0.3, x.on_device, y.on_device, accumulate);
        host->dropout(99, rows, 0.3, x.on_host, y.on_host, accumulate);
        expect_alike(y, 1, 2, "dropped");
    }
}

TEST_P(OnDevice, RecordedStepsGiveWhatStepsGive) {
    auto const model = load_language_model(weights::Checkpoint::open(golden("models/qwen2-tiny")), *device, false);
    auto const layers = static_cast<int>(model.config.num_layers);
    auto const recorded_cache = device->make_cache(model.attention_shape(), layers, 8);
    auto const plain_cache = device->make_cache(model.attention_shape(), layers, 8);
    std::vector<std::vector<std::int32_t>> const tables{{0, 1}, {2, 3}, {4, 5}};
    RecordedSteps steps{model, *device, *recorded_cache, 2};
    for (std::int32_t position = 0; position < 20; ++position) {
        std::vector<Row> rows;
        auto const count = position % 3 == 2 ? 2U : 3U;  // two recordings, the first of them repeated
        for (std::size_t i = 0; i < count; ++i)
            rows.push_back({static_cast<std::int32_t>(7 * position + 3 * static_cast<int>(i)), position,
                            tables[i].data(), nullptr});
        auto const found = steps.run(rows, 0);
        auto const expected = logits(model, *device, forward_rows(model, *device, *plain_cache, rows));
        auto best = device->indices(std::vector<std::int32_t>(count));
        device->argmax(expected, best);
        EXPECT_EQ(device->found(found.best, model.config.vocab_size), device->found(best, model.config.vocab_size));
        expect_alike(Twin{found.logits, expected.to(at::kCPU)}, 8, 64, "logits");
    }
}

INSTANTIATE_TEST_SUITE_P(Cuda, OnDevice, testing::Values(Precision::fp32, Precision::bf16),
                         [](auto const& parameter) { return "cuda_" + std::string{to_string(parameter.param)}; });

}  // namespace
}  // namespace samner::model
