// Runs the arithmetic of the CUDA kernels on the host, by one lane and by several threads that stand for those of a
// CUDA block, beside the CPU kernels.
#include "model/device_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/random.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"

namespace samner::model::device {
namespace {

/// What the lanes of a group share.
struct Meeting {
    explicit Meeting(int count) : barrier{count}, floats(static_cast<std::size_t>(count)) {}
    std::barrier<> barrier;
    std::vector<float> floats;
    std::vector<std::int32_t> integers = std::vector<std::int32_t>(floats.size());
};

class Lane {
public:
    Lane(Meeting& meeting, int number) : meeting_{meeting}, number_{number} {}
    int lane() const { return number_; }
    int lanes() const { return static_cast<int>(meeting_.floats.size()); }
    void barrier() const { meeting_.barrier.arrive_and_wait(); }
    float sum(float x) const {
        return over(meeting_.floats, x, [](float a, float b) { return a + b; });
    }
    float max(float x) const {
        return over(meeting_.floats, x, [](float a, float b) { return std::max(a, b); });
    }
    std::int32_t min(std::int32_t x) const {
        return over(meeting_.integers, x, [](std::int32_t a, std::int32_t b) { return std::min(a, b); });
    }

private:
    template <class T, class Combine>
    T over(std::vector<T>& parts, T x, Combine const& combine) const {
        parts[static_cast<std::size_t>(number_)] = x;
        barrier();
        auto result = parts[0];
        for (std::size_t i = 1; i < parts.size(); ++i) result = combine(result, parts[i]);
        barrier();
        return result;
    }
    Meeting& meeting_;
    int number_;
};

/// Calls body(lane) in as many threads at once as the group has lanes.
template <class Body>
void in_group(int lanes, Body const& body) {
    Meeting meeting{lanes};
    std::vector<std::jthread> threads;
    for (int i = 0; i < lanes; ++i) threads.emplace_back([&, i] { body(Lane{meeting, i}); });
}

/// Numbers of one type, aligned as the kernels want them.
template <class T>
class Numbers {
public:
    explicit Numbers(std::size_t size) : packs_((size * sizeof(T) + sizeof(Sixteen) - 1) / sizeof(Sixteen)) {}
    explicit Numbers(std::vector<float> const& values) : Numbers{values.size()} {
        for (std::size_t i = 0; i < values.size(); ++i) narrow(values[i], data()[i]);
    }
    T* data() { return reinterpret_cast<T*>(packs_.data()); }
    T const* data() const { return reinterpret_cast<T const*>(packs_.data()); }
    std::vector<float> floats(std::size_t size) const {
        std::vector<float> result(size);
        for (std::size_t i = 0; i < size; ++i) result[i] = wide(data()[i]);
        return result;
    }

private:
    struct alignas(16) Sixteen {
        char bytes[16];
    };
    std::vector<Sixteen> packs_;
};

std::vector<float> normal(std::size_t size, std::string const& purpose, double scale = 1.0) {
    RandomStream const stream{3, purpose};
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(scale * stream.normal(i));
    return values;
}

template <class T>
constexpr double roundoff = std::is_same_v<T, float> ? 0x1.0p-24 : 0x1.0p-8;

/// |found - expected| is at most `roundings` of the type's roundings of the expected value or of `scale`, and what n
/// sums in fp32 in another order leave.
template <class T>
void expect_near(std::vector<float> const& found, std::vector<float> const& expected, double roundings, double scale,
                 double n, std::string const& what) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        auto const size = std::max(std::abs(static_cast<double>(expected[i])), scale);
        ASSERT_NEAR(found[i], expected[i], (roundings * roundoff<T> + n * 0x1.0p-24) * size) << what << " " << i;
    }
}

template <class T, int number>
struct Kind {
    using Number = T;
    static constexpr int width = number;
    static constexpr std::size_t row = number == 1 ? 51 : 96;  ///< elements
};

template <class K>
class DeviceMath : public testing::Test {};

constexpr std::array<int, 2> groups{1, 5};

/// As the type can hold them.
template <class T>
std::vector<float> rounded(std::vector<float> const& values) {
    return Numbers<T>{values}.floats(values.size());
}

struct KindName {
    template <class K>
    static std::string GetName(int) {
        return (std::is_same_v<typename K::Number, float> ? "fp32_by_" : "bf16_by_") + std::to_string(K::width);
    }
};
using Kinds = testing::Types<Kind<float, 1>, Kind<float, 4>, Kind<Bf16, 1>, Kind<Bf16, 8>>;
TYPED_TEST_SUITE(DeviceMath, Kinds, KindName);

TYPED_TEST(DeviceMath, AddsAndNormsARowAsTheCpuDoes) {
    using T = typename TypeParam::Number;
    constexpr auto n = TypeParam::row;
    auto const x = rounded<T>(normal(n, "x"));
    auto const addend = rounded<T>(normal(n, "addend"));
    auto const weight = rounded<T>(normal(n, "weight"));
    auto sum = x;
    for (std::size_t i = 0; i < n; ++i) sum[i] += addend[i];
    sum = rounded<T>(sum);
    std::vector<float> expected(n);
    kernel::rms_norm(sum.data(), weight.data(), 1e-5F, 1, n, expected.data());
    for (auto const lanes : groups) {
        Numbers<T> values{x};
        Numbers<T> const more{addend};
        Numbers<T> const weights{weight};
        Numbers<T> out{n};
        in_group(lanes, [&](Lane const& lane) {
            rms_norm_row<TypeParam::width>(lane, more.data(), values.data(), weights.data(), n, 1e-5F, out.data());
        });
        EXPECT_EQ(values.floats(n), sum);
        expect_near<T>(out.floats(n), expected, 2.1, 0, n, "norm");
        // Without an addend, in place.
        in_group(lanes, [&](Lane const& lane) {
            rms_norm_row<TypeParam::width>(lane, static_cast<T const*>(nullptr), values.data(), weights.data(), n,
                                           1e-5F, values.data());
        });
        EXPECT_EQ(values.floats(n), out.floats(n));
    }
}

TYPED_TEST(DeviceMath, HasTheNormsGradientOfTheCpu) {
    using T = typename TypeParam::Number;
    constexpr auto n = TypeParam::row;
    auto const x = rounded<T>(normal(n, "x"));
    auto const weight = rounded<T>(normal(n, "weight"));
    auto const dy = rounded<T>(normal(n, "dy"));
    auto const before = rounded<T>(normal(n, "before"));
    for (bool const accumulate : {false, true}) {
        auto expected = before;
        kernel::rms_norm_backward(x.data(), weight.data(), 1e-5F, dy.data(), 1, n, expected.data(), accumulate);
        for (auto const lanes : groups) {
            Numbers<T> const values{x};
            Numbers<T> const weights{weight};
            Numbers<T> const gradient{dy};
            Numbers<T> out{before};
            in_group(lanes, [&](Lane const& lane) {
                rms_norm_backward_row<TypeParam::width>(lane, values.data(), weights.data(), gradient.data(), n, 1e-5F,
                                                        out.data(), accumulate);
            });
            expect_near<T>(out.floats(n), expected, 1.1, 1.0, n, "gradient");
        }
    }
}

TYPED_TEST(DeviceMath, RotatesHeadsAsTheCpuDoes) {
    using T = typename TypeParam::Number;
    constexpr int half = 8;
    auto const x = rounded<T>(normal(2 * half, "x"));
    std::vector<float> cos(3 * half);
    std::vector<float> sin(3 * half);
    for (std::size_t i = 0; i < cos.size(); ++i) {
        cos[i] = std::cos(0.3F * static_cast<float>(i));
        sin[i] = std::sin(0.3F * static_cast<float>(i));
    }
    std::vector<std::int32_t> const position{2};
    for (bool const inverse : {false, true}) {
        auto expected = x;
        kernel::rope(expected.data(), 2 * half, position, 1, 2 * half, cos.data(), sin.data(), inverse);
        Numbers<T> head{x};
        for (int pair = 0; pair < half; ++pair) {
            rope_pair(head.data(), pair, half, cos[2 * half + pair], sin[2 * half + pair], inverse ? -1.0F : 1.0F);
        }
        expect_near<T>(head.floats(2 * half), expected, 1.1, 1.0, 4, "rotated");
    }
}

TYPED_TEST(DeviceMath, GatesAsTheCpuDoes) {
    using T = typename TypeParam::Number;
    constexpr auto width = TypeParam::width;
    constexpr auto n = TypeParam::row;
    auto const gate = rounded<T>(normal(n, "gate", 3.0));
    auto const up = rounded<T>(normal(n, "up"));
    auto const d_out = rounded<T>(normal(n, "d_out"));
    std::vector<float> expected(n);
    std::vector<float> expected_gate(n);
    std::vector<float> expected_up(n);
    kernel::swiglu(gate.data(), up.data(), expected.data(), n);
    kernel::swiglu_backward(gate.data(), up.data(), d_out.data(), expected_gate.data(), expected_up.data(), n);
    Numbers<T> const gates{gate};
    Numbers<T> const ups{up};
    Numbers<T> const gradient{d_out};
    Numbers<T> out{n};
    Numbers<T> d_gate{n};
    Numbers<T> d_up{n};
    for (std::size_t i = 0; i < n / width; ++i) {
        store(swiglu(load<width>(gates.data(), i), load<width>(ups.data(), i)), out.data(), i);
        Pack<T, width> by_gate;
        Pack<T, width> by_up;
        swiglu_backward(load<width>(gates.data(), i), load<width>(ups.data(), i), load<width>(gradient.data(), i),
                        by_gate, by_up);
        store(by_gate, d_gate.data(), i);
        store(by_up, d_up.data(), i);
    }
    expect_near<T>(out.floats(n), expected, 1.1, 1e-3, 16, "gated");
    expect_near<T>(d_gate.floats(n), expected_gate, 1.1, 1e-1, 16, "gradient of gate");
    expect_near<T>(d_up.floats(n), expected_up, 1.1, 1e-3, 16, "gradient of up");
}

TYPED_TEST(DeviceMath, DropsTheElementsThatTheCpuDrops) {
    using T = typename TypeParam::Number;
    constexpr auto n = TypeParam::row;
    constexpr std::uint64_t key = 0x123456789ABCDEF0U;
    std::vector<kernel::DropoutRow> const rows{{(std::uint64_t{7} << 32) + 5, 11}};
    std::vector<std::uint32_t> const numbers{11, 5, 7};
    auto const x = rounded<T>(normal(n, "x"));
    auto const before = rounded<T>(normal(n, "before"));
    for (bool const accumulate : {false, true}) {
        auto expected = before;
        kernel::dropout(key, rows, 0.4, x.data(), n, expected.data(), accumulate);
        auto const rule = kernel::dropout_rule(0.4);
        Numbers<T> const values{x};
        Numbers<T> out{before};
        for (std::int64_t eight = 0; eight < (std::ssize(x) + 7) / 8; ++eight) {
            drop_eight(key, numbers.data(), rule.threshold, rule.scale, eight, values.data(), n, out.data(),
                       accumulate);
        }
        expect_near<T>(out.floats(n), expected, 1.1, 1.0, 2, "dropped");
        if (accumulate) continue;
        for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(out.floats(n)[i] == 0, expected[i] == 0) << i;
    }
}

TYPED_TEST(DeviceMath, HasTheLossAndGradientOfTheCpu) {
    using T = typename TypeParam::Number;
    constexpr auto n = TypeParam::row;
    auto const logits = rounded<T>(normal(n, "logits", 4.0));
    for (std::int32_t const target : {0, 17, static_cast<std::int32_t>(n) - 1}) {
        auto expected = logits;
        std::vector<std::int32_t> const targets{target};
        float expected_loss = 0;
        kernel::cross_entropy(expected.data(), targets, n, 1.0F, &expected_loss);
        for (auto const lanes : groups) {
            Numbers<T> row{logits};
            std::vector<float> losses(static_cast<std::size_t>(lanes));
            in_group(lanes, [&](Lane const& lane) {
                losses[static_cast<std::size_t>(lane.lane())] =
                    cross_entropy_row<TypeParam::width>(lane, row.data(), n, target);
            });
            for (auto const loss : losses) EXPECT_NEAR(loss, expected_loss, 1e-5F * std::max(1.0F, expected_loss));
            expect_near<T>(row.floats(n), expected, 1.1, 1e-3, 100, "gradient of logit");
        }
    }
}

TYPED_TEST(DeviceMath, FindsTheLowestIndexOfTheLargestLogit) {
    using T = typename TypeParam::Number;
    constexpr auto n = TypeParam::row;
    auto const find = [&](std::vector<float> const& logits, int lanes) {
        Numbers<T> const row{logits};
        std::vector<std::int32_t> best(static_cast<std::size_t>(lanes));
        in_group(lanes, [&](Lane const& lane) {
            best[static_cast<std::size_t>(lane.lane())] = argmax_row<TypeParam::width>(lane, row.data(), n);
        });
        EXPECT_TRUE(std::ranges::all_of(best, [&](auto one) { return one == best[0]; }));
        return best[0];
    };
    auto logits = rounded<T>(normal(n, "logits"));
    for (auto const lanes : groups) {
        auto const expected = static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
        EXPECT_EQ(find(logits, lanes), expected);
        auto ties = std::vector<float>(n, -2.0F);
        ties[40] = ties[13] = ties[n - 1] = 5.0F;
        EXPECT_EQ(find(ties, lanes), 13);
        auto broken = logits;
        broken[n - 2] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(find(broken, lanes), static_cast<std::int32_t>(n));
        EXPECT_EQ(find(std::vector<float>(n, -INFINITY), lanes), static_cast<std::int32_t>(n));
    }
}

TYPED_TEST(DeviceMath, AttendsOverBlocksAsTheCpuDoes) {
    using T = typename TypeParam::Number;
    constexpr int dim = 16;
    constexpr kernel::AttentionShape shape{6, 2, dim, 0.25F};
    constexpr std::int32_t num_blocks = 12;
    std::vector<std::int32_t> const table{7, 2, 11, 0, 5, 9, 1, 3, 10};
    auto const positions = static_cast<std::size_t>(num_blocks * kernel::kv_block);
    auto const k = rounded<T>(normal(positions * 2 * dim, "k"));
    auto const v = rounded<T>(normal(positions * 2 * dim, "v"));
    auto const q = rounded<T>(normal(6 * dim, "q"));
    std::vector<float> pool_keys(k.size());
    std::vector<float> pool_values(v.size());
    kernel::KvPool const pool{pool_keys.data(), pool_values.data()};
    for (std::int32_t i = 0; i < num_blocks * kernel::kv_block; ++i) {
        auto const row = static_cast<std::size_t>(i) * 2 * dim;
        kernel::store_kv(shape, pool, i / kernel::kv_block, i % kernel::kv_block, k.data() + row, v.data() + row);
    }
    Numbers<T> const keys{k};
    Numbers<T> const values{v};
    Numbers<T> const queries{q};
    for (std::int32_t const length : {1, 16, 17, 64, 65, 129, 144}) {
        std::vector<kernel::AttentionRow> const rows{{table.data(), length}};
        std::vector<float> expected(6 * dim);
        kernel::paged_attention(shape, pool, rows, q.data(), 6 * dim, expected.data(), 6 * dim);
        for (auto const lanes : groups) {
            Numbers<T> out{std::size_t{6} * dim};
            for (int head = 0; head < 2; ++head) {
                std::vector<float> scratch(static_cast<std::size_t>(attend_scratch(3, dim)));
                auto const offset = head * 3 * dim;
                in_group(lanes, [&](Lane const& lane) {
                    attend_row<TypeParam::width>(lane, AttendShape{3, 2, dim, 0.25F},
                                                 Cache<T>{keys.data(), values.data()}, head, table.data(), 0, length,
                                                 Before<T>{nullptr, nullptr, 0}, queries.data() + offset,
                                                 out.data() + offset, scratch.data());
                });
            }
            expect_near<T>(out.floats(6 * dim), expected, 1.1, 1.0, 64,
                           "length " + std::to_string(length) + ", element");
        }
    }
}

TYPED_TEST(DeviceMath, JoinsWhatWasAttendedToBefore) {
    using T = typename TypeParam::Number;
    constexpr int dim = 8;
    constexpr std::int32_t start = 32;
    constexpr std::int32_t length = 75;
    AttendShape const shape{2, 1, dim, 0.5F};
    std::vector<std::int32_t> const table{3, 0, 4, 1, 2};
    Numbers<T> const keys{normal(5 * kernel::kv_block * dim, "k")};
    Numbers<T> const values{normal(5 * kernel::kv_block * dim, "v")};
    Numbers<T> const queries{normal(2 * dim, "q")};
    auto const attend = [&](std::int32_t from, std::int32_t to, Before<T> const& before, Numbers<T>& out) {
        std::vector<float> scratch(static_cast<std::size_t>(attend_scratch(2, dim)));
        in_group(3, [&](Lane const& lane) {
            attend_row<TypeParam::width>(lane, shape, Cache<T>{keys.data(), values.data()}, 0, table.data(), from, to,
                                         before, queries.data(), out.data(), scratch.data());
        });
    };
    Numbers<T> whole{2 * dim};
    Numbers<T> first{2 * dim};
    Numbers<T> joined{2 * dim};
    attend(0, length, {nullptr, nullptr, 0}, whole);
    attend(0, start, {nullptr, nullptr, 0}, first);
    constexpr std::int64_t stride = 3;  // as behind the statistics of other rows
    std::vector<float> log_sums(2 * stride);
    for (int head = 0; head < 2; ++head) {
        double sum = 0;
        for (std::int32_t p = 0; p < start; ++p) {
            auto const place =
                table[static_cast<std::size_t>(p / kernel::kv_block)] * kernel::kv_block + p % kernel::kv_block;
            double score = 0;
            for (int d = 0; d < dim; ++d)
                score += static_cast<double>(wide(queries.data()[head * dim + d])) *
                         static_cast<double>(wide(keys.data()[place * dim + d]));
            sum += std::exp(0.5 * score);
        }
        log_sums[static_cast<std::size_t>(head * stride)] = static_cast<float>(std::log(sum));
    }
    attend(start, length, {first.data(), log_sums.data(), stride}, joined);
    // The first part is rounded once more.
    expect_near<T>(joined.floats(2 * dim), whole.floats(2 * dim), 2.1, 1.0, 200, "joined");
}

TEST(DeviceBf16, RoundsToTheNearestAndTiesToEven) {
    auto const rounded = [](float x) {
        Bf16 result;
        narrow(x, result);
        return wide(result);
    };
    EXPECT_EQ(rounded(1.0F), 1.0F);
    EXPECT_EQ(rounded(1.0F + 0x1.0p-8F), 1.0F);
    EXPECT_EQ(rounded(1.0F + 0x1.8p-7F), 1.0F + 0x1.0p-6F);
    EXPECT_EQ(rounded(1.0F + 0x1.01p-8F), 1.0F + 0x1.0p-7F);
    EXPECT_EQ(rounded(-INFINITY), -INFINITY);
    EXPECT_TRUE(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
    EXPECT_EQ(rounded(std::numeric_limits<float>::max()), INFINITY);
}

}  // namespace
}  // namespace samner::model::device
