#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "kernel/gemm.h"
#include "kernel/isa.h"
#include "kernel/logarithm.h"

namespace samner::kernel {
namespace {

using Floats = std::vector<float>;
constexpr double unit_roundoff = 0x1p-24;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Floats random(std::string const& purpose, std::int64_t count, double deviation = 1) {
    RandomStream const stream{11, purpose};
    Floats values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(deviation * stream.normal(i));
    return values;
}

/// Runs `compute` with every instruction set of this machine and several numbers of threads: all results must be equal.
Floats same_bits_everywhere(std::function<Floats()> const& compute) {
    auto const fastest = available().back();
    use(fastest);
    set_num_threads(1);
    auto const reference = compute();
    for (auto const isa : available()) {
        for (int const threads : {1, 2, 4}) {
            use(isa);
            set_num_threads(threads);
            auto const result = compute();
            EXPECT_TRUE(std::ranges::equal(
                reference, result,
                [](float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }))
                << name_of(isa) << " with " << threads << " threads";
        }
    }
    use(fastest);
    set_num_threads(1);
    return reference;
}

struct Size {
    std::int64_t m, n, k;
};

class Products : public testing::TestWithParam<Size> {};

TEST_P(Products, AreWithinTheBoundOfAChainAndTheSameBitsEverywhere) {
    auto const [m, n, k] = GetParam();
    auto const a = random("a", m * k);
    auto const b = random("b", k * n);
    auto const start = random("c", m * n);
    for (bool const accumulate : {false, true}) {
        auto const c = same_bits_everywhere([&] {
            auto result = start;
            gemm(m, a.data(), k, PackedMatrix::from_matrix(b.data(), k, n, n), result.data(), n, accumulate);
            return result;
        });
        for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) {
                double exact = accumulate ? static_cast<double>(start[i * n + j]) : 0.0;
                double magnitude = std::abs(exact);
                for (std::int64_t l = 0; l < k; ++l) {
                    auto const product = static_cast<double>(a[i * k + l]) * static_cast<double>(b[l * n + j]);
                    exact += product;
                    magnitude += std::abs(product);
                }
                // One rounding a step of the chain.
                ASSERT_NEAR(c[i * n + j], exact, static_cast<double>(k) * unit_roundoff * magnitude * 1.01)
                    << i << "," << j;
            }
        }
    }
}

TEST_P(Products, OfOneRowAreTheSameBitsAsInAnyBatch) {
    auto const [m, n, k] = GetParam();
    auto const a = random("a", m * k);
    auto const packed = PackedMatrix::from_matrix(random("b", k * n).data(), k, n, n);
    Floats together(static_cast<std::size_t>(m * n));
    gemm(m, a.data(), k, packed, together.data(), n, false);
    Floats alone(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < m; ++i) {
        gemm(1, a.data() + i * k, k, packed, alone.data(), n, false);
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * n)) << i;
    }
}

TEST_P(Products, TakeWeightsAndTransposedSidesAsTheSameMatrix) {
    auto const [m, n, k] = GetParam();
    auto const a = random("a", m * k);
    auto const b = random("b", k * n);
    Floats a_transposed(a.size());
    Floats b_transposed(b.size());
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t l = 0; l < k; ++l) a_transposed[l * m + i] = a[i * k + l];
    for (std::int64_t l = 0; l < k; ++l)
        for (std::int64_t j = 0; j < n; ++j) b_transposed[j * k + l] = b[l * n + j];
    auto const start = random("c", m * n);
    auto expected = start;
    gemm(m, a.data(), k, PackedMatrix::from_matrix(b.data(), k, n, n), expected.data(), n, true);
    auto from_weight = start;
    gemm(m, a.data(), k, PackedMatrix::from_weight(b_transposed.data(), n, k, k), from_weight.data(), n, true);
    EXPECT_EQ(from_weight, expected);
    for (auto const op_a : {Op::none, Op::transpose}) {
        for (auto const op_b : {Op::none, Op::transpose}) {
            auto c = start;
            gemm(op_a, op_b, m, n, k, 1.0F, op_a == Op::none ? a.data() : a_transposed.data(), op_a == Op::none ? k : m,
                 op_b == Op::none ? b.data() : b_transposed.data(), op_b == Op::none ? n : k, c.data(), n, true);
            EXPECT_EQ(c, expected);
            Floats scaled(c.size());
            Floats doubled = b;
            for (auto& value : doubled) value *= 1.5F;
            Floats wanted(c.size());
            gemm(m, a.data(), k, PackedMatrix::from_matrix(doubled.data(), k, n, n), wanted.data(), n, false);
            gemm(op_a, op_b, m, n, k, 1.5F, op_a == Op::none ? a.data() : a_transposed.data(), op_a == Op::none ? k : m,
                 op_b == Op::none ? b.data() : b_transposed.data(), op_b == Op::none ? n : k, scaled.data(), n, false);
            EXPECT_EQ(scaled, wanted);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Products,
                         testing::Values(Size{1, 1, 1}, Size{1, 300, 64}, Size{3, 33, 17}, Size{12, 32, 512},
                                         Size{13, 65, 513}, Size{97, 31, 40}, Size{130, 96, 1100}, Size{200, 4, 50}),
                         [](auto const& p) {
                             return std::to_string(p.param.m) + "x" + std::to_string(p.param.n) + "x" +
                                    std::to_string(p.param.k);
                         });

TEST(Product, OfNothingIsNothingAndOfNoDepthIsTheStart) {
    Floats c{1, 2};
    gemm(0, nullptr, 1, PackedMatrix::from_matrix(nullptr, 1, 0, 0), c.data(), 1, false);
    EXPECT_EQ(c, (Floats{1, 2}));
    gemm(1, nullptr, 0, PackedMatrix::from_matrix(nullptr, 0, 2, 2), c.data(), 2, true);
    EXPECT_EQ(c, (Floats{1, 2}));
    gemm(1, nullptr, 0, PackedMatrix::from_matrix(nullptr, 0, 2, 2), c.data(), 2, false);
    EXPECT_EQ(c, (Floats{0, 0}));
}

TEST(Product, RoundsOnceAStepAlsoWithoutFmaInstructions) {
    // Products and sums near half units in the last place, denormal results, signed zeros, infinities.
    Floats const values{0.0F,      -0.0F,     1.0F,        -1.0F,          0x1.000002p0F, -0x1.000002p0F,
                        3.0F,      0x1p-24F,  0x1p-25F,    0x1p-75F,       0x1.8p-75F,    0x1.fffffep0F,
                        0x1p-126F, 0x1p-149F, -0x1p-148F,  0x1p127F,       0x1.001p12F,   0x1.fffffep127F,
                        -0x1p-25F, 0x1p-102F, -0x1.8p-24F, 0x1.555556p-2F, infinity};
    auto const n = std::ssize(values);
    auto const packed = PackedMatrix::from_matrix(values.data(), 1, n, n);
    for (auto const isa : available()) {
        use(isa);
        for (float const a : values) {
            for (float const start : values) {
                Floats c(values.size(), start);
                gemm(1, &a, 1, packed, c.data(), n, true);
                for (std::size_t j = 0; j < values.size(); ++j) {
                    auto const expected = std::fma(a, values[j], start);
                    if (std::isnan(expected)) {
                        ASSERT_TRUE(std::isnan(c[j]));
                    } else {
                        ASSERT_EQ(std::bit_cast<std::uint32_t>(c[j]), std::bit_cast<std::uint32_t>(expected))
                            << a << " * " << values[j] << " + " << start << " with " << name_of(isa);
                    }
                }
            }
        }
    }
    use(available().back());
}

// ---- attention ----

struct Heads {
    int heads, kv_heads, head_dim;
};

std::int32_t blocks_of(std::int32_t length) {
    return (length + kv_block - 1) / kv_block;
}

class Attention : public testing::TestWithParam<Heads> {
protected:
    AttentionShape shape() const {
        auto const [heads, kv_heads, head_dim] = GetParam();
        return {heads, kv_heads, head_dim, 1.0F / std::sqrt(static_cast<float>(head_dim))};
    }
    std::vector<std::int32_t> const offsets{0, 1, 18, 55};
    std::int64_t const rows = 55;
    std::int64_t query_width() const { return std::int64_t{shape().heads} * shape().head_dim; }
    std::int64_t kv_width() const { return std::int64_t{shape().kv_heads} * shape().head_dim; }

    /// In double precision, straight from the definition.
    std::vector<double> reference(std::vector<double> const& q, std::vector<double> const& k,
                                  std::vector<double> const& v, bool causal) const {
        auto const s = shape();
        std::vector<double> out(q.size());
        for (std::size_t sequence = 0; sequence + 1 < offsets.size(); ++sequence) {
            for (auto i = offsets[sequence]; i < offsets[sequence + 1]; ++i) {
                auto const end = causal ? i + 1 : offsets[sequence + 1];
                for (int h = 0; h < s.heads; ++h) {
                    auto const kv = h / (s.heads / s.kv_heads);
                    std::vector<double> weight;
                    for (auto j = offsets[sequence]; j < end; ++j) {
                        double dot = 0;
                        for (int d = 0; d < s.head_dim; ++d)
                            dot += q[i * query_width() + h * s.head_dim + d] * k[j * kv_width() + kv * s.head_dim + d];
                        weight.push_back(std::exp(dot * static_cast<double>(s.scale)));
                    }
                    auto const total = std::accumulate(weight.begin(), weight.end(), 0.0);
                    for (int d = 0; d < s.head_dim; ++d) {
                        double sum = 0;
                        for (std::size_t j = 0; j < weight.size(); ++j)
                            sum += weight[j] * v[(offsets[sequence] + static_cast<std::int64_t>(j)) * kv_width() +
                                                 kv * s.head_dim + d];
                        out[i * query_width() + h * s.head_dim + d] = sum / total;
                    }
                }
            }
        }
        return out;
    }
};

TEST_P(Attention, OfPackedSequencesIsTheDefinitionAndTheSameBitsEverywhere) {
    auto const q = random("q", rows * query_width());
    auto const k = random("k", rows * kv_width());
    auto const v = random("v", rows * kv_width());
    for (bool const causal : {true, false}) {
        auto const out = same_bits_everywhere([&] {
            Floats result(q.size());
            attention_forward(shape(), offsets, causal, q.data(), query_width(), k.data(), kv_width(), v.data(),
                              kv_width(), result.data(), query_width(), nullptr);
            return result;
        });
        auto const exact = reference({q.begin(), q.end()}, {k.begin(), k.end()}, {v.begin(), v.end()}, causal);
        // Scores of size below 5 with head_dim roundings each, weights that sum to one, values below 5.
        for (std::size_t i = 0; i < out.size(); ++i)
            ASSERT_NEAR(out[i], exact[i], 5 * static_cast<double>(5 * shape().head_dim + 40) * unit_roundoff) << i;
    }
}

TEST_P(Attention, OverBlocksInAnyPlaceIsTheSameBitsAsOverThePackedSequence) {
    auto const q = random("q", rows * query_width());
    auto const k = random("k", rows * kv_width());
    auto const v = random("v", rows * kv_width());
    Floats packed(q.size());
    attention_forward(shape(), offsets, true, q.data(), query_width(), k.data(), kv_width(), v.data(), kv_width(),
                      packed.data(), query_width(), nullptr);
    std::vector<std::vector<std::int32_t>> const blocks{{5}, {2, 7}, {6, 0, 3}};
    Floats keys(static_cast<std::size_t>(8 * kv_width() * kv_block), 0.0F);
    Floats values = keys;
    KvPool const pool{keys.data(), values.data()};
    std::vector<AttentionRow> attended;
    for (std::size_t sequence = 0; sequence < blocks.size(); ++sequence) {
        for (auto i = offsets[sequence]; i < offsets[sequence + 1]; ++i) {
            auto const position = i - offsets[sequence];
            store_kv(shape(), pool, blocks[sequence][static_cast<std::size_t>(position / kv_block)],
                     position % kv_block, k.data() + i * kv_width(), v.data() + i * kv_width());
            attended.push_back({blocks[sequence].data(), position + 1});
        }
    }
    auto const together = same_bits_everywhere([&] {
        Floats out(q.size());
        paged_attention(shape(), pool, attended, q.data(), query_width(), out.data(), query_width());
        return out;
    });
    EXPECT_EQ(together, packed);
    Floats alone(static_cast<std::size_t>(query_width()));
    for (std::int64_t i = 0; i < rows; ++i) {
        paged_attention(shape(), pool, std::span{attended}.subspan(static_cast<std::size_t>(i), 1),
                        q.data() + i * query_width(), query_width(), alone.data(), query_width());
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * query_width())) << i;
    }
}

TEST_P(Attention, OfRowsThatShareTheirFirstBlocksIsTheSameBitsAsOfEachAlone) {
    // Tables of five sequences behind two blocks, then a row in the middle of what they share, then one that shares
    // nothing; and the rows of one sequence, which share all they have.
    std::vector<std::vector<std::int32_t>> tables;
    for (std::int32_t i = 0; i < 5; ++i) tables.push_back({8, 3, 9 + i, 2});
    tables.push_back({8, 3});
    tables.push_back({4, 5, 6});
    std::vector<std::int32_t> const lengths{40, 33, 64, 48, 47, 20, 41};
    std::vector<AttentionRow> attended;
    for (std::size_t i = 0; i < tables.size(); ++i)
        attended.push_back({tables[i].data(), lengths[i], i == 0 || i == 6 ? 0 : 2});
    for (std::int32_t length = 30; length <= 48; ++length)
        attended.push_back({tables[6].data(), length, length == 30 ? 2 : blocks_of(length - 1)});
    auto const k = random("k", 14 * kv_block * kv_width());
    auto const v = random("v", 14 * kv_block * kv_width());
    KvPool const pool{const_cast<float*>(k.data()), const_cast<float*>(v.data())};
    auto const q = random("q", std::ssize(attended) * query_width());
    auto const together = same_bits_everywhere([&] {
        Floats out(q.size());
        paged_attention(shape(), pool, attended, q.data(), query_width(), out.data(), query_width());
        return out;
    });
    for (auto& row : attended) row.shared = 0;
    Floats alone(q.size());
    paged_attention(shape(), pool, attended, q.data(), query_width(), alone.data(), query_width());
    EXPECT_EQ(together, alone);
}

TEST_P(Attention, HasTheGradientsOfCentralDifferences) {
    auto const q = random("q", rows * query_width());
    auto const k = random("k", rows * kv_width());
    auto const v = random("v", rows * kv_width());
    auto const d_out = random("d_out", rows * query_width());
    for (bool const causal : {true, false}) {
        auto const gradients = same_bits_everywhere([&] {
            Floats out(q.size());
            Floats stats(static_cast<std::size_t>(rows * 2 * shape().heads));
            attention_forward(shape(), offsets, causal, q.data(), query_width(), k.data(), kv_width(), v.data(),
                              kv_width(), out.data(), query_width(), stats.data());
            Floats dq(q.size()), dk(k.size()), dv(v.size());
            attention_backward(shape(), offsets, causal, q.data(), query_width(), k.data(), kv_width(), v.data(),
                               kv_width(), out.data(), query_width(), stats.data(), d_out.data(), query_width(),
                               dq.data(), query_width(), dk.data(), kv_width(), dv.data(), kv_width());
            dq.insert(dq.end(), dk.begin(), dk.end());
            dq.insert(dq.end(), dv.begin(), dv.end());
            return dq;
        });
        std::array<std::vector<double>, 3> inputs{
            std::vector<double>{q.begin(), q.end()}, {k.begin(), k.end()}, {v.begin(), v.end()}};
        auto const loss = [&] {
            auto const out = reference(inputs[0], inputs[1], inputs[2], causal);
            double sum = 0;
            for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * static_cast<double>(d_out[i]);
            return sum;
        };
        std::size_t base = 0;
        for (auto& input : inputs) {
            for (std::size_t i = 3; i < input.size(); i += input.size() / 9) {
                constexpr double step = 1e-4;
                auto const value = input[i];
                input[i] = value + step;
                auto const above = loss();
                input[i] = value - step;
                auto const below = loss();
                input[i] = value;
                EXPECT_NEAR(gradients[base + i], (above - below) / (2 * step), 2e-4) << base + i;
            }
            base += input.size();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Heads{1, 1, 16}, Heads{6, 2, 64}, Heads{4, 4, 32}, Heads{7, 1, 48},
                                         Heads{10, 2, 80}, Heads{4, 2, 24}, Heads{2, 1, 6}),
                         [](auto const& p) {
                             return std::to_string(p.param.heads) + "_" + std::to_string(p.param.kv_heads) + "_" +
                                    std::to_string(p.param.head_dim);
                         });

TEST(AttentionShapes, ThatTheKernelsLackAreErrors) {
    KvPool const pool{nullptr, nullptr};
    EXPECT_THROW(paged_attention({4, 3, 64, 1}, pool, {}, nullptr, 0, nullptr, 0), InputError);
    EXPECT_THROW(paged_attention({130, 1, 64, 1}, pool, {}, nullptr, 0, nullptr, 0), InputError);
    EXPECT_NO_THROW(paged_attention({9, 3, 64, 1}, pool, {}, nullptr, 0, nullptr, 0));
}

// ---- rows and elements ----

TEST(RmsNorm, IsTheDefinitionWithItsGradient) {
    constexpr std::int64_t rows = 5, n = 83;
    auto const x = random("x", rows * n);
    auto const weight = random("w", n);
    auto const dy = random("dy", rows * n);
    auto const y = same_bits_everywhere([&] {
        Floats result(x.size());
        rms_norm(x.data(), weight.data(), 1e-5F, rows, n, result.data());
        return result;
    });
    auto const exact = [&](std::vector<double> const& input, std::int64_t row) {
        double square = 0;
        for (std::int64_t i = 0; i < n; ++i) square += input[i] * input[i];
        std::vector<double> out;
        for (std::int64_t i = 0; i < n; ++i)
            out.push_back(input[i] / std::sqrt(square / n + 1e-5) * static_cast<double>(weight[i]));
        double loss = 0;
        for (std::int64_t i = 0; i < n; ++i) loss += out[i] * static_cast<double>(dy[row * n + i]);
        out.push_back(loss);
        return out;
    };
    auto const dx = same_bits_everywhere([&] {
        Floats result(x.size(), 1.0F);
        rms_norm_backward(x.data(), weight.data(), 1e-5F, dy.data(), rows, n, result.data(), true);
        return result;
    });
    for (std::int64_t row = 0; row < rows; ++row) {
        std::vector<double> input(x.begin() + row * n, x.begin() + (row + 1) * n);
        auto const out = exact(input, row);
        for (std::int64_t i = 0; i < n; ++i)
            EXPECT_NEAR(y[row * n + i], out[i], 20 * unit_roundoff * (1 + std::abs(out[i])));
        for (std::int64_t i = 0; i < n; i += 11) {
            auto const value = input[i];
            input[i] = value + 1e-4;
            auto const above = exact(input, row).back();
            input[i] = value - 1e-4;
            auto const below = exact(input, row).back();
            input[i] = value;
            EXPECT_NEAR(dx[row * n + i] - 1, (above - below) / 2e-4, 1e-5);
        }
    }
}

TEST(LayerNorm, IsTheDefinition) {
    constexpr std::int64_t rows = 3, n = 50;
    auto const x = random("x", rows * n, 3);
    auto const weight = random("w", n);
    auto const bias = random("b", n);
    auto const y = same_bits_everywhere([&] {
        Floats result(x.size());
        layer_norm(x.data(), weight.data(), bias.data(), 1e-12F, rows, n, result.data());
        return result;
    });
    for (std::int64_t row = 0; row < rows; ++row) {
        double mean = 0, square = 0;
        for (std::int64_t i = 0; i < n; ++i) mean += static_cast<double>(x[row * n + i]) / n;
        for (std::int64_t i = 0; i < n; ++i) square += std::pow(static_cast<double>(x[row * n + i]) - mean, 2) / n;
        for (std::int64_t i = 0; i < n; ++i) {
            auto const exact =
                (static_cast<double>(x[row * n + i]) - mean) / std::sqrt(square) * static_cast<double>(weight[i]) +
                static_cast<double>(bias[i]);
            EXPECT_NEAR(y[row * n + i], exact, 40 * unit_roundoff * (1 + std::abs(exact)));
        }
    }
}

TEST(Activations, AreTheirDefinitionsOverTheWholeRange) {
    Floats x;
    for (float value = -120; value <= 120; value += 0.03F) x.push_back(value);
    auto const n = std::ssize(x);
    auto const up = random("up", n);
    auto const swiglu_out = same_bits_everywhere([&] {
        Floats y(x.size());
        swiglu(x.data(), up.data(), y.data(), n);
        return y;
    });
    auto const gelu_out = same_bits_everywhere([&] {
        Floats y(x.size());
        gelu(x.data(), y.data(), n);
        return y;
    });
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const v = static_cast<double>(x[i]);
        auto const silu = v / (1 + std::exp(-v)) * static_cast<double>(up[i]);
        ASSERT_NEAR(swiglu_out[i], silu, 2e-6 * std::abs(silu) + 1e-30) << v;
        ASSERT_NEAR(gelu_out[i], 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))), 4e-7 * std::max(1.0, std::abs(v))) << v;
    }
}

TEST(Swiglu, HasTheGradientsOfCentralDifferences) {
    constexpr std::int64_t n = 37;
    auto const gate = random("gate", n, 2);
    auto const up = random("up", n);
    auto const d_out = random("d", n);
    auto const both = same_bits_everywhere([&] {
        Floats result(2 * n);
        swiglu_backward(gate.data(), up.data(), d_out.data(), result.data(), result.data() + n, n);
        return result;
    });
    auto const silu = [](double x) { return x / (1 + std::exp(-x)); };
    for (std::size_t i = 0; i < n; ++i) {
        auto const g = static_cast<double>(gate[i]);
        auto const d = static_cast<double>(d_out[i]);
        EXPECT_NEAR(both[i], d * static_cast<double>(up[i]) * (silu(g + 1e-5) - silu(g - 1e-5)) / 2e-5, 1e-5);
        EXPECT_NEAR(both[n + i], d * silu(g), 1e-6 * (1 + std::abs(d * g)));
    }
}

TEST(Rope, RotatesHalfAgainstHalfAndBack) {
    constexpr int heads = 3, dim = 48;
    std::vector<std::int32_t> const positions{0, 5, 2};
    Floats cos, sin;
    for (int p = 0; p < 6; ++p) {
        for (int i = 0; i < dim / 2; ++i) {
            cos.push_back(static_cast<float>(std::cos(p * 0.3 * i)));
            sin.push_back(static_cast<float>(std::sin(p * 0.3 * i)));
        }
    }
    auto const x = random("x", 3 * heads * dim);
    auto const y = same_bits_everywhere([&] {
        auto result = x;
        rope(result.data(), heads * dim, positions, heads, dim, cos.data(), sin.data(), false);
        return result;
    });
    EXPECT_TRUE(std::equal(x.begin(), x.begin() + heads * dim, y.begin()));
    auto const at = [&](Floats const& values, int row, int head, int i) {
        return static_cast<double>(values[(row * heads + head) * dim + i]);
    };
    for (int i = 0; i < dim / 2; ++i) {
        auto const angle = 5 * 0.3 * i;
        EXPECT_NEAR(at(y, 1, 2, i), at(x, 1, 2, i) * std::cos(angle) - at(x, 1, 2, i + dim / 2) * std::sin(angle),
                    1e-6);
        EXPECT_NEAR(at(y, 1, 2, i + dim / 2),
                    at(x, 1, 2, i + dim / 2) * std::cos(angle) + at(x, 1, 2, i) * std::sin(angle), 1e-6);
    }
    auto back = y;
    rope(back.data(), heads * dim, positions, heads, dim, cos.data(), sin.data(), true);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(back[i], x[i], 1e-6);
}

TEST(CrossEntropy, IsTheDefinitionWithItsGradient) {
    constexpr std::int64_t rows = 4, vocabulary = 301;
    auto const logits = random("logits", rows * vocabulary, 4);
    std::vector<std::int32_t> const targets{0, 300, 17, 150};
    auto const all = same_bits_everywhere([&] {
        auto result = logits;
        Floats loss(rows);
        cross_entropy(result.data(), targets, vocabulary, 0.5F, loss.data());
        result.insert(result.end(), loss.begin(), loss.end());
        return result;
    });
    for (std::int64_t row = 0; row < rows; ++row) {
        double total = 0;
        for (std::int64_t i = 0; i < vocabulary; ++i)
            total += std::exp(static_cast<double>(logits[row * vocabulary + i]));
        auto const target = targets[static_cast<std::size_t>(row)];
        EXPECT_NEAR(all[rows * vocabulary + row],
                    std::log(total) - static_cast<double>(logits[row * vocabulary + target]), 2e-6);
        for (std::int64_t i = 0; i < vocabulary; ++i) {
            auto const gradient =
                0.5 * (std::exp(static_cast<double>(logits[row * vocabulary + i])) / total - (i == target));
            ASSERT_NEAR(all[row * vocabulary + i], gradient, 2e-7);
        }
    }
}

TEST(CrossEntropy, RefusesTargetsOutsideTheVocabulary) {
    Floats logits(6), loss(2);
    for (std::int32_t const target : {-1, 3}) {
        std::vector<std::int32_t> const targets{0, target};
        EXPECT_THROW(cross_entropy(logits.data(), targets, 3, 1.0F, loss.data()), InputError);
    }
}

TEST(Nan, IsNotSwallowed) {
    for (auto const isa : available()) {
        use(isa);
        Floats x(40, 1.0F);
        x[17] = nan;
        Floats y(x.size());
        gelu(x.data(), y.data(), std::ssize(x));
        EXPECT_TRUE(std::isnan(y[17]));
        EXPECT_FALSE(std::isnan(y[18]));
        swiglu(x.data(), x.data(), y.data(), std::ssize(x));
        EXPECT_TRUE(std::isnan(y[17]));
        std::int32_t best = 0;
        EXPECT_THROW(argmax(x.data(), 1, std::ssize(x), &best), Error);
        std::vector<std::int32_t> const target{3};
        float loss = 0;
        cross_entropy(x.data(), target, std::ssize(x), 1.0F, &loss);
        EXPECT_TRUE(std::isnan(loss));

        // One broken key must show in the output, not drop out of the softmax.
        Floats const q(8, 1.0F), v(3 * 8, 1.0F);
        Floats k(3 * 8, 1.0F), out(8);
        k[8] = nan;
        std::vector<float> keys(8 * kv_block), values(8 * kv_block);
        AttentionShape const shape{1, 1, 8, 1.0F};
        KvPool const pool{keys.data(), values.data()};
        for (int p = 0; p < 3; ++p) store_kv(shape, pool, 0, p, &k[p * 8], &v[p * 8]);
        std::int32_t const block = 0;
        AttentionRow const row{&block, 3};
        paged_attention(shape, pool, {&row, 1}, q.data(), 8, out.data(), 8);
        EXPECT_TRUE(std::isnan(out[0]));
    }
    use(available().back());
}

TEST(NaturalLog, IsWithinTwoUnitsOfTheMathLibrary) {
    for (double x = 1e-300; x < 1e300; x *= 1.37)
        ASSERT_NEAR(natural_log(x), std::log(x), 4e-16 * std::max(1.0, std::abs(std::log(x)))) << x;
    for (double x = 0.5; x < 2; x += 0.001) ASSERT_NEAR(natural_log(x), std::log(x), 4e-16) << x;
    EXPECT_EQ(natural_log(1.0), 0.0);
    EXPECT_TRUE(std::isnan(natural_log(std::numeric_limits<double>::quiet_NaN())));
    EXPECT_EQ(whole_power(0.5, 10), 0x1p-10);
    EXPECT_EQ(whole_power(3.0, 0), 1.0);
}

TEST(InstructionSetDeathTest, IsTakenFromTheEnvironmentAndAnUnknownOneIsBadInput) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    auto const exit_code_with = [](char const* name) {
        setenv("SAMNER_ISA", name, 1);
        try {
            std::exit(current() == Isa::generic ? 0 : 1);
        } catch (InputError const& error) {
            std::fputs(error.what(), stderr);
            std::exit(static_cast<int>(error.code()));
        }
    };
    EXPECT_EXIT(exit_code_with("avx3"), testing::ExitedWithCode(2), "SAMNER_ISA is 'avx3'");
    EXPECT_EXIT(exit_code_with("generic"), testing::ExitedWithCode(0), "");
}

TEST(Argmax, FindsTheFirstLargestAnywhereInLongRows) {
    for (auto const isa : available()) {
        use(isa);
        for (std::int64_t const n : {1, 15, 16, 33, 300}) {
            for (std::int64_t const at : {std::int64_t{0}, n / 2, n - 1}) {
                Floats x(static_cast<std::size_t>(n), -2.0F);
                x[at] = x[n - 1] = -1.0F;
                std::int32_t best = -1;
                argmax(x.data(), 1, n, &best);
                EXPECT_EQ(best, at) << n;
            }
        }
        Floats const none(20, -infinity);
        std::int32_t best = 0;
        EXPECT_THROW(argmax(none.data(), 1, 20, &best), Error);
    }
    use(available().back());
}

TEST(Argmax, TakesTheLowestOfEqualOnes) {
    Floats const x{1, 3, 3, 2, -1, -1, -1, -1};
    std::vector<std::int32_t> best(2);
    argmax(x.data(), 2, 4, best.data());
    EXPECT_THAT(best, testing::ElementsAre(1, 0));
}

TEST(Dropout, DropsByTheHalvesOfPhiloxAndIsTheSameBitsEverywhere) {
    constexpr std::int64_t n = 301;
    constexpr double p = 0.25;
    constexpr std::uint64_t key = 0x123456789abcdef0;
    std::vector<DropoutRow> const rows{{7, 0}, {7, 1}, {std::uint64_t{3} << 33, 1}};
    auto const x = random("dropout", 3 * n);
    auto const y = same_bits_everywhere([&] {
        Floats out(x.size());
        dropout(key, rows, p, x.data(), n, out.data(), false);
        dropout(key, rows, p, x.data(), n, out.data(), true);
        return out;
    });
    for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::int64_t j = 0; j < n; ++j) {
            auto const words = philox(
                {static_cast<std::uint32_t>(j / 8), static_cast<std::uint32_t>(rows[row].position),
                 static_cast<std::uint32_t>(rows[row].sequence), static_cast<std::uint32_t>(rows[row].sequence >> 32)},
                {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
            auto const word = words[static_cast<std::size_t>(j % 8 / 2)];
            auto const half = j % 2 == 0 ? word & 0xFFFF : word >> 16;
            auto const i = row * n + static_cast<std::size_t>(j);
            EXPECT_EQ(y[i], half < 16384 ? 0.0F : 2.0F * (x[i] * static_cast<float>(1 / (1 - p)))) << i;
        }
    }
}

TEST(Dropout, KeepsTheExpectation) {
    constexpr std::int64_t n = 4096;
    std::vector<DropoutRow> rows;
    for (std::int32_t position = 0; position < 64; ++position) rows.push_back({1, position});
    Floats const ones(rows.size() * n, 1.0F);
    for (double const p : {0.05, 0.5, 0.9}) {
        Floats out(ones.size());
        dropout(9, rows, p, ones.data(), n, out.data(), false);
        auto const count = static_cast<double>(out.size());
        auto const dropped = static_cast<double>(std::ranges::count(out, 0.0F)) / count;
        auto const mean = std::accumulate(out.begin(), out.end(), 0.0) / count;
        EXPECT_NEAR(dropped, p, 5 * std::sqrt(p * (1 - p) / count));
        EXPECT_NEAR(mean, 1, 5 * std::sqrt(p / (1 - p) / count));
    }
    Floats out(ones.size());
    dropout(9, rows, 0, ones.data(), n, out.data(), false);
    EXPECT_EQ(out, ones);
}

TEST(AdamWStep, IsTheDefinitionAndLeavesWeightsWithoutGradientAlone) {
    constexpr std::int64_t n = 21;
    auto const start = random("w", n);
    auto const m0 = random("m", n, 0.1);
    auto gradients = random("g", n);
    Floats v0(n);
    for (std::size_t i = 0; i < n; ++i) v0[i] = 0.01F * gradients[i] * gradients[i];
    AdamW settings;
    settings.weight_decay = 0.1;
    auto const after = same_bits_everywhere([&] {
        auto w = start, m = m0, v = v0;
        adamw_step(settings, 1e-2, 3, n, gradients.data(), w.data(), m.data(), v.data());
        return w;
    });
    for (std::size_t i = 0; i < n; ++i) {
        double const g = static_cast<double>(gradients[i]);
        auto const m = 0.9 * static_cast<double>(m0[i]) + 0.1 * g;
        auto const v = 0.999 * static_cast<double>(v0[i]) + 0.001 * g * g;
        auto const step = 1e-2 / (1 - std::pow(0.9, 3)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, 3)) + 1e-8);
        EXPECT_NEAR(after[i], static_cast<double>(start[i]) * (1 - 1e-3) - step, 1e-6 * (std::abs(step) + 1));
    }
    Floats w = start, zero(n, 0.0F), m(n, 0.0F), v(n, 0.0F);
    settings.weight_decay = 0;
    adamw_step(settings, 1e-2, 1, n, zero.data(), w.data(), m.data(), v.data());
    EXPECT_EQ(w, start);
}

TEST(SumOfSquares, IsTheSameOnAnyNumberOfThreads) {
    auto const x = random("x", 100'003);
    set_num_threads(1);
    auto const one = sum_of_squares(x.data(), std::ssize(x));
    set_num_threads(3);
    EXPECT_EQ(sum_of_squares(x.data(), std::ssize(x)), one);
    set_num_threads(1);
    double plain = 0;
    for (auto const value : x) plain += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(one, plain, 1e-9 * plain);
    EXPECT_EQ(sum_of_squares(nullptr, 0), 0.0);
}

}  // namespace
}  // namespace samner::kernel
