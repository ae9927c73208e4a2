#include "plan/planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "plan/operators.h"

namespace samner::plan {

namespace {

/// The numbers of sentences that the selections of a term sample, with their places.
void find_samples(Term const& term, std::map<std::int64_t, Place>& found) {
    if (samples(term)) {
        auto const k = term.argument("k");
        found.emplace(static_cast<std::int64_t>(k->number), k->place);
    }
    for (auto const& [parameter, argument] : term.arguments) find_samples(*argument, found);
}

/// What is asked in a column of an experiment, and what of that is scored.
struct Asked {
    work::Texts texts;
    std::int64_t sentences = 0;
    std::optional<std::size_t> source = {};
};

Asked asked(Targets const& targets, std::string const& column, std::int64_t trial, Seeds const& seeds,
            Inputs const& inputs) {
    if (targets.of_experts()) {
        auto const& domain = inputs.domains.at(column);
        return {domain.texts, domain.sentences};
    }
    if (targets.kind != Targets::Kind::pooled) {
        auto const& target = inputs.targets.at(column);
        if (targets.kind == Targets::Kind::listed) return {target.texts, target.sentences};
        // Repeats draw other sentences, too.
        auto const number = seeds.sample * static_cast<std::uint64_t>(targets.trials) +
                            static_cast<std::uint64_t>(std::max<std::int64_t>(trial, 1) - 1);
        return {target.texts.with(work::OneSentence{number}), 1};
    }
    Asked pooled;
    for (std::size_t i = 0; i < targets.names.size(); ++i) {
        auto const& target = inputs.targets.at(targets.names[i]);
        pooled.texts.sources.insert(pooled.texts.sources.end(), target.texts.sources.begin(),
                                    target.texts.sources.end());
        pooled.texts.views = target.texts.views;  // equal ones: check_names sees to it
        pooled.sentences += target.sentences;
        if (targets.names[i] == column) pooled.source = i;
    }
    return pooled;
}

/// Adds warnings of samples that are larger than a target of their experiment.
void check_samples(Experiment const& experiment, Inputs const& inputs, std::vector<std::string>& found) {
    if (experiment.targets.kind == Targets::Kind::one_sentence) return;  // all that is there is what is asked for
    std::map<std::int64_t, Place> samples;
    for (auto const& row : experiment.rows) find_samples(*row.term, samples);
    for (auto const& name : experiment.targets.columns()) {
        auto const there = asked(experiment.targets, name, 0, {}, inputs).sentences;
        for (auto const& [k, place] : samples) {
            if (k <= there) continue;
            found.push_back(fmt::format(
                "k is {}, but the target '{}' has {} sentences ({}): all of them are taken — give a k of at "
                "most {}",
                k, name, there, place.text(), there));
        }
    }
}

void find_pools(Term const& term, std::vector<Term const*>& pools) {
    if (term.type == Type::pool) {
        pools.push_back(&term);
        return;
    }
    for (auto const& [parameter, argument] : term.arguments) find_pools(*argument, pools);
}

/// Notes the data that experts leave to others of their pool.
void note_apart(Experiment const& experiment, RunFile const& run, std::vector<std::string>& found) {
    std::vector<Term const*> pools;
    for (auto const& row : experiment.rows) find_pools(*row.term, pools);
    for (auto const* const pool : pools) {
        std::set<std::string> names;
        for (auto const& expert : experts_of(*pool))
            for (auto const& share : expert.shares) names.insert(share.expert);
        for (auto const& name : names) {
            auto const others = data_of_others(run, name, names);
            if (others.empty()) continue;
            found.push_back(
                fmt::format("in a pool with all its experts, '{}' is trained without {}, which is another's "
                            "own ({}) — nothing is to be done about it",
                            name, fmt::join(others, " and "), pool->place.text()));
        }
    }
}

}  // namespace

std::vector<std::string> warnings(std::vector<Experiment> const& experiments, RunFile const& run,
                                  Inputs const& inputs) {
    std::vector<std::string> found;
    for (auto const& name : names_in(experiments).targets) {
        auto const& target = run.targets.at(name);
        auto const there = inputs.targets.at(name).sentences;
        if (target.sentences <= there) continue;
        found.push_back(fmt::format(
            "targets.{}.sentences is {}, but {} has {} sentences: all of them are taken — give at most {}, or leave "
            "it out",
            name, target.sentences, target.name(), there, there));
    }
    for (auto const& experiment : experiments) {
        check_samples(experiment, inputs, found);
        note_apart(experiment, run, found);
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
        for (auto const& row : experiment.rows) add_cells(experiment, row);
        if (experiment.shows_data()) add_data(experiment);
    }
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) expand(cell);
}

void Plan::add_cells(Experiment const& experiment, Row const& row) {
    for (auto const& column : experiment.targets.columns()) {
        for (auto const& repeat : graph_.run().repeats) {
            for (auto const trial : experiment.targets.trial_numbers()) {
                auto& cell = cells_.emplace_back(Cell{experiment.name, row.name, column, repeat, {}, {}});
                auto of = asked(experiment.targets, column, trial, repeat.seeds, graph_.inputs());
                cell.trial = trial;
                cell.texts = std::move(of.texts);
                cell.sentences = of.sentences;
                cell.source = of.source;
                if (row.excluded.contains(column)) cell.status = Cell::Status::excluded;
                terms_.push_back(row.term);
                pooled_.push_back(experiment.targets.kind == Targets::Kind::pooled);
            }
        }
    }
}

void Plan::add_data(Experiment const& experiment) {
    for (auto const& expert : graph_.set_apart(experts_of(*experiment.data))) {
        if (expert.mixed() || !graph_.inputs().experts.at(expert.name).adapter.empty()) {
            throw InputError{
                fmt::format("experiment {} shows the data of '{}', which is not drawn from data sets alone",
                            experiment.name, expert.name),
                "name experts of the run file that are trained"};
        }
        std::pair entry{expert.name, graph_.recipe({expert}, graph_.run().repeats.front().seeds)};
        if (std::ranges::find(data_, entry) == data_.end()) data_.push_back(std::move(entry));
    }
}

void Plan::expand(std::size_t index) {
    auto& cell = cells_[index];
    if (cell.status == Cell::Status::excluded) return;
    std::set<std::string> open;
    // Pooled targets are one, whichever of them is scored.
    Context const context{pooled_[index] ? std::string{pooled_column} : cell.target, cell.texts, cell.sentences,
                          cell.repeat.seeds, pooled_[index]};
    try {
        cell.answer = plan_row(*terms_[index], {graph_, context, open});
    } catch (EmptySet) {
        cell.answer = {};
        cell.status = Cell::Status::empty_set;
        return;
    }
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
        for (auto const cell : cells) {
            if (cells_[cell].status == Cell::Status::pending) cells_[cell].status = Cell::Status::failed;
        }
    }
}

Plan::Totals Plan::totals() const {
    Totals totals;
    std::map<std::string, std::int64_t> open;
    for (auto const& cell : cells_) {
        // What is scored of pooled targets apart is asked once, for all of them; what is left out, never.
        if (cell.source || cell.status == Cell::Status::excluded || cell.status == Cell::Status::empty_set) continue;
        auto const sentences = cell.sentences;
        totals.passes_asked += cell.answer.passes_asked();
        totals.sentences_asked += cell.answer.sentences_asked(sentences);
        totals.open += cell.answer.open();
        if (cell.status != Cell::Status::pending) continue;
        open.merge(cell.answer.passes_open(sentences));
    }
    for (auto const& [awaited, sentences] : open) {
        ++totals.passes_most;
        totals.sentences_most += sentences;
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
