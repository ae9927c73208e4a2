#include "report/view.h"

#include <fmt/format.h>
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
#include "weights/safetensors.h"
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
        auto const place = place_of(cell);
        auto& target = targets_[place];
        scored.target = place;
        try {
            auto predicted = work::evaluate(cell.answer, evidence(target));
            auto const begin = cell.source ? target.begins.at(*cell.source) : 0;
            scored.first = begin;
            auto const end = cell.source ? target.begins.at(*cell.source + 1) : target.gold.size();
            for (auto i = begin; i < end; ++i) {
                scored.by_sentence.push_back(cell.texts.has_gold() ? score::count(target.gold[i], predicted[i])
                                                           : score::Counts{});
                scored.counts += scored.by_sentence.back();
                if (cell.source) continue;  // the column of all pooled targets has them
                scored.answers.push_back(kept(target.view.sentences[i].answers, std::move(predicted[i])));
            }
            scored.sentences = std::ssize(scored.by_sentence);
            if (cell.trial == 0 && scored.f1())
                scored.interval = score::f1_interval(std::span{&scored.by_sentence, 1}, {});
        } catch (std::exception const& error) {
            spdlog::warn("{}: no score of {} on {}, repeat {}: {}", cell.experiment, cell.system, cell.target,
                         cell.repeat.label, describe(error));
            scored = {cell};
            scored.target = place;
            scored.cell.status = plan::Cell::Status::failed;
            add_passes(scored);
        }
        return scored;
    }

    /// The pseudo-labels of a sampling evaluation, voted anew, against gold.
    std::optional<score::Counts> labels_against_gold(work::Select const& task) {
        std::vector<std::vector<score::Mentions>> votes;
        work::Texts const* texts = nullptr;
        if (!task.target.has_gold()) return std::nullopt;
        try {
            for (auto const& candidate : task.experts) {
                if (!candidate.predictions) return std::nullopt;
                for (auto const& answer : candidate.answers())
                    votes.push_back(work::read_mentions(artifacts_.path(answer.key)));
                texts = &std::get<work::Infer>(plan_.task(candidate.predictions->key).task).texts;
            }
            if (!texts) return std::nullopt;
            std::vector<score::Mentions> gold;
            auto const clusters = [this](work::Input const& input) { return labels(input.key); };
            for (auto const& [sentence, dataset] : reader_.read(*texts, clusters))
                gold.push_back(prompt::gold(*sentence, *dataset));
            return score::count(gold, score::majority_votes(votes, reader_.type_names(task.target)));
        } catch (std::exception const& error) {
            spdlog::warn("no count of the pseudo-labels for {} against gold: {}", task.target.name(), describe(error));
            return std::nullopt;
        }
    }

    /// What was read, in the order in which cells ask for it.
    std::vector<TargetView> take_targets() {
        std::vector<TargetView> views;
        for (auto& target : targets_) views.push_back(std::move(target.view));
        return views;
    }

private:
    struct Target {
        std::vector<score::Mentions> gold;
        std::vector<std::vector<std::string> const*> types;
        std::vector<std::size_t> begins;  ///< of each source, and the end
        TargetView view;
    };

    void add_passes(ScoredCell& scored) const {
        if (scored.cell.answer.open()) return;
        for (auto const& key : scored.cell.answer.passes()) {
            auto const record = records_.find(key);
            if (record == records_.end()) continue;
            scored.seconds += record->second.seconds;
            auto const* const pass = record->second.result_as<work::Pass>();
            if (!pass) continue;
            scored.completions += pass->sentences;
            scored.unparsable += pass->unparsable;
            scored.truncated += pass->truncated;
            scored.tokens_in += pass->tokens_in;
            scored.tokens_out += pass->tokens_out;
        }
    }

    /// The place of what a cell asks for among what was read; the cell's column is noted there.
    std::size_t place_of(plan::Cell const& cell) {
        auto const [found, added] = places_.try_emplace(canonical(to_wire(cell.texts)), targets_.size());
        if (added) targets_.push_back(target_of(cell));
        auto& view = targets_[found->second].view;
        if (!cell.source) view.columns[cell.experiment] = cell.target;
        return found->second;
    }

    Target target_of(plan::Cell const& cell) {
        auto const& texts = cell.texts;
        Target target;
        target.view.name = cell.source ? std::string{plan::pooled_column} : cell.target;
        if (cell.trial > 0) target.view.name += fmt::format(", trial {}", cell.trial);
        for (auto const& [sentence, dataset] : reader_.read(texts)) {
            target.gold.push_back(prompt::gold(*sentence, *dataset));
            target.types.push_back(&types_of(*dataset));
            target.view.sentences.push_back({sentence->text, target.gold.back()});
        }
        target.begins.push_back(0);
        if (texts.sources.size() > 1) {  // a target's views are of each source
            for (auto const& source : texts.sources)
                target.begins.push_back(target.begins.back() + reader_.read({{source}, texts.views}).size());
        }
        return target;
    }

    /// The place of a value among others, where it is put when it is not there.
    template <class T>
    static std::int32_t kept(std::vector<T>& values, T value) {
        auto const found = std::ranges::find(values, value);
        auto const place = found - values.begin();
        if (found == values.end()) values.push_back(std::move(value));
        return static_cast<std::int32_t>(place);
    }

    /// Keeps the answers of a pass. One over a part of the target has its sentences in the order of the target.
    void keep_pass(TargetView& target, std::string const& key, std::vector<work::Prediction> const& predictions) const {
        auto const* const infer = std::get_if<work::Infer>(&plan_.task(key).task);
        auto& sentences = target.sentences;
        PassView pass{key, infer ? infer->model : "", std::vector<std::int32_t>(sentences.size(), -1)};
        bool const whole = predictions.size() == sentences.size();
        std::size_t place = 0;
        for (auto const& prediction : predictions) {
            while (!whole && place < sentences.size() && sentences[place].text != prediction.text) ++place;
            if (place == sentences.size()) break;
            pass.completions[place] = kept(sentences[place].completions,
                                           {prediction.completion, prediction.truncated, prediction.unparsable});
            ++place;
        }
        target.passes.push_back(std::move(pass));
    }

    std::vector<std::string> const& types_of(corpus::Dataset const& dataset) {
        if (auto const found = types_.find(&dataset); found != types_.end()) return found->second;
        return types_[&dataset] = dataset.type_names();
    }

    std::vector<score::Mentions> const& stored(std::string const& key, TargetView& target) {
        auto const found = predictions_.find(key);
        bool const told = std::ranges::find(target.passes, key, &PassView::key) != target.passes.end();
        if (found != predictions_.end() && told) return found->second;
        auto predictions = work::read_predictions(artifacts_.path(key));
        if (!told) keep_pass(target, key, predictions);
        auto& mentions = predictions_[key];
        mentions.clear();
        for (auto& prediction : predictions) mentions.push_back(std::move(prediction.mentions));
        return mentions;
    }

    std::vector<std::int64_t> const& labels(std::string const& key) {
        if (auto const found = labels_.find(key); found != labels_.end()) return found->second;
        return labels_[key] = work::read_labels(artifacts_.path(key));
    }

    work::Evidence evidence(Target& target) {
        auto const predictions = [this, &target](std::string const& key) -> std::vector<score::Mentions> const& {
            return stored(key, target.view);
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
    std::vector<Target> targets_;
    std::map<std::string, std::size_t> places_;  ///< in targets_, by texts
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
        grid.expressions.emplace_back();
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
        grid.printed = experiment.paper;
        grid.trials = std::ssize(experiment.targets.trial_numbers());
        add_published(grid, experiment);
        for (auto const& row : experiment.rows) {
            grid.systems.push_back(row.name);
            grid.expressions.push_back(row.term->text());
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

/// Sentences of a split; NaN where the data set has none or its files are not there.
double size_of_split(corpus::Dataset const& dataset, std::string const& split, work::TextReader const& reader) {
    try {
        if (dataset.splits.contains(split))
            return static_cast<double>(corpus::read(dataset, split, reader.root()).size());
    } catch (InputError const& error) {
        spdlog::warn("the sentences of {}:{} are not counted: {}", dataset.id, split, error.what());
    }
    return std::numeric_limits<double>::quiet_NaN();
}

std::vector<DataView> shown_data(plan::Plan const& plan, std::vector<std::filesystem::path> const& descriptions,
                                 std::filesystem::path const& data_root) {
    std::vector<DataView> all;
    if (plan.shown_data().empty()) return all;
    work::TextReader reader{descriptions, data_root};
    for (auto const& [expert, recipe] : plan.shown_data()) {
        auto const sets = work::training_sets(recipe, reader);
        auto const& sources = recipe.parts.front().data;
        for (std::size_t pool = 0; pool < sources.size(); ++pool) {
            auto const& set = sets.front();
            auto const& dataset = *set.pools[pool].dataset;
            auto& row = all.emplace_back();
            row.expert = expert;
            row.dataset = dataset.id;
            std::string splits;
            for (auto const& split : sources[pool].splits) splits += (splits.empty() ? "" : "+") + split.name;
            if (splits != "train") row.dataset += ":" + splits;
            row.types = std::ssize(dataset.type_names());
            row.train = static_cast<double>(set.pools[pool].sentences.size());
            row.dev = size_of_split(dataset, "dev", reader);
            row.test = size_of_split(dataset, "test", reader);
            row.sampled = std::ranges::count(set.samples, pool, &corpus::Sample::pool);
        }
    }
    return all;
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

SelectionView selection_of(plan::Plan const& plan, std::string const& key, work::Select const& task,
                           work::Selection const& result) {
    SelectionView selection{key, task, result};
    for (auto const& cell : plan.cells()) {
        if (!cell.selections.contains(key)) continue;
        if (!cell.source) selection.targets.insert(cell.target);  // of pooled targets the column of all of them
        selection.repeats.insert(cell.repeat.label);
    }
    for (auto const& candidate : task.experts) {
        if (!candidate.predictions) continue;
        auto const& pass = std::get<work::Infer>(plan.task(candidate.predictions->key).task);
        for (auto const& view : pass.texts.views) {
            if (auto const* const sample = std::get_if<work::Sample>(&view)) selection.sampled = sample->k;
        }
        if (pass.adapter) selection.adapters[candidate.name] = pass.adapter->key;
    }
    return selection;
}

/// What selections compare, each once. Of targets those that are whole: no parts, single sentences or clusters.
std::vector<EmbeddingView> embeddings_of(plan::Plan const& plan, std::vector<SelectionView> const& selections,
                                         store::Artifacts const& artifacts) {
    std::map<std::tuple<bool, std::string, std::string>, std::set<std::int64_t>> repeats;
    for (auto const& selection : selections) {
        auto const note = [&](bool is_target, std::string const& name, work::Input const& centroid) {
            repeats[{is_target, name, centroid.key}].insert(selection.repeats.begin(), selection.repeats.end());
        };
        for (auto const& candidate : selection.task.experts) note(false, candidate.name, candidate.centroid);
        for (auto const& [name, target] : plan.inputs().targets) {
            if (target.texts == selection.task.target) note(true, name, selection.task.target_centroid);
        }
    }
    std::vector<EmbeddingView> embeddings;
    for (auto const& [what, labels] : repeats) {
        auto const& [is_target, name, key] = what;
        try {
            auto vector = weights::SafetensorsFile{artifacts.path(key)}.floats("mean");
            if (!embeddings.empty() && vector.size() != embeddings.front().vector.size())
                throw InputError{
                    fmt::format("it has {} numbers, others {}", vector.size(), embeddings.front().vector.size())};
            embeddings.push_back({name, is_target, key, labels, std::move(vector)});
        } catch (std::exception const& error) {
            spdlog::warn("no embedding of {} {}: {}", is_target ? "target" : "expert", name, describe(error));
        }
    }
    return embeddings;
}

/// The adapter with which a cell decodes, when it is one alone; null: it is another kind of answer, or not known yet.
work::Infer const* pass_of(plan::Plan const& plan, plan::Cell const& cell) {
    if (cell.answer.kind != work::Answer::Kind::stored || cell.answer.key.empty()) return nullptr;
    return std::get_if<work::Infer>(&plan.task(cell.answer.key).task);
}

/// The cells in which one expert that is not merged answers alone.
std::vector<ExpertView> experts_of(plan::Plan const& plan) {
    std::vector<ExpertView> experts;
    for (std::size_t i = 0; i < plan.cells().size(); ++i) {
        auto const* const pass = pass_of(plan, plan.cells()[i]);
        if (pass && pass->adapter && !std::holds_alternative<work::Merge>(plan.task(pass->adapter->key).task))
            experts.push_back({pass->model, i});
    }
    return experts;
}

/// The cells that use an adapter.
std::set<std::size_t> cells_with(plan::Plan const& plan, std::string const& adapter) {
    std::set<std::size_t> cells;
    for (std::size_t i = 0; i < plan.cells().size(); ++i) {
        for (auto const& key : plan.cells()[i].answer.passes()) {
            auto const* const pass = std::get_if<work::Infer>(&plan.task(key).task);
            if (pass && pass->adapter && pass->adapter->key == adapter) cells.insert(i);
        }
    }
    return cells;
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
            return cell.texts.has_gold() ? store::CellStatus::done : store::CellStatus::no_gold;
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
    if (status() != store::CellStatus::done) return std::nullopt;
    return counts.f1();
}

View view_of(plan::Plan const& plan, Records const& records, store::Artifacts const& artifacts,
             std::vector<std::filesystem::path> const& descriptions, std::filesystem::path const& data_root,
             std::string const& frozen, std::vector<std::pair<std::string, std::string>> provenance) {
    View view;
    view.base = plan.run().base;
    view.encoder = plan.run().encoder;
    view.base_size = plan.inputs().base_size;
    view.rank = plan.run().train.r;
    view.config = frozen;
    view.provenance = std::move(provenance);
    view.repeats = plan.run().repeats;
    Scorer scorer{plan, records, artifacts, descriptions, data_root};
    for (auto const& cell : plan.cells()) view.cells.push_back(scorer.score(cell));
    view.grids = grids_of(plan, view.cells);
    view.targets = scorer.take_targets();
    view.experts = experts_of(plan);
    view.data = shown_data(plan, descriptions, data_root);
    for_each_done<work::Select>(plan, records, [&](auto const& task, auto const& result, auto const& record) {
        auto& selection = view.selections.emplace_back(selection_of(plan, record.key, task, result));
        selection.labels = scorer.labels_against_gold(task);
    });
    view.embeddings = embeddings_of(plan, view.selections, artifacts);
    for_each_done<work::Merge>(plan, records, [&](auto const& task, auto const& result, auto const& record) {
        view.merges.push_back({task, result, cells_with(plan, record.key)});
    });
    for_each_done<work::Train>(plan, records, [&](auto const& task, auto const& result, auto const& record) {
        view.trainings.push_back({record.key, repeat_of(plan, task.recipe), task, result, record.seconds});
    });
    for (auto const& [key, planned] : plan.tasks()) {
        auto const found = records.find(key);
        if (found == records.end()) continue;
        auto const& record = found->second;
        std::string const kind{work::kind_of(planned.task)};
        view.costs.push_back({key, kind, record.seconds, record.rank, work::label_of(planned.task), record.team,
                              record.ended, record.ok, record.reused, record.bytes});
        if (auto const* const pass = record.result_as<work::Pass>()) {
            view.costs.back().tokens_in = pass->tokens_in;
            view.costs.back().tokens_out = pass->tokens_out;
        }
        auto& sum = view.costs_by_kind[kind];
        ++sum.tasks;
        sum.seconds += record.seconds;
        sum.rank_seconds += record.rank_seconds();
    }
    return view;
}

}  // namespace samner::report
