#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "corpus/dataset.h"
#include "score/metric.h"

namespace samner::prompt {

/// Types that only gold or only predictions have, with their numbers of entities. None of these is ever right, and
/// often two of them are one type under two names: its label in a corpus and its name in prompts.
struct OneSidedTypes {
    std::map<std::string, std::int64_t> gold = {};
    std::map<std::string, std::int64_t> predicted = {};
};

OneSidedTypes one_sided_types(std::span<score::Sentence const> sentences);

/// Those that are worth a warning. Gold of types that nobody asked for is usual, and so are predictions that find
/// nothing at all.
OneSidedTypes suspicious_types(std::span<score::Sentence const> sentences);

/// What those of the gold may be called in the predictions: `'ORG' could be 'organization'`, separated by commas; empty
/// where nothing is alike.
/// @param descriptions  that know labels and names; null: none
std::string likely_names(OneSidedTypes const& types, corpus::Catalogue const* descriptions);

}  // namespace samner::prompt
