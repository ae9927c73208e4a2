#include "comm/comm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/random.h"
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

TEST(Comm, AddsFloatsByTheFixedTreeOverTheRanks) {
    auto const& teams = mpi_session().teams();
    constexpr std::size_t count = (std::size_t{1} << 20) + 5;  // more than one piece
    // Any order of adding gives other bits somewhere.
    std::vector<std::vector<float>> level;
    for (int rank = 0; rank < teams.size(); ++rank) {
        auto& leaf = level.emplace_back(97);
        RandomStream const stream{1, fmt::format("rank {}", rank)};
        for (std::size_t i = 0; i < leaf.size(); ++i) leaf[i] = static_cast<float>(stream.normal(i));
    }
    while (level.size() > 1) {
        std::vector<std::vector<float>> above;
        for (std::size_t i = 0; i < level.size(); i += 2) {
            above.push_back(level[i]);
            for (std::size_t j = 0; i + 1 < level.size() && j < 97; ++j) above.back()[j] += level[i + 1][j];
        }
        level = std::move(above);
    }
    std::vector<float> values(count);
    RandomStream const own{1, fmt::format("rank {}", teams.rank())};
    for (std::size_t i = 0; i < 97; ++i) values[i] = static_cast<float>(own.normal(i));
    for (std::size_t i = 97; i < count; ++i) values[i] = values[i - 97];
    teams.tree_sum(values);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(values[i], level[0][i % 97]) << i;
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

/// What the members of a team learn from each other: their ranks in the world, in the team's order.
std::vector<std::string> members(Comm const& team) {
    return team.all_gather(std::to_string(mpi_session().rank()));
}

TEST(Team, OfAnyRanksHasThemInTheOrderThatTheyAreNamedIn) {
    auto const& world = mpi_session().teams();
    std::vector<int> ranks;
    std::vector<std::string> names;
    for (int rank = world.size() - 1; rank >= 0; --rank) {
        ranks.push_back(rank);
        names.push_back(std::to_string(rank));
    }
    auto const team = world.team(ranks, 0);
    EXPECT_EQ(team.rank(), world.size() - 1 - world.rank());
    EXPECT_EQ(members(team), names);
}

TEST(Team, IsMadeByItsMembersAloneWhileOthersMakeTheirs) {
    auto const& world = mpi_session().teams();
    if (world.size() < 4) GTEST_SKIP() << "needs four ranks";
    // Many times, and never at the same pace: the teams do not wait for each other.
    for (int round = 0; round < 300; ++round) {
        bool const crossed = round % 2 == 1;
        std::vector<int> const first = crossed ? std::vector{0, 3} : std::vector{0, 1};
        std::vector<int> const second = crossed ? std::vector{1, 2} : std::vector{2, 3};
        bool const in_first = world.rank() == first[0] || world.rank() == first[1];
        auto const& ranks = in_first ? first : second;
        auto const team = world.team(ranks, 2 * round + (in_first ? 0 : 1));
        ASSERT_EQ(members(team), (std::vector{std::to_string(ranks[0]), std::to_string(ranks[1])})) << round;
    }
    world.barrier();
}

TEST(Team, DoesNotNeedTheRanksThatAreNotInIt) {
    auto const& world = mpi_session().teams();
    if (world.size() < 3) GTEST_SKIP() << "needs three ranks";
    std::vector<int> ranks;
    for (int rank = 1; rank < world.size(); ++rank) ranks.push_back(rank);
    if (world.rank() > 0) {
        auto const team = world.team(ranks, 7);
        std::vector<float> values{static_cast<float>(world.rank())};
        team.tree_sum(values);
        EXPECT_EQ(values[0], static_cast<float>(world.size() * (world.size() - 1)) / 2);
    }
    world.barrier();  // rank 0 comes here at once
}

TEST(Session, KnowsTheRanksOfItsNode) {
    EXPECT_LT(mpi_session().local_rank(), mpi_session().local_size());
    EXPECT_LE(mpi_session().local_size(), mpi_session().size());
}

}  // namespace
}  // namespace samner::comm
