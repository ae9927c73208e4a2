#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

namespace samner {

/// The corpora as upstream ships them: what SAMNER_DATA names. Without it null, for the test to skip, or, where
/// SAMNER_REQUIRE_DATA is set, a failure.
inline char const* full_corpora() {
    auto const* const root = std::getenv("SAMNER_DATA");
    if (!root && std::getenv("SAMNER_REQUIRE_DATA"))
        ADD_FAILURE() << "SAMNER_REQUIRE_DATA is set but SAMNER_DATA is not";
    return root;
}

}  // namespace samner
