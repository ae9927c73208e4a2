#include "core/error.h"

#include <gtest/gtest.h>

namespace samner {
namespace {

TEST(Error, PrintsEveryLayerOnceAndTheInnermostRemedyLast) {
    try {
        try {
            throw InputError{"cannot open 'layer.safetensors': No such file", "check the path"};
        } catch (...) {
            std::throw_with_nested(Error{"merging layer 12"});
        }
    } catch (std::exception const& error) {
        EXPECT_EQ(describe(error), "merging layer 12: cannot open 'layer.safetensors': No such file — check the path");
        EXPECT_EQ(exit_code(error), ExitCode::bad_input);
    }
}

TEST(Error, OfAnUnknownKindIsAFailedTask) {
    EXPECT_EQ(exit_code(std::runtime_error{"x"}), ExitCode::task_failed);
}

TEST(Error, IsAStopAlsoWithOneInside) {
    EXPECT_TRUE(is_stop(Stopped{"x"}));
    EXPECT_FALSE(is_stop(InputError{"x"}));
    try {
        try {
            throw Stopped{"signal 15", ExitCode::interrupted};
        } catch (...) {
            std::throw_with_nested(Error{"adapter 'a'"});
        }
    } catch (std::exception const& error) {
        EXPECT_TRUE(is_stop(error));
    }
}

}  // namespace
}  // namespace samner
