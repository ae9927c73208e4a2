// Factor-space merges of rank-32 adapters on all linear layers, beside a plain copy of as many bytes as a merge must
// read and write once. Run: merge_bench [--benchmark_filter=...]; SAMNER_BENCH_THREADS sets the threads (default 2).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"
#include "merge/adapter.h"

namespace samner::merge {
namespace {

constexpr std::int64_t rank = 32;
constexpr std::size_t num_experts = 3;

struct Linear {
    std::int64_t out;
    std::int64_t in;
};

struct Model {
    std::int64_t layers;
    std::vector<Linear> linears;
};

Model const qwen_7b{
    28, {{3584, 3584}, {512, 3584}, {512, 3584}, {3584, 3584}, {18944, 3584}, {18944, 3584}, {3584, 18944}}};
Model const smollm2_135m{30, {{576, 576}, {192, 576}, {192, 576}, {576, 576}, {1536, 576}, {1536, 576}, {576, 1536}}};

struct Tensor {
    std::size_t size;
    std::size_t row;
};

/// A [rank, in] and B [out, rank] of each module.
std::vector<Tensor> tensors_of(Model const& model) {
    std::vector<Tensor> tensors;
    for (std::int64_t layer = 0; layer < model.layers; ++layer)
        for (auto const& linear : model.linears) {
            tensors.push_back({static_cast<std::size_t>(rank * linear.in), static_cast<std::size_t>(linear.in)});
            tensors.push_back({static_cast<std::size_t>(rank * linear.out), static_cast<std::size_t>(rank)});
        }
    return tensors;
}

/// Tensors of all experts, and room for the result: [expert][tensor], the result last.
class Adapters {
public:
    explicit Adapters(Model const& model) : shapes_{tensors_of(model)}, tensors_(num_experts + 1) {
        RandomStream const stream{3, "merge bench"};
        std::vector<float> pool(1 << 20);  // 1 M normal values, from a new offset each tensor
        for (std::size_t i = 0; i < pool.size(); ++i) pool[i] = static_cast<float>(0.02 * stream.normal(i));
        std::size_t offset = 0;
        for (auto& expert : tensors_)
            for (auto const& [size, row] : shapes_) {
                auto& tensor = expert.emplace_back(size);
                offset += 7919;
                for (std::size_t i = 0; i < size; ++i) tensor[i] = pool[(offset + i) % pool.size()];
                elements_ += size;
            }
    }

    std::size_t size() const { return shapes_.size(); }
    std::size_t row(std::size_t tensor) const { return shapes_[tensor].row; }
    std::int64_t bytes() const { return static_cast<std::int64_t>(elements_ * sizeof(float)); }
    std::vector<float>& result(std::size_t tensor) { return tensors_[num_experts][tensor]; }
    std::vector<float> const& expert(std::size_t i, std::size_t tensor) const { return tensors_[i][tensor]; }

private:
    std::vector<Tensor> shapes_;
    std::vector<std::vector<std::vector<float>>> tensors_;
    std::size_t elements_ = 0;
};

void use_threads() {
    auto const* threads = std::getenv("SAMNER_BENCH_THREADS");
    set_num_threads(threads ? std::atoi(threads) : 2);
}

/// Reads all experts and writes one result: (num_experts + 1) adapters of traffic.
void merge(benchmark::State& state, Model const& model, Method method) {
    use_threads();
    Adapters adapters{model};
    auto const recipe = recipe_of({.method = method, .epsilon = 0.2});
    double const density = recipe.sparsify == Sparsify::nothing ? 1.0 : 0.5;
    for (auto _ : state)
        parallel_for(0, static_cast<std::int64_t>(adapters.size()), 1, [&](std::int64_t begin, std::int64_t end) {
            for (auto t = static_cast<std::size_t>(begin); t < static_cast<std::size_t>(end); ++t) {
                std::vector<Contribution> contributions{{adapters.expert(0, t), 1.5F, density, "a"},
                                                        {adapters.expert(1, t), 1.0F, density, "b"},
                                                        {adapters.expert(2, t), 0.5F, density, "c"}};
                for (auto& one : contributions) one.row = adapters.row(t);
                merge_tensor(recipe, std::to_string(t), contributions, adapters.result(t));
            }
        });
    state.SetBytesProcessed(state.iterations() * adapters.bytes());
}

/// As much traffic by memcpy: half of it read, half written.
void copy(benchmark::State& state, Model const& model) {
    use_threads();
    Adapters adapters{model};
    auto const half = static_cast<std::size_t>(adapters.bytes() / 2);
    std::vector<char> from(half, 1);
    std::vector<char> to(half, 2);
    for (auto _ : state) {
        parallel_for(0, static_cast<std::int64_t>(half), 1 << 20, [&](std::int64_t begin, std::int64_t end) {
            std::memcpy(to.data() + begin, from.data() + begin, static_cast<std::size_t>(end - begin));
        });
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(2 * half));
}

BENCHMARK_CAPTURE(copy, qwen_7b, qwen_7b)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, qwen_7b_ties, qwen_7b, Method::ties)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, qwen_7b_linear, qwen_7b, Method::linear)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, qwen_7b_breadcrumbs, qwen_7b, Method::breadcrumbs)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, qwen_7b_della, qwen_7b, Method::della)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, qwen_7b_dare_ties, qwen_7b, Method::dare_ties)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copy, smollm2, smollm2_135m)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(merge, smollm2_ties, smollm2_135m, Method::ties)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samner::merge

BENCHMARK_MAIN();
