// The paper's 148,147 training prompts (Table 11) with its random instruction parts, on one core, from the corpora
// under SAMNER_DATA (or else the committed cuts), repeated until they are as many.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "prompt/training_prompts.h"

namespace samner::prompt {
namespace {

namespace fs = std::filesystem;

void render_training_set(benchmark::State& state) {
    auto const* const data = std::getenv("SAMNER_DATA");
    fs::path const root = data ? fs::path{data} : fs::path{SAMNER_TEST_DATA} / "corpora";
    corpus::Catalogue const catalogue{{fs::path{SAMNER_SOURCE_DIR} / "configs/data"}};
    std::vector<corpus::Dataset const*> datasets;
    std::vector<std::vector<corpus::Sentence>> splits;
    for (auto const& [id, dataset] : catalogue.all()) {
        auto const train = dataset.splits.find("train");
        if (train == dataset.splits.end() || !fs::exists(root / train->second.front().path)) continue;
        datasets.push_back(&dataset);
        splits.push_back(corpus::read(dataset, "train", root));
    }
    std::vector<corpus::Pool> pools;
    for (std::size_t i = 0; i < datasets.size(); ++i) pools.push_back({datasets[i], splits[i]});
    std::size_t bytes = 0;
    std::size_t prompts = 0;
    for (auto _ : state) {
        TrainingPrompts const set{pools, corpus::training_set(pools, {148'147}, 0.1, 0), {}, Rates{}, 0};
        for (std::size_t i = 0; i < set.size(); ++i) {
            auto const prompt = set.at(i);
            bytes += prompt.text.size() + prompt.answer.size();
        }
        prompts += set.size();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(prompts));
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(render_training_set)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samner::prompt

BENCHMARK_MAIN();
