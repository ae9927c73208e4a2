// Products and attention at SmolLM2-135M's shapes, beside the machine's own limits measured in the same run.
//   kernel_bench [--benchmark_filter=…]; threads: SAMNER_BENCH_THREADS (default: all cores); SAMNER_ISA picks the
//   kernels
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "kernel/gemm.h"
#include "kernel/isa.h"

namespace samner::kernel {
namespace {

std::vector<float> numbers(std::int64_t count) {
    std::vector<float> values(count);
    for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(i * 7919 % 2048) / 1024.0F - 1.0F;
    return values;
}

void report(benchmark::State& state, double flops, double bytes) {
    state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

/// What the kernels reach at best: a product whose operands stay in the first-level cache, on every thread.
void product_in_cache(benchmark::State& state) {
    constexpr std::int64_t m = 96, n = 32, k = 128, repeats = 64;
    auto const b = PackedMatrix::from_matrix(numbers(k * n).data(), k, n, n);
    auto const a = numbers(m * k);
    auto const threads = num_threads();
    for (auto _ : state)
        parallel_for(0, threads, 1, [&](std::int64_t begin, std::int64_t end) {
            std::vector<float> c(m * n);
            for (auto i = begin; i < end; ++i)
                for (int r = 0; r < repeats; ++r) gemm(m, a.data(), k, b, c.data(), n, false);
            benchmark::DoNotOptimize(c.data());
        });
    report(state, 2.0 * m * n * k * repeats * threads, 0);
}

/// Reading an array that no cache holds.
void read_memory(benchmark::State& state) {
    constexpr std::int64_t count = 1 << 26;
    static auto const x = numbers(count);
    for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(x.data(), count));
    report(state, 0, 4.0 * count);
}

void copy_memory(benchmark::State& state) {
    constexpr std::int64_t count = 1 << 25;
    static auto const x = numbers(count);
    static std::vector<float> y(count);
    for (auto _ : state)
        parallel_for(0, 64, 1, [&](std::int64_t begin, std::int64_t end) {
            std::memcpy(&y[begin * (count / 64)], &x[begin * (count / 64)],
                        static_cast<std::size_t>(end - begin) * (count / 64) * sizeof(float));
        });
    report(state, 0, 2.0 * 4.0 * count);
}

/// Rows, columns, depth. Several weights in turn, as a model's layers are, so that small ones do not stay in the cache.
void linear(benchmark::State& state) {
    auto const m = state.range(0), n = state.range(1), k = state.range(2);
    auto const w = numbers(n * k);
    std::vector<PackedMatrix> weights;
    for (std::int64_t bytes = 0; bytes < 256 << 20; bytes += 4 * n * k)
        weights.push_back(PackedMatrix::from_weight(w.data(), n, k, k));
    auto const x = numbers(m * k);
    std::vector<float> y(m * n);
    std::size_t next = 0;
    for (auto _ : state) gemm(m, x.data(), k, weights[next++ % weights.size()], y.data(), n, false);
    report(state, 2.0 * static_cast<double>(m * n * k), 4.0 * static_cast<double>(n * k + m * n + m * k));
}

void pack_weight(benchmark::State& state) {
    constexpr std::int64_t n = 1536, k = 576;
    auto const w = numbers(n * k);
    for (auto _ : state) benchmark::DoNotOptimize(PackedMatrix::from_weight(w.data(), n, k, k));
    report(state, 0, 2.0 * 4.0 * n * k);
}

constexpr AttentionShape smollm2{9, 3, 64, 0.125F};

/// Rows of as many sequences, which share a prefix of 432 positions and have 64 of their own; with or without the
/// knowledge that they share it.
void decode_attention(benchmark::State& state) {
    constexpr std::int32_t prefix = 27, own = 4;
    auto const rows = state.range(0);
    auto const blocks = prefix + rows * own;
    auto keys = numbers(blocks * 3 * 64 * kv_block), values = keys;
    std::vector<std::vector<std::int32_t>> tables(rows);
    std::vector<AttentionRow> all;
    for (std::int64_t i = 0; i < rows; ++i) {
        tables[i].resize(prefix + own);
        std::iota(tables[i].begin(), tables[i].begin() + prefix, 0);
        std::iota(tables[i].begin() + prefix, tables[i].end(), static_cast<std::int32_t>(prefix + i * own));
        all.push_back({tables[i].data(), (prefix + own) * kv_block, i > 0 && state.range(1) ? prefix : 0});
    }
    auto const q = numbers(rows * 576);
    std::vector<float> out(rows * 576);
    for (auto _ : state) paged_attention(smollm2, {keys.data(), values.data()}, all, q.data(), 576, out.data(), 576);
    report(state, 4.0 * 576 * (prefix + own) * kv_block * static_cast<double>(rows), 0);
}

/// The 432 positions of one prompt, with or without the knowledge that they are one sequence.
void prefill_attention(benchmark::State& state) {
    constexpr std::int32_t length = 432;
    auto keys = numbers(length * 3 * 64), values = keys;
    std::vector<std::int32_t> table(length / kv_block);
    std::iota(table.begin(), table.end(), 0);
    std::vector<AttentionRow> all;
    for (std::int32_t i = 0; i < length; ++i)
        all.push_back({table.data(), i + 1, state.range(0) ? (i + kv_block - 1) / kv_block : 0});
    auto const q = numbers(length * 576);
    std::vector<float> out(length * 576);
    for (auto _ : state) paged_attention(smollm2, {keys.data(), values.data()}, all, q.data(), 576, out.data(), 576);
    report(state, 2.0 * 576 * length * (length + 1), 0);
}

void train_attention(benchmark::State& state) {
    constexpr std::int64_t tokens = 600;
    bool const backward = state.range(0) != 0;
    std::vector<std::int32_t> const offsets{0, 600};
    auto const q = numbers(tokens * 576), k = numbers(tokens * 192), d_out = numbers(tokens * 576);
    std::vector<float> out(tokens * 576), stats(tokens * 18), dq(tokens * 576), dk(tokens * 192), dv(tokens * 192);
    for (auto _ : state)
        if (backward)
            attention_backward(smollm2, offsets, true, q.data(), 576, k.data(), 192, k.data(), 192, out.data(), 576,
                               stats.data(), d_out.data(), 576, dq.data(), 576, dk.data(), 192, dv.data(), 192);
        else
            attention_forward(smollm2, offsets, true, q.data(), 576, k.data(), 192, k.data(), 192, out.data(), 576,
                              stats.data());
    report(state, (backward ? 10.0 : 4.0) * 576 * tokens * tokens / 2, 0);
}

void elements(benchmark::State& state) {
    constexpr std::int64_t rows = 600, n = 1536;
    auto const gate = numbers(rows * n), up = gate;
    std::vector<float> out(rows * n);
    for (auto _ : state) swiglu(gate.data(), up.data(), out.data(), rows * n);
    report(state, 0, 3.0 * 4.0 * rows * n);
}

void short_region(benchmark::State& state) {
    for (auto _ : state) parallel_for(0, num_threads(), 1, [](std::int64_t, std::int64_t) {});
}

BENCHMARK(product_in_cache)->UseRealTime();
BENCHMARK(read_memory)->UseRealTime();
BENCHMARK(copy_memory)->UseRealTime();
BENCHMARK(linear)
    ->ArgsProduct({{1, 8, 32, 600}, {576}, {576, 1536}})
    ->ArgsProduct({{1, 8, 32, 600}, {192, 1536}, {576}})
    ->ArgsProduct({{1, 8, 32}, {49152}, {576}})
    ->UseRealTime();
BENCHMARK(pack_weight)->UseRealTime();
BENCHMARK(decode_attention)->ArgsProduct({{1, 8, 16, 32}, {0, 1}})->UseRealTime();
BENCHMARK(prefill_attention)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(train_attention)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(elements)->UseRealTime();
BENCHMARK(short_region)->UseRealTime();

}  // namespace
}  // namespace samner::kernel

int main(int argc, char** argv) {
    auto const* const threads = std::getenv("SAMNER_BENCH_THREADS");
    samner::set_num_threads(threads ? std::atoi(threads) : static_cast<int>(std::thread::hardware_concurrency()));
    benchmark::AddCustomContext("threads", std::to_string(samner::num_threads()));
    benchmark::AddCustomContext("instruction set", std::string{name_of(samner::kernel::current())});
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
