#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/command_line.h"
#include "app/run.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/home.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::vector<std::string> words;  ///< experiment files and key=value settings
    fs::path config;
    std::vector<std::string> only;
    RunOptions run;
};

fs::path run_file_of(fs::path const& experiment) {
    return given_or_shipped(fs::path{"configs/runs"} / experiment.filename());
}

Setup set_up(Options const& options) {
    std::vector<fs::path> files;
    std::vector<std::string> settings;
    for (auto const& word : options.words) {
        if (word.find('=') != std::string::npos && !fs::exists(word)) {
            settings.push_back(word);
        } else {
            files.push_back(given_or_shipped(word));
        }
    }
    if (files.empty())
        throw InputError{"no experiment file (command line)", "name one, for example experiments/tiny.yaml"};
    for (auto const& file : files) {
        if (fs::exists(file)) continue;
        throw InputError{fmt::format("there is no experiment file '{}' (command line)", file.string()),
                         "name one that is there; what sets a key of the run file is one word, key=value"};
    }
    auto experiments = plan::load_experiments(files);
    if (!options.only.empty()) {
        std::vector<std::string> known;
        for (auto const& experiment : experiments) known.push_back(experiment.name);
        for (auto const& name : options.only)
            if (std::ranges::find(known, name) == known.end()) refuse_name(name, known, "--only", "command line");
        std::erase_if(experiments, [&](plan::Experiment const& experiment) {
            return std::ranges::find(options.only, experiment.name) == options.only.end();
        });
    }
    auto const config = options.config.empty() ? run_file_of(files.front()) : given_or_shipped(options.config);
    if (options.config.empty() && !fs::exists(config))
        throw InputError{fmt::format("there is no run file '{}' for '{}'", config.string(), files.front().string()),
                         "name one with --config, such as configs/runs/tiny.yaml"};
    auto run = plan::load_run_file(config, settings);
    if (!options.run.store.empty()) run.store = options.run.store.string();
    return examine(std::move(experiments), std::move(run));
}

void add_setup_options(CLI::App& verb, Options& options) {
    verb.add_option("EXPERIMENT", options.words, "experiment files, and key=value settings of the run file")
        ->required();
    verb.add_option("--config", options.config,
                    "run file; default configs/runs/ and the name of the first experiment file");
    verb.add_option("--only", options.only, "experiments of the files to run");
}

}  // namespace

void add_run_verbs(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<Options>();
    auto* const run = app.add_subcommand("run", "Run experiments; resumes a run folder");
    add_setup_options(*run, *options);
    run->add_option("--out", options->run.out, "run folder")->required();
    run->add_option("--store", options->run.store, "folder of results that several runs share; default RUN/artifacts");
    run->add_option("-n", options->run.ranks, "start this many ranks with mpirun")->check(at_least(1));
    run->add_flag("--dry-run", options->run.dry_run, "check everything, print the plan, run nothing");
    run->add_flag("--frozen", options->run.frozen, "refuse a run folder of another experiment or other settings");
    run->add_flag("--retry-failed", options->run.retry_failed, "do failed tasks of an earlier attempt again");
    add_examples(*run,
                 "samner run experiments/demo.yaml --out runs/demo -n 2\n"
                 "samner run experiments/demo.yaml --config my.yaml --out runs/mine train.r=16");
    run->callback(
        [options, &code] { code = app::run(options->run, {.set_up = [options] { return set_up(*options); }}); });

    auto* const plan = app.add_subcommand("plan", "Tasks, what is done, cost, what sharing saves; touches nothing");
    add_setup_options(*plan, *options);
    plan->add_option("--out", options->run.out, "run folder, to see what is done");
    plan->add_option("--store", options->run.store, "store, to see what is done there; default that of the run folder");
    plan->add_option("--why", options->run.why, "key of a task, or its beginning: say why it is not done");
    auto* const simulated =
        plan->add_flag("--simulate", options->run.simulate,
                       "say how long what is left takes on --ranks, by the scheduler that runs it on a virtual clock");
    auto* const ranks = plan->add_option("--ranks", options->run.simulated_ranks, "ranks of the simulation")
                            ->check(at_least(1))
                            ->needs(simulated);
    simulated->needs(ranks);
    plan->add_option("--nodes", options->run.nodes, "nodes of the simulated ranks")
        ->check(at_least(1))
        ->capture_default_str()
        ->needs(simulated);
    plan->add_option("--profile", options->run.profile,
                     "RUN/rates.json of a run: what tasks cost, in place of guesses and this run's own");
    plan->add_flag("--json", options->run.json, "one JSON document");
    add_examples(
        *plan, "samner plan experiments/demo.yaml\nsamner plan experiments/demo.yaml --simulate --ranks 64 --nodes 8");
    plan->callback([options] { show_plan(options->run, set_up(*options)); });
}

}  // namespace samner::app
