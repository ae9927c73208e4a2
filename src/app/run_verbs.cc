#include <fmt/format.h>
#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "app/launch.h"
#include "app/run_folder.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/file.h"
#include "core/log.h"
#include "core/stop.h"
#include "plan/run_file.h"
#include "task/executor.h"
#include "task/inputs.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::vector<std::string> words;  ///< experiment files and key=value settings
    fs::path config;
    fs::path out;
    std::vector<std::string> only;
    int ranks = 0;
    bool dry_run = false;
    bool retry_failed = false;
    bool json = false;
};

/// What runs, read and checked.
struct Setup {
    std::vector<plan::Experiment> experiments;
    plan::RunFile run;
    plan::Inputs inputs;
    std::string frozen;

    plan::Plan plan() const { return {experiments, run, inputs}; }
};

fs::path run_file_of(fs::path const& experiment) {
    return fs::path{"configs/runs"} / experiment.filename();
}

Setup set_up(Options const& options) {
    std::vector<fs::path> files;
    std::vector<std::string> settings;
    for (auto const& word : options.words) {
        if (word.find('=') != std::string::npos && !fs::exists(word)) {
            settings.push_back(word);
        } else {
            files.emplace_back(word);
        }
    }
    if (files.empty()) throw InputError{"no experiment file", "name one, for example experiments/demo.yaml"};
    Setup setup;
    setup.experiments = plan::load_experiments(files);
    if (!options.only.empty()) {
        for (auto const& name : options.only) {
            if (std::ranges::find(setup.experiments, name, &plan::Experiment::name) == setup.experiments.end()) {
                throw InputError{fmt::format("--only names '{}', which none of the experiments is", name)};
            }
        }
        std::erase_if(setup.experiments, [&](plan::Experiment const& experiment) {
            return std::ranges::find(options.only, experiment.name) == options.only.end();
        });
    }
    auto const config = options.config.empty() ? run_file_of(files.front()) : options.config;
    setup.run = plan::load_run_file(config, settings);
    setup.inputs = task::examine_inputs(setup.experiments, setup.run);
    setup.frozen = plan::frozen(setup.experiments, setup.run);
    return setup;
}

std::string summary(plan::Plan const& plan) {
    std::map<std::string, int> kinds;
    std::map<std::string, int> done;
    double cost = 0;
    for (auto const& [key, task] : plan.tasks()) {
        ++kinds[task.kind];
        done[task.kind] += plan.is_done(key);
        if (!plan.is_done(key)) cost += task.cost;
    }
    std::string text;
    for (auto const& [kind, count] : kinds)
        text += fmt::format("{:<8} {:>6} tasks, {} done\n", kind, count, done[kind]);
    auto const totals = plan.totals();
    text += fmt::format("cells    {:>6}, {} of them wait for a selection\n", plan.cells().size(), totals.open);
    text += fmt::format("decoding passes asked row by row {}, run {}{}; sentences {} and {}\n", totals.passes_asked,
                        totals.passes_run, totals.open ? " (so far known)" : "", totals.sentences_asked,
                        totals.sentences_run);
    text +=
        fmt::format("expected cost of what is left: about {:.0f} rank-seconds on a small CPU (a rough guess)\n", cost);
    return text;
}

/// What the tasks that are left will ask of the base model.
Json need_of_base(std::vector<plan::Task> const& left) {
    auto const has = [&](std::string_view kind) {
        return std::ranges::find(left, kind, &plan::Task::kind) != left.end();
    };
    bool const trains = has("train");
    return {{"any", trains || has("infer") || has("select")}, {"training", trains}};  // selections name predictions
}

/// Runs on this rank; the others do the same. Rank 0 reads the configuration and sends it.
ExitCode run_on_ranks(Options const& options) {
    int argc = 0;
    char** argv = nullptr;
    comm::Session session{argc, argv};
    bool const leads = session.rank() == 0;
    std::unique_ptr<RunFolder> folder;
    std::exception_ptr failure;
    Json message;
    if (leads) {
        try {
            auto setup = set_up(options);
            folder = std::make_unique<RunFolder>(options.out, setup.plan(), setup.frozen, options.retry_failed);
            message = {{"run", plan::to_yaml(setup.run)}, {"base", need_of_base(folder->left())}};
        } catch (std::exception const& error) {
            failure = std::current_exception();
            message = {{"code", static_cast<int>(exit_code(error))}};
        }
    }
    auto text = message.dump();
    session.teams().broadcast(text);
    message = Json::parse(text);
    if (failure) std::rethrow_exception(failure);
    if (message.contains("code")) return static_cast<ExitCode>(message["code"].get<int>());

    try {
        auto run = plan::parse_run_file(message["run"].get<std::string>(), "run file of rank 0");
        run.device = comm::device_of_rank(run.device, session.local_rank());
        fs::create_directories(options.out / "logs");
        fs::create_directories(checkpoint_folder(options.out));
        start_logging(session.rank(), options.out / "logs" / fmt::format("rank-{}.log", session.rank()));
        use_threads(static_cast<int>(run.threads), session.local_size());
        store::Artifacts const artifacts{options.out / "artifacts"};
        task::Executor executor{run, artifacts, checkpoint_folder(options.out)};
        if (session.size() > 1 && message["base"]["any"].get<bool>())
            executor.load_base(session.teams(), message["base"]["training"].get<bool>());
        auto const execute = [&](std::vector<plan::Task> const& tasks, comm::Comm const* team) {
            auto const start = std::chrono::steady_clock::now();
            if (tasks.size() > 1) executor.decode_ahead(tasks);
            std::chrono::duration<double> const ahead = std::chrono::steady_clock::now() - start;
            std::vector<sched::TaskResult> results;
            for (auto const& task : tasks) {
                auto& result =
                    results.emplace_back(sched::execute_safely(task, [&] { return executor.run(task, team); }));
                result.seconds += ahead.count() / static_cast<double>(tasks.size());
                if (!result.ok && !result.stopped) spdlog::error("task {} ({}): {}", task.key, task.kind, result.error);
            }
            return results;
        };
        auto const outcome = sched::run(session, folder.get(), folder.get(), execute);
        if (leads) {
            auto const grids = folder->publish();
            fmt::print("{}results: {}\nreport:  {}\n", grids, (options.out / "results.h5").string(),
                       (options.out / "report.html").string());
            std::fflush(stdout);
        }
        session.teams().barrier();
        if (outcome.stop_signal != 0) {
            if (leads)
                spdlog::warn("stopped on signal {}: {} tasks done now, {} left — run the same command again to go on",
                             outcome.stop_signal, outcome.done, outcome.not_run);
            return outcome.stop_signal == SIGINT ? ExitCode::interrupted : ExitCode::stopped;
        }
        bool failed = outcome.failed > 0;
        if (leads)
            failed = std::ranges::any_of(
                folder->plan().cells(), [](plan::Cell const& cell) { return cell.status != plan::Cell::Status::done; });
        return failed ? ExitCode::task_failed : ExitCode::done;
    } catch (std::exception const& error) {
        // One rank is out: the others cannot go on, and must not wait.
        fmt::print(stderr, "error: {}\n", describe(error));
        if (session.size() > 1) comm::Session::abort(static_cast<int>(exit_code(error)));
        return exit_code(error);
    }
}

ExitCode run_verb(Options const& options) {
    if (options.dry_run) {
        auto const setup = set_up(options);
        fmt::print("{}", summary(setup.plan()));
        return ExitCode::done;
    }
    if (options.ranks > 0) return static_cast<ExitCode>(launch_ranks(options.ranks));
    return run_on_ranks(options);
}

void plan_verb(Options const& options) {
    auto const setup = set_up(options);
    auto plan = setup.plan();
    if (!options.out.empty() && fs::exists(options.out / "journal")) {
        store::Artifacts const artifacts{options.out / "artifacts"};
        settle_known(plan, records_of(store::replay_journal(options.out / "journal")), &artifacts, false);
    }
    if (options.json) {
        fmt::print("{}\n", plan.json().dump(1));
    } else {
        fmt::print("{}", summary(plan));
    }
}

/// A run folder's plan with what is done, from its frozen configuration.
plan::Plan plan_of(fs::path const& folder, task::Records const& records, store::Artifacts const& artifacts) {
    auto frozen = plan::load_frozen(folder / "experiment.yaml");
    auto const inputs = task::examine_inputs(frozen.experiments, frozen.run);
    plan::Plan plan{frozen.experiments, frozen.run, inputs};
    settle_known(plan, records, &artifacts, false);
    return plan;
}

void report_verb(fs::path const& folder, fs::path const& out) {
    auto const records = records_of(store::replay_journal(folder / "journal"));
    if (!fs::exists(folder / "experiment.yaml"))
        throw InputError{fmt::format("'{}' is no run folder: it has no experiment.yaml", folder.string())};
    store::Artifacts const artifacts{folder / "artifacts"};
    auto const plan = plan_of(folder, records, artifacts);
    auto const report = out.empty() ? folder / "report.html" : out;
    fmt::print("{}", write_results(folder, plan, artifacts, records, read_text(folder / "experiment.yaml"), report));
    fmt::print("results: {}\nreport:  {}\n", (folder / "results.h5").string(), report.string());
}

void status_verb(fs::path const& folder) {
    if (!fs::exists(folder / "journal"))
        throw InputError{fmt::format("'{}' is no run folder: it has no journal", folder.string())};
    auto const replay = store::replay_journal(folder / "journal");
    auto const records = records_of(replay);
    std::map<std::string, std::pair<int, double>> done;
    for (auto const& [key, record] : records) {
        if (record["kind"] == "failed") {
            fmt::print("failed: {} {}: {}\n", record["task"].get<std::string>(), key.substr(0, 12),
                       record.value("error", std::string{}));
            continue;
        }
        auto& [count, seconds] = done[record["task"].get<std::string>()];
        ++count;
        auto const ranks = record.contains("team") ? record["team"].size() : 1;
        seconds += record.value("seconds", 0.0) * static_cast<double>(ranks);
    }
    for (auto const& [kind, sums] : done)
        fmt::print("{:<8} {:>6} done, {:.1f} rank-seconds\n", kind, sums.first, sums.second);
    std::map<std::string, Json> open;
    for (auto const& record : replay.records) {
        if (record.value("kind", std::string{}) == "started") open[record["key"].get<std::string>()] = record;
        if (record.contains("key") && record["kind"] != "started") open.erase(record["key"].get<std::string>());
    }
    for (auto const& [key, record] : open)
        fmt::print("started, not ended: {} {} on rank {}\n", record["task"].get<std::string>(), key.substr(0, 12),
                   record["rank"].get<int>());
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
    run->add_option("--out", options->out, "run folder")->required();
    run->add_option("-n", options->ranks, "start this many ranks with mpirun")->check(CLI::PositiveNumber);
    run->add_flag("--dry-run", options->dry_run, "check everything, print the plan, run nothing");
    run->add_flag("--retry-failed", options->retry_failed, "do failed tasks of an earlier attempt again");
    run->callback([options, &code] { code = run_verb(*options); });

    auto* const plan = app.add_subcommand("plan", "Tasks, what is done, cost, what sharing saves; touches nothing");
    add_setup_options(*plan, *options);
    plan->add_option("--out", options->out, "run folder, to see what is done");
    plan->add_flag("--json", options->json, "one JSON document");
    plan->callback([options] { plan_verb(*options); });

    struct Paths {
        fs::path run, out;
    };
    auto paths = std::make_shared<Paths>();
    auto* const report = app.add_subcommand("report", "Write results.h5 and report.html of a run folder again");
    report->add_option("RUN", paths->run, "run folder")->required();
    report->add_option("--out", paths->out, "the page; default RUN/report.html");
    report->callback([paths] { report_verb(paths->run, paths->out); });

    auto* const status = app.add_subcommand("status", "What a run folder's journal says, also while it runs");
    status->add_option("RUN", paths->run, "run folder")->required();
    status->callback([paths] { status_verb(paths->run); });

    for (auto const* name : {"compare", "gc"}) {
        auto* const later = app.add_subcommand(name, "(not there yet)");
        later->allow_extras();
        later->callback([name] { throw InputError{fmt::format("samner {} is not there yet", name)}; });
    }
}

}  // namespace samner::app
