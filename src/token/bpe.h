#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "token/vocabulary.h"

namespace samner::token {

/// Byte-pair encoding over bytes (Sennrich et al. 2016, GPT-2): a piece starts as its bytes' tokens; of all
/// neighbours that have a merge, the one of lowest rank, leftmost, becomes one token, until none has.
class Bpe {
public:
    struct Merge {
        std::int32_t left, right, result;
    };
    struct Options {
        std::array<std::int32_t, 256> byte_ids{};  ///< -1: the vocabulary has no token for the byte
        std::vector<Merge> merges;                 ///< by rank; of equal pairs the later counts
        std::optional<std::int32_t> unknown;       ///< for bytes without a token, which otherwise vanish
        bool fuse_unknown = false;                 ///< one unknown token for a run of such bytes
        StringMap<std::int32_t> whole_pieces;      ///< pieces (bytes) that are one token whatever the merges say
    };

    explicit Bpe(Options options);

    /// Appends the ids of a piece. Const and thread-safe.
    void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

private:
    struct Target {
        std::uint32_t rank;
        std::int32_t result;
    };
    struct Slot {
        std::uint64_t pair;
        Target target;
    };
    Target find(std::int32_t left, std::int32_t right) const noexcept;
    std::size_t merge_few(std::int32_t* symbols, std::size_t count) const noexcept;
    std::size_t merge_many(std::int32_t* symbols, std::size_t count) const;

    Options options_;
    std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
};

}  // namespace samner::token
