#include "train/flops.h"

#include <algorithm>
#include <chrono>

#include "weights/architecture.h"

namespace samner::train {

double training_flops(weights::ModelConfig const& config, std::int64_t factors, Work const& work) {
    std::int64_t frozen = 0;
    for (auto const& linear : weights::linear_modules(config)) frozen += linear.out * linear.in;
    auto const layers = config.num_layers * config.num_heads * config.head_dim;
    auto const times = [](std::int64_t a, std::int64_t b) { return static_cast<double>(a) * static_cast<double>(b); };
    return 4 * times(frozen, work.tokens) + 6 * times(factors, work.tokens) + 12 * times(layers, work.pairs) +
           4 * times(config.vocab_size * config.hidden_size, work.answer);
}

double product_rate(model::LanguageModel const& model, model::Ops const& ops) {
    constexpr std::int64_t rows = 512;
    auto const& gate = *model.layers.front().linear[model::gate_proj].weight;
    auto const x = ops.zeros({rows, gate.in()});
    auto y = ops.empty({rows, gate.out()});
    auto const product = [&] {
        ops.linear(gate, x, y, false);
        y.narrow(0, 0, 1).cpu();  // waits for a device
    };
    product();
    auto fastest = std::chrono::duration<double>::max();
    for (int round = 0; round < 3; ++round) {
        auto const start = std::chrono::steady_clock::now();
        product();
        fastest = std::min(fastest, std::chrono::duration<double>{std::chrono::steady_clock::now() - start});
    }
    return 2.0 * static_cast<double>(rows) * static_cast<double>(gate.in()) * static_cast<double>(gate.out()) /
           fastest.count();
}

}  // namespace samner::train
