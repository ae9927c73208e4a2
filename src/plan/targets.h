#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace samner::plan {

/// What stands under `targets` of an experiment: on what its rows are evaluated. In a file a list of targets of the run
/// file, or a map with one key, the name of a kind:
///     {one_sentence: {of: [ai, music], trials: 5}}   {pooled: [ai, music]}   {domains: [news]}   {languages: [de]}
struct Targets {
    enum class Kind {
        listed,        ///< targets of the run file
        one_sentence,  ///< of each of them one sentence, drawn anew in every trial (SaM, section 4.7)
        pooled,        ///< all of them as one data set (section 4.9)
        domains,       ///< test sets of experts of the run file (Table 12)
        languages,     ///< the same, where experts are languages (Table 10)
    };
    Kind kind = Kind::listed;
    std::vector<std::string> names;  ///< of targets, or of experts
    std::int64_t trials = 1;         ///< of one_sentence, up to most_trials
    static constexpr std::int64_t most_trials = 1000;

    /// Whether the names are those of experts.
    bool of_experts() const { return kind == Kind::domains || kind == Kind::languages; }
    /// Columns of results: the names, and behind them `pooled` where that is the kind.
    std::vector<std::string> columns() const;
    /// The numbers of a column's trials: 1 to `trials`, or 0 alone where there are none.
    std::vector<std::int64_t> trial_numbers() const;
    /// As a file has it.
    Json to_json() const;
    /// @throws InputError for another shape, no name or one twice; without a place
    static Targets from_json(Json const& value);
};

/// The words of the kinds that are no list.
constexpr auto enum_names(Targets::Kind const*) {
    using enum Targets::Kind;
    return std::to_array<std::pair<std::string_view, Targets::Kind>>(
        {{"one_sentence", one_sentence}, {"pooled", pooled}, {"domains", domains}, {"languages", languages}});
}

/// The column that pooled targets have beside their own.
constexpr std::string_view pooled_column = "pooled";

}  // namespace samner::plan
