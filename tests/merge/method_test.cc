#include "merge/method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/fields.h"

namespace samner::merge {
namespace {

TEST(MergeMethod, NamesAreReadBack) {
    for (auto const* name : {"linear", "task_arithmetic", "magnitude_prune", "ties", "dare_linear", "dare_ties", "cat",
                             "svd", "magnitude_prune_svd", "ties_svd", "dare_linear_svd", "dare_ties_svd"})
        EXPECT_EQ(to_string(parse_method(name)), name);
    EXPECT_EQ(value_named<Sign>("frequency", "sign", "test"), Sign::frequency);
    EXPECT_EQ(value_named<Space>("delta", "space", "test"), Space::delta);
}

TEST(MergeMethod, AMisspeltNameGetsTheNearestOne) {
    try {
        parse_method("tiess");
        FAIL();
    } catch (InputError const& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("merge method is 'tiess' (merge)"));
        EXPECT_EQ(error.remedy(), "did you mean ties?");
    }
    EXPECT_THROW(value_named<Sign>("majority", "sign", "test"), InputError);
}

TEST(MergeMethod, ADensityOutsideTheUnitIntervalIsRefused) {
    for (double const density : {0.0, -0.1, 1.0001, std::numeric_limits<double>::quiet_NaN()})
        EXPECT_THROW(validate({.density = density}), InputError) << density;
    EXPECT_NO_THROW(validate({.density = 1.0}));
}

}  // namespace
}  // namespace samner::merge
