#include "token/bpe.h"

#include <gtest/gtest.h>

#include <random>

namespace samner::token {
namespace {

using Ids = std::vector<std::int32_t>;

/// Byte-pair encoding word for word from its definition.
Ids by_definition(std::string_view piece, Bpe::Options const& options) {
    Ids ids;
    for (auto byte : piece) ids.push_back(options.byte_ids[static_cast<unsigned char>(byte)]);
    for (;;) {
        std::size_t best = options.merges.size(), at = 0;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
            for (std::size_t rank = 0; rank < best; ++rank) {
                auto const& merge = options.merges[rank];
                if (merge.left == ids[i] && merge.right == ids[i + 1]) best = rank, at = i;
            }
        }
        if (best == options.merges.size()) return ids;
        ids[at] = options.merges[best].result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

/// Bytes a, b, c are 0, 1, 2; random merges make the tokens after them.
Bpe::Options random_merges(std::mt19937_64& random) {
    Bpe::Options options;
    options.byte_ids.fill(-1);
    for (int i = 0; i < 3; ++i) options.byte_ids['a' + static_cast<std::size_t>(i)] = i;
    for (std::int32_t next = 3; next < 20; ++next) {
        auto const any = [&] { return static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(next)); };
        auto const left = any();
        auto const right = any();
        auto const same = [&](auto const& merge) { return merge.left == left && merge.right == right; };
        if (std::none_of(options.merges.begin(), options.merges.end(), same)) {
            options.merges.push_back({left, right, next});
        }
    }
    std::shuffle(options.merges.begin(), options.merges.end(), random);
    return options;
}

TEST(Bpe, ShortAndLongPiecesFollowTheDefinition) {
    std::mt19937_64 random{7};
    for (int round = 0; round < 60; ++round) {
        auto const options = random_merges(random);
        Bpe const bpe{options};
        for (std::size_t length : {1, 2, 3, 10, 47, 48, 49, 150}) {
            std::string piece;
            for (std::size_t i = 0; i < length; ++i) piece += static_cast<char>('a' + random() % 3);
            Ids ids{99};
            bpe.encode(piece, ids);
            auto expected = by_definition(piece, options);
            expected.insert(expected.begin(), 99);
            EXPECT_EQ(ids, expected) << piece;
        }
    }
}

TEST(Bpe, AWholePieceThatIsATokenWinsOverMerges) {
    std::mt19937_64 random{1};
    auto options = random_merges(random);
    options.whole_pieces.emplace("abcabc", 500);
    Ids ids;
    Bpe{options}.encode("abcabc", ids);
    EXPECT_EQ(ids, Ids{500});
}

TEST(Bpe, BytesWithoutATokenVanishOrBecomeTheUnknownToken) {
    Bpe::Options options;
    options.byte_ids.fill(-1);
    options.byte_ids['a'] = 0;
    Ids ids;
    Bpe{options}.encode("axya", ids);
    EXPECT_EQ(ids, (Ids{0, 0}));
    options.unknown = 9;
    ids.clear();
    Bpe{options}.encode("axya", ids);
    EXPECT_EQ(ids, (Ids{0, 9, 9, 0}));
    options.fuse_unknown = true;
    ids.clear();
    Bpe{options}.encode("axya", ids);
    EXPECT_EQ(ids, (Ids{0, 9, 0}));
}

TEST(Bpe, AMillionEqualBytesTakeNoSquareTime) {
    Bpe::Options options;
    options.byte_ids.fill(0);
    options.merges = {{0, 0, 1}, {1, 1, 2}};
    Ids ids;
    Bpe{options}.encode(std::string(1'000'000, 'a'), ids);
    EXPECT_EQ(ids, Ids(250'000, 2));
}

}  // namespace
}  // namespace samner::token
