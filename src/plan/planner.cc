#include "plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "plan/operators.h"

namespace samner::plan {

namespace {

/// The numbers of sentences that the selections of a term sample, with their places.
void find_samples(Term const& term, std::map<std::int64_t, Place>& samples) {
    if (term.op == "select" && term.argument("metric")->name != "similarity") {
        auto const k = term.argument("k");
        samples.emplace(static_cast<std::int64_t>(k->number), k->place);
    }
    for (auto const& [parameter, argument] : term.arguments) find_samples(*argument, samples);
}

/// Adds warnings of samples that are larger than a target of their experiment.
void check_samples(Experiment const& experiment, Inputs const& inputs, std::vector<std::string>& found) {
    std::map<std::int64_t, Place> samples;
    for (auto const& row : experiment.rows) find_samples(*row.term, samples);
    for (auto const& name : experiment.targets) {
        auto const there = inputs.targets.at(name).sentences;
        for (auto const& [k, place] : samples) {
            if (k <= there) continue;
            found.push_back(fmt::format(
                "k is {}, but the target '{}' has {} sentences ({}): all of them are taken — give a k of at "
                "most {}",
                k, name, there, place.text(), there));
        }
    }
}

}  // namespace

std::vector<std::string> warnings(std::vector<Experiment> const& experiments, RunFile const& run,
                                  Inputs const& inputs) {
    std::vector<std::string> found;
    for (auto const& [name, target] : run.targets) {
        auto const there = inputs.targets.at(name).sentences;
        if (target.sentences <= there) continue;
        found.push_back(fmt::format(
            "targets.{}.sentences is {}, but {}:{} has {} sentences: all of them are taken — give at most {}, "
            "or leave it out",
            name, target.sentences, target.dataset, target.split, there, there));
    }
    for (auto const& experiment : experiments) {
        check_samples(experiment, inputs, found);
        for (auto const& row : experiment.rows)
            std::ranges::move(excessive_merges(*row.term, run.merge), std::back_inserter(found));
    }
    std::set<std::string> seen;  // rows may share a definition
    std::erase_if(found, [&](std::string const& one) { return !seen.insert(one).second; });
    return found;
}

Plan::Plan(std::vector<Experiment> experiments, RunFile run, Inputs inputs)
    : experiments_{std::move(experiments)}, graph_{std::move(run), std::move(inputs)} {
    check_names(experiments_, graph_.run());
    for (auto const& experiment : experiments_) {
        for (auto const& row : experiment.rows) {
            for (auto const& target : experiment.targets) {
                for (auto const& repeat : graph_.run().repeats) {
                    cells_.push_back({experiment.name, row.name, target, repeat, Cell::Status::pending, {}});
                    terms_.push_back(row.term);
                }
            }
        }
    }
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) expand(cell);
}

Context Plan::context_of(Cell const& cell) const {
    auto const& target = graph_.inputs().targets.at(cell.target);
    return {cell.target, target.texts, target.sentences, cell.repeat.seeds};
}

void Plan::expand(std::size_t index) {
    auto& cell = cells_[index];
    std::set<std::string> open;
    cell.answer = plan_row(*terms_[index], {graph_, context_of(cell), open});
    for (auto const& selection : open) waiting_[selection].insert(index);
    cell.selections.insert(open.begin(), open.end());
    if (cell.answer.open()) return;
    for (auto const& key : cell.answer.keys()) users_[key].insert(index);
    settle(index);
}

void Plan::settle(std::size_t index) {
    auto& cell = cells_[index];
    if (cell.status != Cell::Status::pending || cell.answer.open()) return;
    auto const keys = cell.answer.keys();
    if (std::ranges::all_of(keys, [&](std::string const& key) { return is_done(key); })) {
        cell.status = Cell::Status::done;
    } else if (std::ranges::any_of(keys, [&](std::string const& key) { return is_lost(key); })) {
        cell.status = Cell::Status::failed;
    }
}

void Plan::finished(std::string const& key, work::Result const& result) {
    graph_.finished(key, result);
    if (auto const found = waiting_.find(key); found != waiting_.end()) {
        auto const cells = std::move(found->second);
        waiting_.erase(found);
        for (auto const cell : cells) expand(cell);
    }
    if (auto const found = users_.find(key); found != users_.end()) {
        for (auto const cell : found->second) settle(cell);
    }
}

void Plan::failed(std::string const& key) {
    graph_.failed(key);
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) settle(cell);
    for (auto const& [selection, cells] : waiting_) {
        if (!is_lost(selection)) continue;
        for (auto const cell : cells) cells_[cell].status = Cell::Status::failed;
    }
}

Plan::Totals Plan::totals() const {
    Totals totals;
    for (auto const& cell : cells_) {
        auto const sentences = inputs().targets.at(cell.target).sentences;
        totals.passes_asked += cell.answer.passes_asked();
        totals.sentences_asked += cell.answer.sentences_asked(sentences);
        totals.open += cell.answer.open();
        if (cell.status != Cell::Status::pending) continue;
        totals.passes_most += cell.answer.passes_open();
        totals.sentences_most += cell.answer.sentences_open(sentences);
    }
    for (auto const& [key, planned] : tasks()) {
        auto const* const infer = std::get_if<work::Infer>(&planned.task);
        if (!infer || infer->sampled()) continue;
        ++totals.passes_run;
        totals.sentences_run += infer->sentences;
    }
    totals.passes_most += totals.passes_run;
    totals.sentences_most += totals.sentences_run;
    return totals;
}

}  // namespace samner::plan
