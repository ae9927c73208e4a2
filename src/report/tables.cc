#include "report/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "core/fields.h"
#include "core/hash.h"
#include "report/resources.h"

namespace samner::report {
namespace {

constexpr auto missing = std::numeric_limits<double>::quiet_NaN();

double value_or_missing(std::map<std::string, double> const& values, std::string const& name) {
    auto const found = values.find(name);
    return found == values.end() ? missing : found->second;
}

/// What `of` gives of each line.
template <class Line, class Of>
auto column(std::vector<Line> const& lines, Of const& of) {
    std::vector<std::decay_t<decltype(of(lines.front()))>> values;
    for (auto const& line : lines) values.push_back(of(line));
    return values;
}

std::string joined(std::set<std::string> const& keys) {
    return fmt::format("{}", fmt::join(keys, " "));
}

/// What the sentences are that a cell was scored on: a digest of their texts and gold, in their order. Cells with equal
/// ones can be compared sentence by sentence.
class Digests {
public:
    explicit Digests(View const& view) : view_{view} {}

    std::string of(ScoredCell const& scored) {
        if (!scored.f1()) return {};
        auto const place = std::tuple{*scored.target, scored.first, scored.by_sentence.size()};
        auto const [found, added] = digests_.try_emplace(place);
        if (added) {
            Sha256 hash;
            auto const put = [&](std::string_view text) { hash.update(fmt::format("{} ", text.size())).update(text); };
            auto const& sentences = view_.targets.at(*scored.target).sentences;
            for (auto const& sentence : std::span{sentences}.subspan(scored.first, scored.by_sentence.size())) {
                put(sentence.text);
                hash.update(fmt::format("{} ", sentence.gold.size()));
                for (auto const& mention : sentence.gold) {
                    put(mention.text);
                    put(mention.type);
                }
            }
            found->second = hash.hex();
        }
        return found->second;
    }

private:
    View const& view_;
    std::map<std::tuple<std::size_t, std::size_t, std::size_t>, std::string> digests_;
};

store::Table cells_table(View const& view) {
    Digests digests{view};
    std::int64_t next = 0;
    auto const of = [&](auto const& value) { return column(view.cells, value); };
    using Scored = ScoredCell const&;
    return {
        "cells",
        {{"experiment", "", "experiment file", of([](Scored scored) { return scored.cell.experiment; })},
         {"base", "", "base model", of([&](Scored) { return view.base; })},
         {"system", "", "row of the experiment", of([](Scored scored) { return scored.cell.system; })},
         {"target", "", "target domain", of([](Scored scored) { return scored.cell.target; })},
         {"trial", "1", "trial of a one-sentence target, from 1; 0: no trials",
          of([](Scored scored) { return scored.cell.trial; })},
         {"status", "", "state of the cell",
          of([](Scored scored) { return std::string{store::status_name(scored.status())}; })},
         {"metric", "", "how mentions are compared", of([](Scored) { return std::string{"entity"}; })},
         {"seed", "1", "seed of the repeat", of([](Scored scored) { return scored.cell.repeat.label; })},
         {"tp", "mentions", "true positives", of([](Scored scored) { return scored.counts.true_positive; })},
         {"fp", "mentions", "false positives", of([](Scored scored) { return scored.counts.false_positive; })},
         {"fn", "mentions", "false negatives", of([](Scored scored) { return scored.counts.false_negative; })},
         {"f1", "1", "micro-F1, a fraction", of([](Scored scored) { return scored.f1().value_or(missing); })},
         {"low", "1", "lower end of its 95 % interval (bootstrap over sentences)",
          of([](Scored scored) { return scored.interval ? scored.interval->low : missing; })},
         {"high", "1", "upper end of its 95 % interval",
          of([](Scored scored) { return scored.interval ? scored.interval->high : missing; })},
         {"sentences", "sentences", "scored sentences", of([](Scored scored) { return scored.sentences; })},
         {"first", "1", "row of /sentences that has the first of them; the others follow it",
          of([&](Scored scored) { return std::exchange(next, next + std::ssize(scored.by_sentence)); })},
         {"texts", "", "SHA-256 of these sentences and their gold; empty: not scored",
          of([&](Scored scored) { return digests.of(scored); })},
         {"answers", "completions", "answers of the passes used", of([](Scored scored) { return scored.completions; })},
         {"unparsable", "completions", "answers that could not be read",
          of([](Scored scored) { return scored.unparsable; })},
         {"truncated", "completions", "answers that ran into the token limit",
          of([](Scored scored) { return scored.truncated; })},
         {"tokens_in", "tokens", "prompt tokens of the passes used",
          of([](Scored scored) { return scored.tokens_in; })},
         {"tokens_out", "tokens", "generated tokens of the passes used",
          of([](Scored scored) { return scored.tokens_out; })},
         {"seconds", "s", "time of the passes used", of([](Scored scored) { return scored.seconds; })},
         {"predictions", "", "keys of the passes used, in RUN/artifacts",
          of([](Scored scored) { return joined(scored.cell.answer.passes()); })},
         {"selections", "", "keys of the selections used, likewise",
          of([](Scored scored) { return joined(scored.cell.selections); })}}};
}

/// The counts behind /cells: of each cell its sentences, in the order of the cells.
store::Table sentences_table(View const& view) {
    std::size_t size = 0;
    for (auto const& scored : view.cells) size += scored.by_sentence.size();
    auto const counts = [&](std::int64_t score::Counts::*member) {
        std::vector<std::int32_t> values;
        values.reserve(size);
        for (auto const& scored : view.cells) {
            for (auto const& sentence : scored.by_sentence) {
                if (!std::in_range<std::int32_t>(sentence.*member))
                    throw Error{fmt::format("a sentence with {} mentions", sentence.*member)};
                values.push_back(static_cast<std::int32_t>(sentence.*member));
            }
        }
        return values;
    };
    return {"sentences",
            {{"tp", "mentions", "true positives of a sentence in a cell; /cells/first says whose",
              counts(&score::Counts::true_positive)},
             {"fp", "mentions", "false positives", counts(&score::Counts::false_positive)},
             {"fn", "mentions", "false negatives", counts(&score::Counts::false_negative)}}};
}

store::Table experts_table(View const& view) {
    struct Line {
        TrainingView const& training;
        train::Step const& step;
    };
    std::vector<Line> lines;
    for (auto const& training : view.trainings)
        for (auto const& step : training.result.steps) lines.push_back({training, step});
    auto const of = [&](auto const& value) { return column(lines, value); };
    return {
        "experts",
        {{"expert", "", "experts whose data it was trained on",
          of([](Line const& line) { return line.training.task.recipe.name(); })},
         {"key", "", "artifact", of([](Line const& line) { return line.training.key; })},
         {"seed", "1", "seed of the repeat", of([](Line const& line) { return line.training.repeat; })},
         {"step", "1", "optimiser step, from 1", of([](Line const& line) { return line.step.step; })},
         {"loss", "nats", "mean cross-entropy of the step's answer tokens",
          of([](Line const& line) { return line.step.loss; })},
         {"grad_norm", "1", "gradient norm before clipping", of([](Line const& line) { return line.step.grad_norm; })},
         {"lr", "1", "learning rate", of([](Line const& line) { return line.step.lr; })},
         {"tokens", "tokens", "tokens of the step", of([](Line const& line) { return line.step.tokens; })},
         {"seconds", "s", "time of the step", of([](Line const& line) { return line.step.seconds; })}}};
}

store::Table selection_table(View const& view) {
    struct Line {
        SelectionView const& selection;
        std::string const& expert;
    };
    std::vector<Line> lines;
    for (auto const& selection : view.selections)
        for (auto const& candidate : selection.task.experts) lines.push_back({selection, candidate.name});
    auto const of = [&](auto const& value) { return column(lines, value); };
    auto const number = [&](std::map<std::string, double> work::Selection::*values) {
        return of([&](Line const& line) { return value_or_missing(line.selection.result.*values, line.expert); });
    };
    auto const of_labels = [&](std::int64_t score::Counts::*member) {
        return of([&](Line const& line) {
            auto const& labels = line.selection.labels;
            return labels ? static_cast<double>((*labels).*member) : missing;
        });
    };
    auto const labels_of = [](std::set<std::int64_t> const& repeats) {
        return fmt::format("{}", fmt::join(repeats, " "));
    };
    // Of each line its place among the candidates, which are in the order of the lines.
    std::vector<work::Select::Candidate const*> candidates;
    for (auto const& selection : view.selections)
        for (auto const& candidate : selection.task.experts) candidates.push_back(&candidate);
    auto const of_candidate = [&](auto const& value) { return column(candidates, value); };
    return {
        "selection",
        {{"key", "", "the selection: its candidates are the lines with this key",
          of([](Line const& line) { return line.selection.key; })},
         {"seeds", "", "repeats that use it, as seed columns call them",
          of([&](Line const& line) { return labels_of(line.selection.repeats); })},
         {"dataset", "", "target data set", of([](Line const& line) { return line.selection.task.target.name(); })},
         {"strategy", "", "similarity, sampling, fused, types or similarity_types",
          of([](Line const& line) { return std::string{name_of_value(line.selection.task.metric)}; })},
         {"expert", "", "candidate", of([](Line const& line) { return line.expert; })},
         {"similarity", "1", "cosine of the domain embeddings", number(&work::Selection::similarity)},
         {"sampling_f1", "1", "micro-F1 against the pseudo-labels; NaN: not evaluated",
          number(&work::Selection::sampling_f1)},
         {"type_similarity", "1", "cosine of the types' embeddings; NaN: not asked", of([](Line const& line) {
              auto const& values = line.selection.result.type_similarity;
              return values ? value_or_missing(*values, line.expert) : missing;
          })},
         {"metric", "1", "what the choice went by", number(&work::Selection::metrics)},
         {"chosen", "1", "rank among the chosen, from 1; 0: not chosen",
          of([](Line const& line) { return line.selection.result.rank_of(line.expert); })},
         {"m", "experts", "chosen ones", of([](Line const& line) { return std::ssize(line.selection.result.chosen); })},
         {"rule", "", "what said how many; empty: a number", of([](Line const& line) {
              auto const& rule = line.selection.task.rule;
              return std::string{rule ? name_of_value(*rule) : ""};
          })},
         {"k", "sentences", "that are sampled; 0: none",
          of([](Line const& line) { return line.selection.sampled.value_or(0); })},
         {"answers", "1", "of each expert to a sampled sentence; 0: none", of([](Line const& line) {
              auto const& candidate = line.selection.task.experts.front();
              return std::ssize(candidate.answers());
          })},
         {"label_tp", "mentions",
          "pseudo-labels that the gold of the sampled sentences has; NaN: no sampling evaluation",
          of_labels(&score::Counts::true_positive)},
         {"label_fp", "mentions", "pseudo-labels that it does not have", of_labels(&score::Counts::false_positive)},
         {"label_fn", "mentions", "gold mentions that are no pseudo-labels", of_labels(&score::Counts::false_negative)},
         {"centroid", "", "key of the candidate's mean embedding",
          of_candidate([](auto const* candidate) { return candidate->centroid.key; })},
         {"target_centroid", "", "key of the target's mean embedding",
          of([](Line const& line) { return line.selection.task.target_centroid.key; })},
         {"predictions", "", "key of the candidate's pass over the sampled sentences; empty: none",
          of_candidate([](auto const* candidate) {
              return candidate->predictions ? candidate->predictions->key : std::string{};
          })},
         {"adapter", "", "key of the candidate's adapter; empty: there was no such pass", of([](Line const& line) {
              auto const found = line.selection.adapters.find(line.expert);
              return found == line.selection.adapters.end() ? std::string{} : found->second;
          })}}};
}

store::Table embeddings_table(View const& view) {
    auto const of = [&](auto const& value) { return column(view.embeddings, value); };
    using Embedding = EmbeddingView const&;
    std::vector<float> vectors;
    for (auto const& embedding : view.embeddings)
        vectors.insert(vectors.end(), embedding.vector.begin(), embedding.vector.end());
    return {"embeddings",
            {{"name", "", "expert or target", of([](Embedding embedding) { return embedding.name; })},
             {"kind", "", "expert: of its training texts; target: of its texts",
              of([](Embedding embedding) { return std::string{embedding.is_target ? "target" : "expert"}; })},
             {"key", "", "artifact", of([](Embedding embedding) { return embedding.key; })},
             {"seeds", "", "repeats whose selections read it",
              of([](Embedding embedding) { return fmt::format("{}", fmt::join(embedding.repeats, " ")); })},
             {"vectors", "1", "mean sentence embedding, [name, dimension]", vectors,
              view.embeddings.front().vector.size()}}};
}

store::Table cost_table(View const& view) {
    auto const of = [&](auto const& value) { return column(view.costs, value); };
    return {"cost",
            {{"key", "", "task", of([](TaskCost const& cost) { return cost.key; })},
             {"kind", "", "kind of task", of([](TaskCost const& cost) { return cost.kind; })},
             {"seconds", "s", "time on its rank", of([](TaskCost const& cost) { return cost.seconds; })},
             {"rank", "1", "rank that did it", of([](TaskCost const& cost) { return cost.rank; })},
             {"bytes", "bytes", "of what it left on the disk", of([](TaskCost const& cost) { return cost.bytes; })},
             {"tokens_in", "tokens", "prompt tokens of a decoding pass; 0: no pass",
              of([](TaskCost const& cost) { return cost.tokens_in; })},
             {"tokens_out", "tokens", "generated tokens of a decoding pass",
              of([](TaskCost const& cost) { return cost.tokens_out; })}}};
}

store::Table data_table(View const& view) {
    auto const of = [&](auto const& value) { return column(view.data, value); };
    using Data = DataView const&;
    return {"data",
            {{"expert", "", "expert that is trained on it", of([](Data data) { return data.expert; })},
             {"dataset", "", "data set, with its splits where they are not train",
              of([](Data data) { return data.dataset; })},
             {"types", "types", "entity types that are asked for", of([](Data data) { return data.types; })},
             {"train", "sentences", "sentences to draw from", of([](Data data) { return data.train; })},
             {"dev", "sentences", "sentences of the split dev; NaN: none", of([](Data data) { return data.dev; })},
             {"test", "sentences", "sentences of the split test; NaN: none", of([](Data data) { return data.test; })},
             {"sampled", "sentences", "sentences drawn for training, with repetitions",
              of([](Data data) { return data.sampled; })}}};
}

store::Table repeats_table(View const& view) {
    auto const seed = [&](std::uint64_t plan::Seeds::*member) {
        return column(view.repeats,
                      [&](plan::Repeat const& repeat) { return static_cast<std::int64_t>(repeat.seeds.*member); });
    };
    return {"repeats",
            {{"repeat", "1", "what seed columns call it",
              column(view.repeats, [](plan::Repeat const& repeat) { return repeat.label; })},
             {"train", "1", "seed of training and of its samples", seed(&plan::Seeds::train)},
             {"sample", "1", "seed of the sampling evaluation's sentences", seed(&plan::Seeds::sample)},
             {"merge", "1", "seed of random drops", seed(&plan::Seeds::merge)},
             {"cluster", "1", "seed of k-means", seed(&plan::Seeds::cluster)}}};
}

store::Table resources_table(View const& view) {
    auto const lines = resources(usage_of(view));
    auto const of = [&](auto const& value) { return column(lines, value); };
    return {"resources",
            {{"quantity", "", "what is counted", of([](Resource const& line) { return line.quantity; })},
             {"formula", "", "by the paper's Appendix C and Table 14; NaN: it has none",
              of([](Resource const& line) { return line.formula; })},
             {"measured", "", "counted in this run; NaN: not known",
              of([](Resource const& line) { return line.measured; })},
             {"units", "", "of both", of([](Resource const& line) { return line.units; })}}};
}

store::Grid grid_of(View const& view, Grid const& shown) {
    store::Grid grid{shown.experiment, shown.targets, shown.systems, {}, {}, {}};
    for (auto const& repeat : view.repeats) grid.seeds.push_back(repeat.label);
    for (std::size_t target = 0; target < shown.targets.size(); ++target) {
        for (auto const& row : shown.values) {
            auto const& value = row[target];
            auto const trials = value.cells.size() / grid.seeds.size();
            for (std::size_t seed = 0; seed < grid.seeds.size(); ++seed) {
                double sum = value.cells.empty() ? value.mean : 0;
                auto status = value.cells.empty() ? value.status : store::CellStatus::done;
                for (std::size_t i = 0; i < trials; ++i) {
                    auto const& scored = view.cells[value.cells[seed * trials + i]];
                    sum += scored.f1().value_or(missing) / static_cast<double>(trials);
                    if (status == store::CellStatus::done) status = scored.status();
                }
                grid.f1.push_back(sum);
                grid.status.push_back(status);
            }
        }
    }
    return grid;
}

}  // namespace

store::Results tables_of(View const& view) {
    store::Results results;
    for (auto const& grid : view.grids) results.grids.push_back(grid_of(view, grid));
    results.tables = {cells_table(view), sentences_table(view), experts_table(view),  selection_table(view),
                      cost_table(view),  repeats_table(view),   resources_table(view)};
    if (!view.embeddings.empty()) results.tables.push_back(embeddings_table(view));
    if (!view.data.empty()) results.tables.push_back(data_table(view));
    results.provenance = {{"config", view.config}, {"program", "samner"}};
    results.provenance.insert(results.provenance.end(), view.provenance.begin(), view.provenance.end());
    return results;
}

}  // namespace samner::report
