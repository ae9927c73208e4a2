#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/sentence.h"
#include "score/score.h"

namespace samner::score {

/// What counts as one element, and as right. All but `offsets` compare normalised text and type.
enum class Metric {
    entity,       ///< the primary one: a repeated mention counts once; an empty answer to an empty gold counts nothing
    instructuie,  ///< an empty answer is the element 'none' (InstructUIE's evaluator), so it can be right or wrong
    multiset,     ///< a mention counts as often as it is named (GoLLIE's span scorer)
    offsets,      ///< begin, end and type instead of the text (GLiNER, seqeval)
    with_misc     ///< as `entity`, but types that were not asked for stay in gold and predictions
};
inline constexpr std::array all_metrics{Metric::entity, Metric::instructuie, Metric::multiset, Metric::offsets,
                                        Metric::with_misc};

std::string_view name_of(Metric metric);

/// @throws InputError for an unknown name
Metric parse_metric(std::string_view name);

/// One naming of an entity.
struct Entity {
    Mention mention;                                  ///< its text normalised
    std::optional<corpus::Span> span = std::nullopt;  ///< where it stands, when that is known
};

/// A sentence as it is scored: entities with repeats, and those of types that nobody asked for.
struct Sentence {
    std::string id;
    std::string target;              ///< what it belongs to; may be empty
    std::vector<std::string> types;  ///< that were asked for; empty: all
    std::vector<Entity> gold = {};
    std::vector<Entity> predicted = {};
};

/// Whether all gold and predicted entities of asked types know where they stand.
bool has_offsets(Sentence const& sentence);

struct Tally {
    Counts counts;
    std::map<std::string, Counts> per_type;  ///< the 'none' of instructuie is of no type
    std::vector<Counts> per_sentence;        ///< in the order of the sentences
};

/// Counts of some sentences. @throws InputError for `offsets` and an entity without
Tally tally(Metric metric, std::span<Sentence const> sentences);

/// The same for the sentences of each target, in the order of their names.
std::map<std::string, Tally> tally_per_target(Metric metric, std::span<Sentence const> sentences);

}  // namespace samner::score
