#include "merge/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "merge/adapter.h"

namespace samner::merge {
namespace {

/// Values with many equal magnitudes and zeros, so that cuts go through ties.
std::vector<float> coarse_values(std::size_t size, std::string const& purpose) {
    RandomStream const stream{5, purpose};
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(std::round(8.0 * stream.normal(i)) / 8.0);
    return values;
}

TEST(MergeOnDevice, HasTheBitsOfTheCpu) {
    if (auto const obstacle = device_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    for (std::size_t const size : {1UL, 4095UL, 100001UL}) {
        auto const a = coarse_values(size, "a");
        auto const b = coarse_values(size, "b");
        auto const c = coarse_values(size, "c");
        for (auto const density : {0.1, 0.5, 1.0}) {
            std::vector<Contribution> const contributions{
                {a, 0.7F, density, "x"}, {b, -1.3F, density, "z"}, {c, 0.4F, density, "y"}};
            for (auto const method : {Method::linear, Method::magnitude_prune, Method::ties})
                for (auto const sign : {Sign::total, Sign::frequency})
                    for (auto const peer : {Compatibility::samner, Compatibility::mergekit}) {
                        auto const recipe = recipe_of(follow(peer, {.method = method, .sign = sign}));
                        std::vector<float> expected(size);
                        std::vector<float> found(size);
                        merge_tensor(recipe, "t", contributions, expected);
                        merge_tensor_on_device(recipe, "t", contributions, found);
                        ASSERT_EQ(found, expected) << to_string(method) << " at density " << density;
                    }
        }
    }
}

TEST(MergeOnDevice, IsAnErrorWhereThereIsNoneOrTheMethodIsNotThere) {
    EXPECT_THROW(validate({.method = Method::dare_ties, .device = Device::cuda}), InputError);
    if (!device_obstacle().empty()) {
        EXPECT_THROW(validate({.device = Device::cuda}), InputError);
    }
}

}  // namespace
}  // namespace samner::merge
