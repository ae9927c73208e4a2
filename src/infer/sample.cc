#include "infer/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "kernel/elementwise.h"

namespace samner::infer {

void check(Sampling const& sampling) {
    if (!(sampling.temperature >= 0) || !std::isfinite(sampling.temperature)) {
        throw InputError{fmt::format("temperature is {}", sampling.temperature), "use a number from 0 (greedy) up"};
    }
    if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
        throw InputError{fmt::format("top_p is {}", sampling.top_p), "use a number above 0, at most 1"};
    }
}

std::int32_t sample(std::span<float> logits, Sampling const& sampling, double uniform) {
    auto const size = std::ssize(logits);
    std::int32_t best = 0;
    kernel::argmax(logits.data(), 1, size, &best);
    auto const temperature = static_cast<float>(sampling.temperature);
    if (temperature == 0.0F) return best;
    // Differences first: low temperatures must not overflow.
    auto const largest = logits[static_cast<std::size_t>(best)];
    for (auto& value : logits) value = (value - largest) / temperature;
    kernel::softmax(logits.data(), size);

    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    auto const weight = [&](std::int32_t id) { return static_cast<double>(logits[static_cast<std::size_t>(id)]); };
    double kept = 0;
    for (auto const id : order) kept += weight(id);
    auto end = order.begin();
    if (sampling.top_p < 1) {
        auto const wanted = sampling.top_p * kept;
        kept = 0;
        for (auto sorted = order.begin(); kept < wanted && end != order.end(); ++end) {
            if (end == sorted) {  // the next most likely ones; how many at a time changes nothing
                sorted += std::min<std::ptrdiff_t>(std::max<std::ptrdiff_t>(64, sorted - order.begin()),
                                                   order.end() - sorted);
                std::partial_sort(end, sorted, order.end(), [&](std::int32_t a, std::int32_t b) {
                    return weight(a) != weight(b) ? weight(a) > weight(b) : a < b;
                });
            }
            kept += weight(*end);
        }
    } else {
        end = order.end();
    }
    double reached = 0;
    auto chosen = best;
    for (auto place = order.begin(); place != end; ++place) {
        if (weight(*place) <= 0) continue;
        chosen = *place;  // the last one that has a probability, should rounding keep the sum below
        reached += weight(*place);
        if (uniform * kept < reached) break;
    }
    return chosen;
}

}  // namespace samner::infer
