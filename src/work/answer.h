#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "score/score.h"

namespace samner::work {

/// Predictions of a target as arithmetic on stored ones.
struct Answer {
    enum class Kind {
        stored,        ///< what one decoding pass gave
        unite,         ///< union of all parts, sentence by sentence (SaM, section 3.3)
        vote,          ///< two-stage majority vote of the parts
        best_by_gold,  ///< the part with the highest micro-F1, the first of equal ones
        clusters,      ///< parts of the target: part i answers the sentences with label i
    };
    Kind kind = Kind::stored;
    /// stored: key of the infer task, empty while a selection that it needs is open. clusters: key of the labels.
    std::string key = {};
    std::vector<Answer> parts = {};

    /// Of a stored one without a key, what it will be of: equal texts are equal work.
    std::string awaited = {};

    static Answer stored(std::string key) { return {Kind::stored, std::move(key), {}}; }
    static Answer awaiting(std::string what) { return {Kind::stored, {}, {}, std::move(what)}; }
    static Answer of(Kind kind, std::vector<Answer> parts) { return {kind, {}, std::move(parts)}; }

    std::set<std::string> keys() const;    ///< of all tasks that are known and read below
    std::set<std::string> passes() const;  ///< the infer tasks among them
    std::int64_t passes_asked() const;     ///< stored predictions below, known or not, each as often as it stands
    /// Sentences that these passes decode, when the target has so many and clusters are of one size.
    std::int64_t sentences_asked(std::int64_t sentences) const;
    /// Of the passes that are not known yet, by what they wait for, the sentences that they decode.
    std::map<std::string, std::int64_t> passes_open(std::int64_t sentences) const;
    bool open() const;  ///< whether one is not known yet
};

/// What answers are made of. Lists are by the sentences of the target, in its order.
struct Evidence {
    std::function<std::vector<score::Mentions> const&(std::string const& key)> stored;
    std::function<std::vector<std::int64_t> const&(std::string const& key)> labels = {};
    std::span<score::Mentions const> gold;
    std::span<std::vector<std::string> const* const> types;  ///< names that decide ties of a vote, of each sentence
};

/// @return the mentions of each sentence
/// @throws InputError when stored predictions or labels are not those of the target's sentences
/// @throws Error for an answer that is open
std::vector<score::Mentions> evaluate(Answer const& answer, Evidence const& evidence);

}  // namespace samner::work
