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

TEST(Session, KnowsTheRanksOfItsNode) {
    EXPECT_LT(mpi_session().local_rank(), mpi_session().local_size());
    EXPECT_LE(mpi_session().local_size(), mpi_session().size());
}

}  // namespace
}  // namespace samner::comm
