#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace samner::score {

/// Lower case (Unicode, one character to one, no locale), in the normal form C, white space collapsed to single spaces
/// and trimmed: composed and decomposed spellings of a text become the same. What is not UTF-8 becomes U+FFFD.
std::string normalise(std::string_view text);

/// A mention of an entity: its normalised text and the name of its type.
struct Mention {
    std::string text;
    std::string type;
    friend auto operator<=>(Mention const&, Mention const&) = default;
};

/// The mentions of one sentence; a repeated mention counts once.
using Mentions = std::set<Mention>;

struct Counts {
    std::int64_t true_positive = 0;
    std::int64_t false_positive = 0;
    std::int64_t false_negative = 0;

    Counts& operator+=(Counts const& other);
    double precision() const;  ///< in [0, 1]; 0 when nothing was predicted
    double recall() const;     ///< in [0, 1]; 0 when nothing was to be found
    double f1() const;         ///< micro-F1 in [0, 1]; 0 when there is nothing to count
    friend bool operator==(Counts const&, Counts const&) = default;
};

/// A mention is right when its text and its type are.
Counts count(Mentions const& gold, Mentions const& predicted);

/// Sums over sentences. @throws InputError when the numbers of sentences differ
Counts count(std::span<Mentions const> gold, std::span<Mentions const> predicted);
std::map<std::string, Counts> count_per_type(std::span<Mentions const> gold, std::span<Mentions const> predicted);

/// Plain set union, no conflict resolution (SaM, section 3.3).
Mentions union_of(Mentions const& a, Mentions const& b);

/// The mentions that both name with the same type.
Mentions intersection_of(Mentions const& a, Mentions const& b);

/// Two-stage majority vote (section 3.2): texts that at least half of the voters name, with their most frequent type;
/// of equally frequent types the one that stands first in `types`.
Mentions majority_vote(std::span<Mentions const> voters, std::span<std::string const> types);

/// The vote of each sentence. @param votes  of each voter, sentence by sentence; none: no sentences
/// @throws InputError when the numbers of sentences differ
std::vector<Mentions> majority_votes(std::span<std::vector<Mentions> const> votes, std::span<std::string const> types);

/// How several answers to one sentence become one. `vote` over samples of one model is self-consistency, over experts
/// the paper's E-SC (section 4.11).
enum class Combination { unite, intersect, vote };

/// @param option  that the name was given with
/// @throws InputError for an unknown name; union, intersection and vote are known
Combination parse_combination(std::string_view name, std::string_view option = "--combine");

/// @param answers  at least one
/// @param types    decides between equally frequent types of a vote
Mentions combine(Combination how, std::span<Mentions const> answers, std::span<std::string const> types);

}  // namespace samner::score
