#include "core/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace samner {
namespace {

TEST(Memory, OfTheMachineIsNotMoreThanItsPages) {
    auto const pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
    auto const size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    EXPECT_LE(machine_memory(), pages * size);
    EXPECT_GT(machine_memory(), std::uint64_t{1} << 20);
}

}  // namespace
}  // namespace samner
