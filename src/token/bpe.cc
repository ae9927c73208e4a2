#include "token/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>

namespace samner::token {

namespace {

constexpr auto no_pair = std::numeric_limits<std::uint64_t>::max();
constexpr auto no_rank = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t few = 48;  // up to here looking at all neighbours beats keeping a heap

std::uint64_t pair_of(std::int32_t left, std::int32_t right) noexcept {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
}

std::uint64_t mix(std::uint64_t key) noexcept {  // the finaliser of MurmurHash3
    key = (key ^ (key >> 33)) * 0xFF51AFD7ED558CCDULL;
    key = (key ^ (key >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    return key ^ (key >> 33);
}

}  // namespace

Bpe::Bpe(Options options) : options_{std::move(options)} {
    slots_.assign(std::bit_ceil(2 * options_.merges.size() + 2), Slot{no_pair, {no_rank, -1}});
    auto const mask = slots_.size() - 1;
    std::uint32_t rank = 0;
    for (auto const& merge : options_.merges) {
        auto const pair = pair_of(merge.left, merge.right);
        auto at = mix(pair) & mask;
        while (slots_[at].pair != no_pair && slots_[at].pair != pair) at = (at + 1) & mask;
        slots_[at] = {pair, {rank++, merge.result}};
    }
    options_.merges = {};
}

Bpe::Target Bpe::find(std::int32_t left, std::int32_t right) const noexcept {
    auto const pair = pair_of(left, right);
    auto const mask = slots_.size() - 1;
    auto at = mix(pair) & mask;
    while (slots_[at].pair != no_pair && slots_[at].pair != pair) at = (at + 1) & mask;
    return slots_[at].target;
}

std::size_t Bpe::merge_few(std::int32_t* symbols, std::size_t count) const noexcept {
    std::array<Target, few> targets;  // [i]: what symbols i and i + 1 would become
    for (std::size_t i = 0; i + 1 < count; ++i) targets[i] = find(symbols[i], symbols[i + 1]);
    while (count > 1) {
        auto const pairs = targets.begin() + static_cast<std::ptrdiff_t>(count - 1);
        auto const best = std::min_element(targets.begin(), pairs, [](auto a, auto b) { return a.rank < b.rank; });
        if (best->rank == no_rank) break;
        auto const at = static_cast<std::size_t>(best - targets.begin());
        symbols[at] = best->result;
        std::copy(symbols + at + 2, symbols + count, symbols + at + 1);
        std::copy(best + 1, pairs, best);
        --count;
        if (at > 0) targets[at - 1] = find(symbols[at - 1], symbols[at]);
        if (at + 1 < count) targets[at] = find(symbols[at], symbols[at + 1]);
    }
    return count;
}

std::size_t Bpe::merge_many(std::int32_t* symbols, std::size_t count) const {
    struct Link {
        std::int32_t symbol;        // -1: merged into the one before
        std::size_t before, after;  // `count` stands for none
    };
    struct Candidate {
        std::uint32_t rank;
        std::size_t at;
        std::int32_t left, right, result;
    };
    auto const later = [](Candidate const& a, Candidate const& b) {
        return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
    };
    std::vector<Link> links(count);
    std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> candidates{later};
    auto const consider = [&](std::size_t left) {
        auto const right = left == count ? count : links[left].after;
        if (right == count) return;
        auto const target = find(links[left].symbol, links[right].symbol);
        if (target.rank == no_rank) return;
        candidates.push({target.rank, left, links[left].symbol, links[right].symbol, target.result});
    };
    for (std::size_t i = 0; i < count; ++i) links[i] = {symbols[i], i == 0 ? count : i - 1, i + 1};
    for (std::size_t i = 0; i < count; ++i) consider(i);
    while (!candidates.empty()) {
        auto const best = candidates.top();
        candidates.pop();
        auto& left = links[best.at];
        auto const right = left.symbol == best.left ? left.after : count;
        if (right == count || links[right].symbol != best.right) continue;  // one of the two is gone meanwhile
        left.symbol = best.result;
        left.after = links[right].after;
        if (left.after != count) links[left.after].before = best.at;
        links[right].symbol = -1;
        consider(left.before);
        consider(best.at);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i != count; i = links[i].after) symbols[kept++] = links[i].symbol;
    return kept;
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
    if (auto const whole = options_.whole_pieces.find(piece); whole != options_.whole_pieces.end()) {
        ids.push_back(whole->second);
        return;
    }
    auto const begin = ids.size();
    bool in_unknown = false;
    for (auto byte : piece) {
        auto const id = options_.byte_ids[static_cast<unsigned char>(byte)];
        if (id >= 0) {
            ids.push_back(id);
        } else if (options_.unknown && !(in_unknown && options_.fuse_unknown)) {
            ids.push_back(*options_.unknown);
        }
        in_unknown = id < 0;
    }
    auto const count = ids.size() - begin;
    auto* const symbols = ids.data() + begin;
    ids.resize(begin + (count <= few ? merge_few(symbols, count) : merge_many(symbols, count)));
}

}  // namespace samner::token
