#include "comm/comm.h"

#include <gtest/gtest.h>

#include <array>

#include "mpi_test.h"

namespace samner::comm {
namespace {

TEST(Comm, SumsCountsOverAllRanks) {
    auto const& teams = mpi_session().teams();
    std::array<std::int64_t, 2> values{1, teams.rank()};
    teams.sum(values);
    EXPECT_EQ(values[0], teams.size());
    EXPECT_EQ(values[1], teams.size() * (teams.size() - 1) / 2);
}

TEST(Comm, GathersBytesOfDifferentLengthsInRankOrder) {
    auto const& teams = mpi_session().teams();
    auto const own = std::string(static_cast<std::size_t>(teams.rank()) * 3, static_cast<char>('a' + teams.rank()));
    auto const all = teams.all_gather(own);
    auto const at_last = teams.gather(own, teams.size() - 1);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(teams.size()));
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
        EXPECT_EQ(all[rank], std::string(rank * 3, static_cast<char>('a' + rank)));
    }
    if (teams.rank() == teams.size() - 1) {
        EXPECT_EQ(at_last, all);
    } else {
        EXPECT_TRUE(at_last.empty());
    }
}

TEST(Comm, BroadcastsToADuplicate) {
    auto const copy = mpi_session().teams().duplicate();
    std::string text = copy.rank() == 0 ? std::string("with\0nul", 8) : "longer than what comes";
    copy.broadcast(text);
    EXPECT_EQ(text, std::string("with\0nul", 8));
    copy.barrier();
}

TEST(Session, KnowsTheRanksOfItsNode) {
    EXPECT_LT(mpi_session().local_rank(), mpi_session().local_size());
    EXPECT_LE(mpi_session().local_size(), mpi_session().size());
}

}  // namespace
}  // namespace samner::comm
