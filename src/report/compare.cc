#include "report/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/json.h"

namespace samner::report {
namespace {

using Sentences = std::span<SentenceView const>;

/// A target that two rows are done on with the same sentences.
struct Pair {
    std::string target;
    Value const* a;
    Value const* b;
    bool pooled = false;  ///< it holds the others
};

struct Pairing {
    std::vector<Pair> pairs;
    std::vector<LeftOut> left_out;
};

Grid const& grid_of(ViewRow const& row) {
    return row.view->grids[row.grid];
}

Value const* value_of(ViewRow const& row, std::string const& target) {
    auto const& targets = grid_of(row).targets;
    auto const found = std::ranges::find(targets, target);
    return found == targets.end() ? nullptr
                                  : &grid_of(row).values[row.row][static_cast<std::size_t>(found - targets.begin())];
}

/// Whether a target is all targets of a pooled experiment together.
bool is_pool(ViewRow const& row, std::string const& target) {
    auto const is_source = [&](std::size_t place) { return row.view->cells[place].cell.source.has_value(); };
    return target == plan::pooled_column && std::ranges::any_of(grid_of(row).values[row.row], [&](Value const& value) {
               return std::ranges::any_of(value.cells, is_source);
           });
}

/// What a cell that is done was scored on.
Sentences sentences_of(View const& view, ScoredCell const& scored) {
    return Sentences{view.targets.at(*scored.target).sentences}.subspan(scored.first, scored.by_sentence.size());
}

/// In what sentences differ, for people; empty where they do not.
std::string difference_between(Sentences a, Sentences b) {
    if (a.data() == b.data() && a.size() == b.size()) return {};
    if (a.size() != b.size()) return fmt::format("a has {} sentences, b {}", a.size(), b.size());
    std::size_t texts = 0;
    std::size_t golds = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        texts += a[i].text != b[i].text;
        golds += a[i].gold != b[i].gold;
    }
    if (texts > 0) return fmt::format("{} of {} sentences are others in b", texts, a.size());
    if (golds > 0) return fmt::format("{} of {} sentences have another gold in b", golds, a.size());
    return {};
}

/// The same for all that two rows were scored on, trial by trial.
std::string difference_between(ViewRow const& a, Value const& of_a, ViewRow const& b, Value const& of_b) {
    std::map<std::int64_t, Sentences> trials;
    for (auto const place : of_a.cells) {
        auto const& scored = a.view->cells[place];
        auto const sentences = sentences_of(*a.view, scored);
        auto const [first, added] = trials.try_emplace(scored.cell.trial, sentences);
        if (!added && !difference_between(first->second, sentences).empty()) return "its repeats have other sentences";
    }
    std::set<std::int64_t> in_b;
    for (auto const place : of_b.cells) {
        auto const& scored = b.view->cells[place];
        auto const found = trials.find(scored.cell.trial);
        if (found == trials.end()) return "the trials are others";
        auto difference = difference_between(found->second, sentences_of(*b.view, scored));
        if (!difference.empty()) return difference;
        in_b.insert(scored.cell.trial);
    }
    return in_b.size() == trials.size() ? std::string{} : "the trials are others";
}

/// Why a row has no number on a target; empty where it has one.
std::string why_none(Value const* value, std::string_view row) {
    if (!value) return fmt::format("no target of {}", row);
    if (value->status != store::CellStatus::done)
        return fmt::format("{} in {}", store::status_name(value->status), row);
    return {};
}

Pairing paired(ViewRow const& a, ViewRow const& b) {
    Pairing result;
    auto targets = grid_of(a).targets;
    for (auto const& target : grid_of(b).targets) {
        if (std::ranges::find(targets, target) == targets.end()) targets.push_back(target);
    }
    for (auto const& target : targets) {
        auto const* const of_a = value_of(a, target);
        auto const* const of_b = value_of(b, target);
        std::vector<std::string> reasons{why_none(of_a, "a"), why_none(of_b, "b")};
        std::erase(reasons, "");
        if (reasons.empty()) {
            auto const difference = difference_between(a, *of_a, b, *of_b);
            if (!difference.empty()) reasons.push_back(difference);
        }
        if (reasons.empty()) {
            result.pairs.push_back({target, of_a, of_b, is_pool(a, target) || is_pool(b, target)});
        } else {
            result.left_out.push_back({target, fmt::format("{}", fmt::join(reasons, ", "))});
        }
    }
    return result;
}

/// The counts of each sentence, summed over repeats.
std::vector<score::Counts> summed(View const& view, Value const& value) {
    auto sum = view.cells[value.cells.front()].by_sentence;
    for (auto const place : std::span{value.cells}.subspan(1)) {
        auto const& counts = view.cells[place].by_sentence;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
    }
    return sum;
}

bool has_trials(View const& view, Value const& value) {
    return std::ranges::any_of(value.cells, [&](std::size_t place) { return view.cells[place].cell.trial > 0; });
}

}  // namespace

std::vector<ViewRow> rows_of(View const& view) {
    std::vector<ViewRow> rows;
    for (std::size_t g = 0; g < view.grids.size(); ++g) {
        auto const& grid = view.grids[g];
        for (std::size_t r = 0; r < grid.systems.size(); ++r) {
            if (!grid.expressions[r].empty()) rows.push_back({&view, g, r});
        }
    }
    return rows;
}

ViewRow row_named(View const& view, std::string const& name, std::string_view run) {
    std::vector<ViewRow> found;
    std::vector<std::string> known;
    for (auto const& row : rows_of(view)) {
        if (row.full_name() == name) return row;
        if (row.name() == name) found.push_back(row);
        known.insert(known.end(), {row.full_name(), row.name()});
    }
    if (found.empty()) refuse_name(name, known, "the row", run);
    if (found.size() == 1) return found.front();
    std::vector<std::string> names;
    for (auto const& row : found) names.push_back(row.full_name());
    throw InputError{fmt::format("{} experiments have a row '{}' ({})", found.size(), name, run),
                     fmt::format("say which: {}", fmt::join(names, ", "))};
}

RowComparison compare_rows(ViewRow const& a, ViewRow const& b, score::BootstrapOptions const& options) {
    RowComparison result;
    auto [pairs, left_out] = paired(a, b);
    result.left_out = std::move(left_out);
    score::TargetCounts all_a;
    score::TargetCounts all_b;
    TargetComparison mean{"mean"};
    for (auto const& [target, of_a, of_b, pooled] : pairs) {
        if (has_trials(*a.view, *of_a)) {
            result.left_out.push_back({target, "it has trials on single sentences, which are not compared"});
            continue;
        }
        score::TargetCounts const counts_a{summed(*a.view, *of_a)};
        score::TargetCounts const counts_b{summed(*b.view, *of_b)};
        auto const& line = result.targets.emplace_back(
            TargetComparison{target, counts_a[0].size(), of_a->counts, of_b->counts, score::mean_f1(counts_a),
                             score::mean_f1(counts_b), score::compare_f1(counts_a, counts_b, options)});
        if (pooled) continue;
        mean.sentences += line.sentences;
        mean.a += line.a;
        mean.b += line.b;
        all_a.push_back(counts_a[0]);
        all_b.push_back(counts_b[0]);
    }
    if (all_a.size() < 2) return result;
    mean.f1_a = score::mean_f1(all_a);
    mean.f1_b = score::mean_f1(all_b);
    mean.comparison = score::compare_f1(all_a, all_b, options);
    result.mean = std::move(mean);
    return result;
}

AverageComparison compare_averages(ViewRow const& a, ViewRow const& b) {
    AverageComparison result;
    auto [pairs, left_out] = paired(a, b);
    result.left_out = std::move(left_out);
    for (auto const& [target, of_a, of_b, pooled] : pairs) {
        if (pooled) continue;
        ++result.targets;
        result.a += of_a->mean;
        result.b += of_b->mean;
    }
    result.a =
        result.targets == 0 ? std::numeric_limits<double>::quiet_NaN() : result.a / static_cast<double>(result.targets);
    result.b =
        result.targets == 0 ? std::numeric_limits<double>::quiet_NaN() : result.b / static_cast<double>(result.targets);
    return result;
}

}  // namespace samner::report
