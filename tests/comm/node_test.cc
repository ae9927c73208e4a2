#include "comm/node.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"
#include "mpi_test.h"

namespace samner::comm {
namespace {

TEST(Nodes, AreGroupsOfNeighbouringRanksWithTheFirstAsLeader) {
    auto const& teams = mpi_session().teams();
    Nodes const real{teams};
    EXPECT_EQ(real.own().size(), mpi_session().local_size());
    for (int const at_most : {1, 2, 3}) {
        Nodes const nodes{teams, at_most};
        EXPECT_EQ(nodes.count(), (teams.size() + at_most - 1) / at_most);
        EXPECT_EQ(nodes.own().rank(), teams.rank() % at_most);
        EXPECT_EQ(nodes.has_first_rank(), teams.rank() < at_most);
        ASSERT_EQ(nodes.leaders() != nullptr, teams.rank() % at_most == 0);
        if (nodes.leaders()) {
            EXPECT_EQ(nodes.leaders()->rank(), teams.rank() / at_most);
        }
    }
}

TEST(NodeMemory, ShowsAllRanksWhatOneFilled) {
    auto const& teams = mpi_session().teams();
    NodeMemory memory{teams};
    ASSERT_TRUE(memory.shared());
    std::vector<NodeMemory::Region> regions;
    for (std::size_t i = 0; i < 20; ++i) {
        auto& region = regions.emplace_back(memory.add(1 + i * 1000));
        auto const text = fmt::format("region {}", i);
        if (!region.to_fill) continue;
        std::memcpy(region.data.get(), text.data(), text.size());
        NodeMemory::seal(region);
    }
    auto filled = static_cast<std::int64_t>(memory.filled());
    teams.sum({&filled, 1});
    EXPECT_EQ(static_cast<std::uint64_t>(filled), memory.total());
    for (std::size_t i = 0; i < 20; ++i) {
        auto const text = fmt::format("region {}", i);
        EXPECT_EQ(std::memcmp(regions[i].data.get(), text.data(), text.size()), 0) << i;
    }
    teams.barrier();
}

TEST(NodeMemory, IsAnErrorWhereThereIsNotEnoughWithoutTakingAny) {
    NodeMemory memory{mpi_session().teams()};
    EXPECT_THROW(memory.add(available_memory() * 2, mpi_session().rank()), Error);
}

}  // namespace
}  // namespace samner::comm
