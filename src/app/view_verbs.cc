#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/command_line.h"
#include "app/output.h"
#include "app/present.h"
#include "app/run_folder.h"
#include "app/run_status.h"
#include "app/verbs.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/stop.h"
#include "report/text.h"
#include "store/lease.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// What the journal says is done has to be there: a table with holes must not take the place of a whole one.
/// @throws Error naming what is missing or damaged
void require_artifacts(Present const& run, fs::path const& folder) {
    std::vector<std::string> lost;
    for (auto const& [key, planned] : run.plan.tasks()) {
        auto const record = run.records.find(key);
        if (record != run.records.end() && record->second.ok && !run.plan.is_done(key))
            lost.push_back(fmt::format("{} ('{}')", work::label_of(planned.task), run.artifacts.path(key).string()));
    }
    if (lost.empty()) return;
    throw Error{fmt::format("{} of the results that '{}' has recorded {} missing or damaged, the first: {}: nothing "
                            "was written",
                            lost.size(), folder.string(), lost.size() == 1 ? "is" : "are", lost.front()),
                "call `samner run` once more: it makes them anew, and then the report"};
}

void report_verb(fs::path const& folder, Output const& out) {
    auto const own = folder / "report.html";
    bool const is_own = out.path.empty() || fs::weakly_canonical(out.path) == fs::weakly_canonical(own);
    if (!is_own) out.check_file();
    read_journal(folder);              // what is no run folder is left as it is
    store::Lease const lease{folder};  // a live run writes these files itself
    Present const run{folder};
    require_artifacts(run, folder);
    auto const report = is_own ? own : out.path;
    auto const published = write_results(folder, run.plan, run.artifacts, run.records,
                                         read_text(folder / "experiment.yaml"), provenance_in(run.replay), report);
    fmt::print("{}", published.grids);
    std::fflush(stdout);
    if (published.failure) std::rethrow_exception(published.failure);
    fmt::print("results: {}\nreport:  {}\n", (folder / "results.h5").string(), report.string());
}

/// A decoding pass and what it decodes with, a line each.
std::string lines_of(std::string const& key, Present const& run) {
    auto const line = [&](std::string_view what, std::string const& of) {
        auto const place = run.plan.is_done(of)      ? run.artifacts.path(of).string()
                           : run.plan.has_failed(of) ? "failed: " + run.records.at(of).error
                                                     : "not there yet";
        return fmt::format("    {:<12} {}: {}\n", what, work::label_of(run.plan.task(of).task), place);
    };
    auto text = line("predictions", key);
    auto const lines_of_recipe = [&](work::MergeRecipe const& recipe) {
        for (std::size_t i = 0; i < recipe.adapters.size(); ++i)
            text += line(fmt::format("weight {}", recipe.weights[i]), recipe.adapters[i].key);
    };
    auto const& infer = std::get<work::Infer>(run.plan.task(key).task);
    if (infer.delta) {
        text += fmt::format("    {:<12} {}, into the base's weights, before decoding\n", "merge", infer.model);
        lines_of_recipe(*infer.delta);
    }
    if (!infer.adapter) return text;
    text += line("adapter", infer.adapter->key);
    if (auto const* const merge = std::get_if<work::Merge>(&run.plan.task(infer.adapter->key).task))
        lines_of_recipe(merge->recipe);
    return text;
}

std::string numbers_of(report::ScoredCell const& scored) {
    if (scored.status() == store::CellStatus::pending) return "not there yet";
    if (scored.status() != store::CellStatus::done) return std::string{store::status_name(scored.status())};
    auto const interval = scored.interval ? fmt::format(" ({} to {})", report::percent(scored.interval->low),
                                                        report::percent(scored.interval->high))
                                          : "";
    return fmt::format("F1 {}{}, tp {}, fp {}, fn {}, {} sentences, {} unparsable", report::percent(scored.counts.f1()),
                       interval, scored.counts.true_positive, scored.counts.false_positive,
                       scored.counts.false_negative, scored.sentences, scored.unparsable);
}

/// Prints what the cells of a row are made of. @param row  [EXPERIMENT/]ROW @param target  empty: all
void show_verb(fs::path const& folder, std::string const& row, std::string const& target) {
    Present const run{folder};
    auto const view = run.view();
    std::vector<std::string> known;
    bool found = false;
    for (auto const& experiment : run.plan.experiments()) {
        auto const columns = experiment.targets.columns();
        for (auto const& [name, term, excluded] : experiment.rows) {
            auto const full = fmt::format("{}/{}", experiment.name, name);
            known.insert(known.end(), {full, name});
            if (row != full && row != name) continue;
            found = true;
            if (!target.empty() && std::ranges::find(columns, target) == columns.end()) {
                throw InputError{fmt::format("{} has no target {}", full, target),
                                 fmt::format("its targets: {}", fmt::join(columns, ", "))};
            }
            fmt::print("{}: {}\n", full, term->text());
            for (auto const& scored : view.cells) {
                auto const& cell = scored.cell;
                if (cell.experiment != experiment.name || cell.system != name) continue;
                if (!target.empty() && cell.target != target) continue;
                auto const trial = cell.trial > 0 ? fmt::format(", trial {}", cell.trial) : "";
                fmt::print("  {}, seed {}{}: {}\n", cell.target, cell.repeat.label, trial, numbers_of(scored));
                for (auto const& key : cell.answer.passes()) fmt::print("{}", lines_of(key, run));
            }
        }
    }
    if (!found) refuse_name(row, known, "the row", folder.string());
}

struct StatusOptions {
    fs::path run;
    bool json = false;
    bool watch = false;
};

/// Waits until it is time to look again. @return false when the user wants no more
bool wait_to_look_again() {
    constexpr int steps = 20;
    for (int i = 0; i < steps && stop_signal() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds{100});
    return stop_signal() == 0;
}

void status_verb(StatusOptions const& options) {
    bool const redraws = options.watch && !options.json && ::isatty(STDOUT_FILENO) == 1;
    for (;;) {
        auto const status = read_status(options.run);
        // What is watched by a program is a line a look.
        auto const text = options.json ? to_text(json_of(status), options.watch ? -1 : 1) + "\n" : text_of(status);
        fmt::print("{}{}", redraws ? "\x1b[H\x1b[J" : "", text);
        std::fflush(stdout);
        if (!options.watch || !status.live || !wait_to_look_again()) return;
        if (!redraws && !options.json) fmt::print("\n");
    }
}

}  // namespace

void add_view_verbs(CLI::App& app) {
    struct Paths {
        fs::path run;
        Output out;
    };
    auto paths = std::make_shared<Paths>();
    auto* const report = app.add_subcommand("report", "Write results.h5 and report.html of a run folder again");
    report->add_option("RUN", paths->run, "run folder")->required();
    report->add_option("--out", paths->out.path, "the page; default RUN/report.html");
    add_overwrite_option(*report, paths->out.overwrite);
    add_examples(*report, "samner report runs/demo");
    report->callback([paths] { report_verb(paths->run, paths->out); });

    struct Question {
        fs::path run;
        std::string row, target;
    };
    auto question = std::make_shared<Question>();
    auto* const show = app.add_subcommand("show", "What a row is made of: expression, numbers, files");
    show->add_option("RUN", question->run, "run folder")->required();
    show->add_option("ROW", question->row, "[EXPERIMENT/]ROW")->required();
    show->add_option("TARGET", question->target, "default all");
    add_examples(*show, "samner show runs/demo sam\nsamner show runs/demo demo/sam politics");
    show->callback([question] { show_verb(question->run, question->row, question->target); });

    auto looking = std::make_shared<StatusOptions>();
    auto* const status = app.add_subcommand("status", "How far a run is, also while it runs");
    status->add_option("RUN", looking->run, "run folder")->required();
    status->add_flag("--json", looking->json, "one JSON document");
    status->add_flag("--watch", looking->watch, "look every two seconds until it has ended");
    add_examples(*status, "samner status runs/demo\nsamner status runs/demo --watch");
    status->callback([looking] { status_verb(*looking); });
}

}  // namespace samner::app
