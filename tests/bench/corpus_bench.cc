// Reads every corpus under SAMNER_DATA (or else the committed cuts) into sentences with entities and offsets, on one
// core. compare_readers.py beside this file runs it against plain Python readers.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "corpus/dataset.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;

void read_all(benchmark::State& state) {
    auto const* const data = std::getenv("SAMNER_DATA");
    fs::path const root = data ? fs::path{data} : fs::path{SAMNER_TEST_DATA} / "corpora";
    Catalogue const catalogue{{fs::path{SAMNER_SOURCE_DIR} / "configs/data"}};
    std::int64_t files = 0;
    std::int64_t bytes = 0;
    std::int64_t sentences = 0;
    std::int64_t entities = 0;
    for (auto _ : state) {
        files = bytes = sentences = entities = 0;
        for (auto const& [id, dataset] : catalogue.all()) {
            for (auto const& [split, parts] : dataset.splits) {
                auto present = dataset;
                std::erase_if(present.splits.at(split),
                              [&](DataFile const& file) { return !fs::is_regular_file(root / file.path); });
                if (present.splits.at(split).empty()) continue;
                for (auto const& sentence : read(present, split, root)) {
                    ++sentences;
                    entities += std::ssize(sentence.entities);
                }
                for (auto const& file : present.splits.at(split)) {
                    ++files;
                    bytes += static_cast<std::int64_t>(fs::file_size(root / file.path));
                }
            }
        }
    }
    state.SetBytesProcessed(bytes * state.iterations());
    state.counters["files"] = static_cast<double>(files);
    state.counters["sentences"] = static_cast<double>(sentences);
    state.counters["entities"] = static_cast<double>(entities);
}
BENCHMARK(read_all)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samner::corpus

BENCHMARK_MAIN();
