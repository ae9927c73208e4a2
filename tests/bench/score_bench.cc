// Scoring and its bootstrap at the size of the paper's seven targets, and parsing of rendered answers.
//   score_bench [--benchmark_filter=…]; one thread
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/random.h"
#include "prompt/prompt.h"
#include "score/bootstrap.h"
#include "score/metric.h"

namespace samner {
namespace {

constexpr std::size_t num_sentences = 6470;

/// About 3.4 gold entities a sentence, of which most are found.
std::vector<score::Sentence> sentences() {
    RandomStream const random{1, "bench"};
    std::uint64_t draw = 0;
    std::vector<score::Sentence> result;
    for (std::size_t i = 0; i < num_sentences; ++i) {
        score::Sentence sentence{fmt::format("{}", i), fmt::format("target {}", i % 7), {}, {}, {}};
        auto const entities = random.below(8, draw++);
        for (std::uint64_t e = 0; e < entities; ++e) {
            auto const at = static_cast<std::int64_t>(random.below(200, draw++));
            score::Entity const entity{{fmt::format("mention {}", at), fmt::format("type {}", at % 9)},
                                       {{at, at + 10}}};
            if (random.below(10, draw++) < 8) sentence.gold.push_back(entity);
            if (random.below(10, draw++) < 7) sentence.predicted.push_back(entity);
        }
        result.push_back(std::move(sentence));
    }
    return result;
}

void count_all_metrics(benchmark::State& state) {
    auto const all = sentences();
    for (auto _ : state)
        for (auto const metric : score::all_metrics) benchmark::DoNotOptimize(score::tally(metric, all));
}

void score_with_interval(benchmark::State& state) {
    auto const all = sentences();
    for (auto _ : state) {
        score::TargetCounts const counts{score::tally(score::Metric::entity, all).per_sentence};
        benchmark::DoNotOptimize(score::f1_interval(counts, {.resamples = state.range(0)}));
    }
}

void compare_two_systems(benchmark::State& state) {
    score::TargetCounts const counts{score::tally(score::Metric::entity, sentences()).per_sentence};
    for (auto _ : state) benchmark::DoNotOptimize(score::compare_f1(counts, counts, {.resamples = state.range(0)}));
}

void parse(benchmark::State& state) {
    auto const format = static_cast<prompt::Format>(state.range(0));
    corpus::Dataset dataset;
    for (int i = 0; i < 9; ++i) dataset.types.push_back({fmt::format("t{}", i), fmt::format("type {}", i), "x"});
    corpus::Sentence sentence{"d/test/0", "", {}};
    for (int i = 0; i < 4; ++i) {
        sentence.entities.push_back({fmt::format("Mention {}", i), fmt::format("t{}", i)});
        sentence.text += fmt::format("Mention {} was seen beside the other ones , ", i);
    }
    auto const types = dataset.type_names();
    auto const answer = prompt::render(sentence, dataset, {prompt::Layout::short_, format}).answer;
    for (auto _ : state) benchmark::DoNotOptimize(prompt::parse(answer, types, sentence.text, format));
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(answer.size()));
}

BENCHMARK(count_all_metrics)->Unit(benchmark::kMillisecond);
BENCHMARK(score_with_interval)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(compare_two_systems)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(parse)->ArgName("format")->DenseRange(0, 3);

}  // namespace
}  // namespace samner

BENCHMARK_MAIN();
