#include "kernel/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "kernel/logarithm.h"
#include "kernel/table.h"

namespace samner::kernel {
namespace {

constexpr std::int64_t piece = 16384;  ///< elements that one thread takes at a time; a multiple of the vector width

template <class Body>
void for_rows(std::int64_t rows, std::int64_t n, Body const& body) {
    parallel_for(0, rows, std::max<std::int64_t>(1, piece / std::max<std::int64_t>(n, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (auto row = begin; row < end; ++row) body(row);
                 });
}

/// Element-wise results do not depend on where the pieces are cut.
template <class Body>
void for_elements(std::int64_t count, Body const& body) {
    parallel_for(0, (count + piece - 1) / piece, 1, [&](std::int64_t begin, std::int64_t end) {
        body(begin * piece, std::min(end * piece, count) - begin * piece);
    });
}

/// Eight partial sums, element i going to number i mod 8: enough for the compiler to use vectors.
double sum_of_leaf(float const* x, std::int64_t count) {
    double sums[8] = {};
    std::int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (int j = 0; j < 8; ++j) sums[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
    }
    for (int j = 0; i + j < count; ++j) sums[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace

void rms_norm(float const* x, float const* weight, float eps, std::int64_t rows, std::int64_t n, float* y) {
    auto const& kernels = table();
    for_rows(rows, n, [&](std::int64_t row) { kernels.rms_norm(x + row * n, weight, eps, n, y + row * n); });
}

void rms_norm_backward(float const* x, float const* weight, float eps, float const* dy, std::int64_t rows,
                       std::int64_t n, float* dx, bool accumulate) {
    auto const& kernels = table();
    for_rows(rows, n, [&](std::int64_t row) {
        kernels.rms_norm_backward(x + row * n, weight, eps, dy + row * n, n, dx + row * n, accumulate);
    });
}

void layer_norm(float const* x, float const* weight, float const* bias, float eps, std::int64_t rows, std::int64_t n,
                float* y) {
    auto const& kernels = table();
    for_rows(rows, n, [&](std::int64_t row) { kernels.layer_norm(x + row * n, weight, bias, eps, n, y + row * n); });
}

void rope(float* x, std::int64_t ld, std::span<std::int32_t const> positions, int heads, int head_dim, float const* cos,
          float const* sin, bool inverse) {
    auto const& kernels = table();
    auto const half = head_dim / 2;
    for_rows(std::ssize(positions), std::int64_t{heads} * head_dim, [&](std::int64_t row) {
        auto const angle = std::int64_t{positions[static_cast<std::size_t>(row)]} * half;
        for (std::int64_t head = 0; head < heads; ++head)
            kernels.rope(x + row * ld + head * head_dim, half, cos + angle, sin + angle, inverse);
    });
}

void swiglu(float const* gate, float const* up, float* out, std::int64_t count) {
    auto const& kernels = table();
    for_elements(count, [&](std::int64_t i, std::int64_t n) { kernels.swiglu(gate + i, up + i, out + i, n); });
}

void swiglu_backward(float const* gate, float const* up, float const* d_out, float* d_gate, float* d_up,
                     std::int64_t count) {
    auto const& kernels = table();
    for_elements(count, [&](std::int64_t i, std::int64_t n) {
        kernels.swiglu_backward(gate + i, up + i, d_out + i, d_gate + i, d_up + i, n);
    });
}

void gelu(float const* x, float* y, std::int64_t count) {
    auto const& kernels = table();
    for_elements(count, [&](std::int64_t i, std::int64_t n) { kernels.gelu(x + i, y + i, n); });
}

void add(float const* x, float* y, std::int64_t count) {
    auto const& kernels = table();
    for_elements(count, [&](std::int64_t i, std::int64_t n) { kernels.add(x + i, y + i, n); });
}

void add_bias(float const* bias, std::int64_t rows, std::int64_t n, float* y) {
    auto const& kernels = table();
    for_rows(rows, n, [&](std::int64_t row) { kernels.add(bias, y + row * n, n); });
}

void scale(float factor, float* x, std::int64_t count) {
    auto const& kernels = table();
    for_elements(count, [&](std::int64_t i, std::int64_t n) { kernels.scale(factor, x + i, n); });
}

void cross_entropy(float* logits, std::span<std::int32_t const> targets, std::int64_t vocabulary, float factor,
                   float* loss) {
    for (std::size_t row = 0; row < targets.size(); ++row) {
        if (targets[row] < 0 || targets[row] >= vocabulary)
            throw InputError{
                fmt::format("target {} of row {} is outside the vocabulary of {}", targets[row], row, vocabulary)};
    }
    auto const& kernels = table();
    for_rows(std::ssize(targets), vocabulary, [&](std::int64_t row) {
        auto* const x = logits + row * vocabulary;
        auto const target = targets[static_cast<std::size_t>(row)];
        auto const wanted = x[target];
        float largest = 0;
        auto const sum = kernels.softmax(x, vocabulary, largest);
        loss[row] = static_cast<float>(static_cast<double>(largest) - static_cast<double>(wanted) +
                                       natural_log(static_cast<double>(sum)));
        kernels.scale(factor / sum, x, vocabulary);
        x[target] -= factor;
    });
}

float softmax(float* x, std::int64_t n) {
    float largest = 0;
    return table().softmax(x, n, largest);
}

void argmax(float const* x, std::int64_t rows, std::int64_t n, std::int32_t* best) {
    auto const& kernels = table();
    for_rows(rows, n, [&](std::int64_t row) {
        auto const index = kernels.argmax(x + row * n, n);
        if (index == n)
            throw Error{fmt::format("row {} of {} values has no largest one: it holds NaN", row, n),
                        "the model's weights are broken, or its training diverged"};
        best[row] = static_cast<std::int32_t>(index);
    });
}

DropoutRule dropout_rule(double p) {
    constexpr double halves = 65536;
    auto const threshold = std::clamp(std::round(p * halves), 0.0, halves - 1);
    return {static_cast<std::uint32_t>(threshold), static_cast<float>(halves / (halves - threshold))};
}

void dropout(std::uint64_t key, std::span<DropoutRow const> rows, double p, float const* x, std::int64_t n, float* y,
             bool accumulate) {
    auto const& kernels = table();
    auto const rule = dropout_rule(p);
    for_rows(std::ssize(rows), n, [&](std::int64_t row) {
        auto const& [sequence, position] = rows[static_cast<std::size_t>(row)];
        DropoutArguments const arguments{{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)},
                                         {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(sequence),
                                          static_cast<std::uint32_t>(sequence >> 32)},
                                         rule.threshold,
                                         rule.scale,
                                         accumulate};
        kernels.dropout(arguments, x + row * n, y + row * n, n);
    });
}

void adamw_step(AdamW const& settings, double learning_rate, std::int64_t step, std::int64_t count,
                float const* gradients, float* parameters, float* first_moment, float* second_moment) {
    auto const& kernels = table();
    auto const correction = [&](double beta) { return 1.0 - whole_power(beta, step); };
    AdamWArguments const arguments{static_cast<float>(1.0 - learning_rate * settings.weight_decay),
                                   static_cast<float>(settings.beta1),
                                   static_cast<float>(settings.beta2),
                                   static_cast<float>(1.0 - settings.beta1),
                                   static_cast<float>(1.0 - settings.beta2),
                                   static_cast<float>(learning_rate / correction(settings.beta1)),
                                   static_cast<float>(1.0 / std::sqrt(correction(settings.beta2))),
                                   static_cast<float>(settings.eps)};
    for_elements(count, [&](std::int64_t i, std::int64_t n) {
        kernels.adamw(arguments, gradients + i, parameters + i, first_moment + i, second_moment + i, n);
    });
}

double sum_of_squares(float const* x, std::int64_t count) {
    constexpr std::int64_t leaf = 4096;
    auto const leaves = (count + leaf - 1) / leaf;
    std::vector<double> sums(static_cast<std::size_t>(leaves), 0.0);
    parallel_for(0, leaves, 16, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
            sums[static_cast<std::size_t>(i)] = sum_of_leaf(x + i * leaf, std::min(leaf, count - i * leaf));
        }
    });
    for (std::size_t width = 1; width < sums.size(); width *= 2) {
        for (std::size_t i = 0; i + width < sums.size(); i += 2 * width) sums[i] += sums[i + width];
    }
    return sums.empty() ? 0.0 : sums[0];
}

}  // namespace samner::kernel
