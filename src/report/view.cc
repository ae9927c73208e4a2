#include "report/view.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <tuple>

#include "core/error.h"
#include "core/json.h"
#include "corpus/dataset.h"
#include "prompt/prompt.h"
#include "work/answer.h"
#include "work/cluster.h"
#include "work/predictions.h"
#include "work/texts.h"

namespace samner::report {
namespace {

/// Gold, predictions and labels, each read once.
class Scorer {
public:
    Scorer(plan::Plan const& plan, Records const& records, store::Artifacts const& artifacts,
           std::vector<std::filesystem::path> const& descriptions, std::filesystem::path const& data_root)
        : plan_{plan}, records_{records}, artifacts_{artifacts}, reader_{descriptions, data_root} {}

    ScoredCell score(plan::Cell const& cell) {
        ScoredCell scored{cell};
        add_passes(scored);
        if (cell.status != plan::Cell::Status::done) return scored;
        auto const& target = target_of(cell.texts);
        try {
            auto const predicted = work::evaluate(cell.answer, evidence(target));
            auto const begin = cell.source ? target.begins.at(*cell.source) : 0;
            auto const end = cell.source ? target.begins.at(*cell.source + 1) : target.gold.size();
            for (auto i = begin; i < end; ++i) {
                scored.by_sentence.push_back(score::count(target.gold[i], predicted[i]));
                scored.counts += scored.by_sentence.back();
            }
            scored.sentences = std::ssize(scored.by_sentence);
            if (cell.trial == 0) scored.interval = score::f1_interval(std::span{&scored.by_sentence, 1}, {});
        } catch (std::exception const& error) {
            spdlog::warn("{}: no score of {} on {}, repeat {}: {}", cell.experiment, cell.system, cell.target,
                         cell.repeat.label, describe(error));
            scored.cell.status = plan::Cell::Status::failed;
        }
        return scored;
    }

private:
    struct Target {
        std::vector<score::Mentions> gold;
        std::vector<std::vector<std::string> const*> types;
        std::vector<std::size_t> begins;  ///< of each source, and the end
    };

    void add_passes(ScoredCell& scored) const {
        if (scored.cell.answer.open()) return;
        for (auto const& key : scored.cell.answer.passes()) {
            auto const record = records_.find(key);
            if (record == records_.end()) continue;
            scored.seconds += record->second.seconds;
            auto const* const pass = record->second.result_as<work::Pass>();
            if (!pass) continue;
            scored.unparsable += pass->unparsable;
            scored.truncated += pass->truncated;
            scored.tokens_in += pass->tokens_in;
            scored.tokens_out += pass->tokens_out;
        }
    }

    Target const& target_of(work::Texts const& texts) {
        auto const name = canonical(to_wire(texts));
        if (auto const found = targets_.find(name); found != targets_.end()) return found->second;
        Target target;
        for (auto const& [sentence, dataset] : reader_.read(texts)) {
            target.gold.push_back(prompt::gold(*sentence, *dataset));
            target.types.push_back(&types_of(*dataset));
        }
        target.begins.push_back(0);
        if (texts.sources.size() > 1) {  // a target's views are of each source
            for (auto const& source : texts.sources)
                target.begins.push_back(target.begins.back() + reader_.read({{source}, texts.views}).size());
        }
        return targets_[name] = std::move(target);
    }

    std::vector<std::string> const& types_of(corpus::Dataset const& dataset) {
        if (auto const found = types_.find(&dataset); found != types_.end()) return found->second;
        return types_[&dataset] = dataset.type_names();
    }

    std::vector<score::Mentions> const& stored(std::string const& key) {
        if (auto const found = predictions_.find(key); found != predictions_.end()) return found->second;
        return predictions_[key] = work::read_mentions(artifacts_.path(key));
    }

    std::vector<std::int64_t> const& labels(std::string const& key) {
        if (auto const found = labels_.find(key); found != labels_.end()) return found->second;
        return labels_[key] = work::read_labels(artifacts_.path(key));
    }

    work::Evidence evidence(Target const& target) {
        auto const predictions = [this](std::string const& key) -> std::vector<score::Mentions> const& {
            return stored(key);
        };
        auto const clusters = [this](std::string const& key) -> std::vector<std::int64_t> const& {
            return labels(key);
        };
        return {predictions, clusters, target.gold, target.types};
    }

    plan::Plan const& plan_;
    Records const& records_;
    store::Artifacts const& artifacts_;
    work::TextReader reader_;
    std::map<std::string, Target> targets_;
    std::map<corpus::Dataset const*, std::vector<std::string>> types_;
    std::map<std::string, std::vector<score::Mentions>> predictions_;
    std::map<std::string, std::vector<std::int64_t>> labels_;
};

/// The cells of a row on a target, as places in View::cells: of each repeat those of its trials.
using Repeats = std::vector<std::vector<std::size_t>>;

/// The counts of each sentence, summed over repeats on one target.
std::vector<score::Counts> pooled(std::vector<ScoredCell> const& cells, Repeats const& repeats) {
    auto sum = cells[repeats.front().front()].by_sentence;
    for (auto const& repeat : std::span{repeats}.subspan(1)) {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += cells[repeat.front()].by_sentence[i];
    }
    return sum;
}

double mean_of(std::vector<double> const& values) {
    double sum = 0;
    for (auto const value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

/// Of a sample; 0 for one value.
double deviation_of(std::vector<double> const& values) {
    if (values.size() < 2) return 0;
    auto const mean = mean_of(values);
    double squares = 0;
    for (auto const value : values) squares += (value - mean) * (value - mean);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// Of one row on some targets, at least one, all with the same repeats.
Value value_of(std::vector<ScoredCell> const& cells, std::vector<Repeats> const& targets) {
    Value value;
    std::vector<double> of_repeats(targets.front().size());
    bool trials = false;
    for (auto const& repeats : targets) {
        for (std::size_t i = 0; i < repeats.size(); ++i) {
            std::vector<double> of_trials;
            for (auto const place : repeats[i]) {
                auto const& scored = cells[place];
                of_trials.push_back(scored.f1().value_or(std::numeric_limits<double>::quiet_NaN()));
                value.counts += scored.counts;
                value.cells.push_back(place);
                if (value.status == store::CellStatus::done) value.status = scored.status();
                trials = trials || scored.cell.trial > 0;
            }
            of_repeats[i] += mean_of(of_trials) / static_cast<double>(targets.size());
        }
    }
    value.mean = mean_of(of_repeats);
    value.deviation = deviation_of(of_repeats);
    if (std::isnan(value.mean) || trials) return value;
    if (value.cells.size() == 1) {
        value.interval = cells[value.cells.front()].interval;
    } else {
        score::TargetCounts counts;
        for (auto const& repeats : targets) counts.push_back(pooled(cells, repeats));
        value.interval = score::f1_interval(counts, {});
    }
    return value;
}

/// A printed value, in percent.
Value printed(std::optional<double> percent) {
    Value value;
    value.mean = percent ? *percent / 100 : std::numeric_limits<double>::quiet_NaN();
    value.status = store::CellStatus::published;
    return value;
}

void add_published(Grid& grid, plan::Experiment const& experiment) {
    for (auto const& system : experiment.published) {
        auto const& row = *experiment.paper->published(system);
        grid.systems.push_back(system);
        auto& values = grid.values.emplace_back();
        for (auto const& target : grid.targets) {
            auto const cell = row.cells.find(target);
            values.push_back(printed(cell == row.cells.end() ? std::nullopt : std::optional{cell->second}));
        }
        if (experiment.average) grid.averages.push_back(printed(row.average));
    }
}

std::vector<Grid> grids_of(plan::Plan const& plan, std::vector<ScoredCell> const& cells) {
    std::map<std::tuple<std::string, std::string, std::string>, Repeats> places;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        auto const& cell = cells[i].cell;
        auto& repeats = places[{cell.experiment, cell.system, cell.target}];
        if (cell.trial <= 1) repeats.emplace_back();
        repeats.back().push_back(i);
    }
    std::vector<Grid> grids;
    for (auto const& experiment : plan.experiments()) {
        if (experiment.shows_data()) continue;
        auto& grid = grids.emplace_back();
        grid.experiment = experiment.name;
        grid.title = experiment.title;
        grid.targets = experiment.targets.columns();
        grid.paper = experiment.paper;
        add_published(grid, experiment);
        for (auto const& row : experiment.rows) {
            grid.systems.push_back(row.name);
            auto& values = grid.values.emplace_back();
            std::vector<Repeats> averaged;
            for (auto const& target : grid.targets) {
                auto const& repeats = places.at({experiment.name, row.name, target});
                values.push_back(value_of(cells, {repeats}));
                bool const all =
                    experiment.targets.kind == plan::Targets::Kind::pooled && target == plan::pooled_column;
                if (!all && !row.excluded.contains(target)) averaged.push_back(repeats);
            }
            if (!experiment.average) continue;
            grid.averages.push_back(averaged.empty() ? Value{std::numeric_limits<double>::quiet_NaN()}
                                                     : value_of(cells, averaged));
        }
    }
    return grids;
}

/// Visits the tasks of a kind that are done, in the order of their keys: visit(task, its result, its record).
template <class Work, class Visit>
void for_each_done(plan::Plan const& plan, Records const& records, Visit const& visit) {
    for (auto const& [key, planned] : plan.tasks()) {
        auto const* const work = std::get_if<Work>(&planned.task);
        auto const record = records.find(key);
        if (!work || record == records.end()) continue;
        if (auto const* const result = record->second.template result_as<typename Work::Result>())
            visit(*work, *result, record->second);
    }
}

/// The first repeat whose seeds a training has.
std::int64_t repeat_of(plan::Plan const& plan, work::Recipe const& recipe) {
    auto const clusters_with = [&](std::uint64_t seed) {
        return std::ranges::all_of(recipe.parts, [&](work::Part const& part) {
            return !part.cluster ||
                   std::get<work::Cluster>(plan.task(part.cluster->labels.key).task).kmeans_seed == seed;
        });
    };
    for (auto const& [label, seeds] : plan.run().repeats) {
        if (seeds.train == recipe.seed && clusters_with(seeds.cluster)) return label;
    }
    throw Error{"a training of no repeat"};
}

}  // namespace

store::CellStatus ScoredCell::status() const {
    switch (cell.status) {
        case plan::Cell::Status::done:
            return store::CellStatus::done;
        case plan::Cell::Status::failed:
            return store::CellStatus::failed;
        case plan::Cell::Status::excluded:
            return store::CellStatus::excluded;
        case plan::Cell::Status::empty_set:
            return store::CellStatus::empty_set;
        case plan::Cell::Status::pending:
            return store::CellStatus::pending;
    }
    throw Error{"a cell without a status"};
}

std::optional<double> ScoredCell::f1() const {
    if (cell.status != plan::Cell::Status::done) return std::nullopt;
    return counts.f1();
}

View view_of(plan::Plan const& plan, Records const& records, store::Artifacts const& artifacts,
             std::vector<std::filesystem::path> const& descriptions, std::filesystem::path const& data_root,
             std::string const& frozen, std::vector<std::pair<std::string, std::string>> provenance) {
    View view;
    view.base = plan.run().base;
    view.encoder = plan.run().encoder;
    view.config = frozen;
    view.provenance = std::move(provenance);
    view.repeats = plan.run().repeats;
    Scorer scorer{plan, records, artifacts, descriptions, data_root};
    for (auto const& cell : plan.cells()) view.cells.push_back(scorer.score(cell));
    view.grids = grids_of(plan, view.cells);
    for_each_done<work::Select>(plan, records, [&](auto const& task, auto const& result, auto const&) {
        view.selections.push_back({task, result});
    });
    for_each_done<work::Train>(plan, records, [&](auto const& task, auto const& result, auto const& record) {
        view.trainings.push_back({record.key, repeat_of(plan, task.recipe), task, result, record.seconds});
    });
    for (auto const& [key, planned] : plan.tasks()) {
        auto const found = records.find(key);
        if (found == records.end()) continue;
        auto const& record = found->second;
        std::string const kind{work::kind_of(planned.task)};
        view.costs.push_back({key, kind, record.seconds, record.rank});
        auto& sum = view.costs_by_kind[kind];
        ++sum.tasks;
        sum.seconds += record.seconds;
        sum.rank_seconds += record.rank_seconds();
    }
    return view;
}

}  // namespace samner::report
