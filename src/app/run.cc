#include "app/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <optional>

#include "app/provenance.h"
#include "app/ranks.h"
#include "app/shared_options.h"
#include "app/simulate.h"
#include "app/why.h"
#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/file.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "sched/run.h"
#include "task/agreement.h"
#include "task/executor.h"
#include "task/inputs.h"
#include "train/options.h"
#include "weights/checkpoint.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

Change change_of(RunOptions const& options) {
    return options.frozen ? Change::refused : Change::allowed;
}

/// Whether the run file has experts that may have to be trained.
bool trains(plan::RunFile const& run) {
    return std::ranges::any_of(run.experts, [](auto const& expert) { return expert.second.adapter.empty(); });
}

/// Seconds of the longest chain of tasks that are left: no number of ranks is faster, but for tasks that several share.
double critical_path(plan::Plan const& plan, work::Rates const& rates) {
    std::map<std::string, double> until;  // the end of each task
    std::function<double(std::string const&)> const end = [&](std::string const& key) {
        if (plan.is_done(key)) return 0.0;
        if (auto const found = until.find(key); found != until.end()) return found->second;
        auto const& [task, after] = plan.task(key);
        double start = 0;
        for (auto const& before : after) start = std::max(start, end(before));
        return until[key] = start + rates.of(task).seconds;
    };
    double longest = 0;
    for (auto const& [key, planned] : plan.tasks()) longest = std::max(longest, end(key));
    return longest;
}

std::string summary(plan::Plan const& plan, work::Rates const& rates) {
    struct Sum {
        int tasks = 0;
        int done = 0;
    };
    std::map<std::string_view, Sum> kinds;
    work::Cost left;
    bool guessed = false;
    for (auto const& [key, planned] : plan.tasks()) {
        auto const kind = work::kind_of(planned.task);
        ++kinds[kind].tasks;
        kinds[kind].done += plan.is_done(key);
        if (plan.is_done(key)) continue;
        auto const cost = rates.of(planned.task);
        left.seconds += cost.seconds;
        left.tokens += cost.tokens;
        left.bytes += cost.bytes;
        guessed = guessed || !rates.measured(kind);
    }
    std::string text;
    for (auto const& [kind, sum] : kinds)
        text += fmt::format("{:<8} {:>6} tasks, {} done\n", kind, sum.tasks, sum.done);
    auto const totals = plan.totals();
    text += fmt::format("cells    {:>6}, {} of them wait for a selection\n", plan.cells().size(), totals.open);
    auto const between = [](std::int64_t least, std::int64_t most) {
        return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
    };
    text += fmt::format("decoding passes asked row by row {}, run {}; sentences {} and {}\n", totals.passes_asked,
                        between(totals.passes_run, totals.passes_most), totals.sentences_asked,
                        between(totals.sentences_run, totals.sentences_most));
    text += fmt::format(
        "expected cost of what is left: about {:.0f} rank-seconds (one after the other at least {:.0f}), {:.0f} "
        "thousand tokens, {} on the disk ({})\n",
        left.seconds, critical_path(plan, rates), left.tokens / 1000, size_text(left.bytes),
        guessed ? "in part a rough guess for a small CPU" : "at the rates of this run");
    return text;
}

/// Does jobs of the scheduler: opens the task in each and seals what it leaves.
class Worker {
public:
    Worker(int rank, task::Workplace workplace, store::Artifacts const& artifacts)
        : rank_{rank}, executor_{std::move(workplace), artifacts} {}

    task::Executor& executor() { return executor_; }

    void operator()(std::vector<sched::Job> const& jobs, comm::Comm const* team, sched::Report const& report) {
        executor_.on_progress(
            [&](std::string const& key, task::Progress const& progress) { tell(key, progress, report); });
        std::vector<std::pair<std::string, work::Task>> tasks;
        for (auto const& job : jobs) tasks.emplace_back(job.key, work::open_task(job.task));
        auto const start = std::chrono::steady_clock::now();
        if (tasks.size() > 1) executor_.prepare(tasks);
        std::chrono::duration<double> const ahead = std::chrono::steady_clock::now() - start;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            auto result = sched::execute_safely(jobs[i], [&] {
                auto done = executor_.run(tasks[i].first, tasks[i].second, team);
                return sched::Done{std::move(done.sha256), work::seal(done.result)};
            });
            result.seconds += ahead.count() / static_cast<double>(jobs.size());
            // On rank 0 the run folder says it.
            if (!result.ok && !result.stopped && rank_ > 0)
                spdlog::error("{} ({}): {}", jobs[i].label, jobs[i].key, result.error);
            report(std::move(result));
        }
        executor_.on_progress({});  // `report` is gone
    }

private:
    using Clock = std::chrono::steady_clock;

    /// Passes on the first word of a task, its last, and about two a second.
    void tell(std::string const& key, task::Progress const& progress, sched::Report const& report) {
        auto const now = Clock::now();
        constexpr std::chrono::milliseconds interval{500};
        if (key == told_ && progress.done < progress.total && now - told_at_ < interval) return;
        told_ = key;
        told_at_ = now;
        report.progress({key, progress.done, progress.total, progress.note, rank_});
    }

    int rank_;
    task::Executor executor_;
    std::string told_;  ///< the task that was told of last
    Clock::time_point told_at_;
};

/// What rank 0 tells the others before they begin.
struct Beginning {
    std::string run;         ///< the run file
    std::string run_id;      ///< of the run folder, and the next
    std::int64_t epoch = 0;  ///< of its lease
    bool base = false;
    bool training = false;
    plan::ModelFiles files = {};

    template <class Self, class Visit>
    static void fields(Self& self, Visit&& visit) {
        visit("run", self.run);
        visit("run_id", self.run_id);
        visit("epoch", self.epoch);
        visit("base", self.base);
        visit("training", self.training);
        visit("files", self.files);
    }
};

std::string signal_name(int signal) {
    switch (signal) {
        case SIGINT:
            return "SIGINT";
        case SIGTERM:
            return "SIGTERM";
        case SIGUSR1:
            return "SIGUSR1";
        default:
            return fmt::format("signal {}", signal);
    }
}

/// Runs on this rank; the others do the same. Rank 0 reads the configuration and sends it.
ExitCode run_on_ranks(RunOptions const& options, Work const& work, comm::Session& session) {
    bool const leads = session.rank() == 0;
    struct NoLineLeft {
        ~NoLineLeft() { show_live_line({}); }  // an error is said on a line of its own
    } const no_line_left;
    auto const& ranks = session.teams();
    std::unique_ptr<RunFolder> folder;
    auto const beginning =
        task::gather_all<Beginning>(&ranks, [&] {
            if (!leads) return Beginning{};
            if (terminal_columns() > 0) show_live_line("reading the experiment and its corpora");
            auto setup = work.set_up();
            use_threads(static_cast<int>(setup.run.threads), session.local_size());
            folder = std::make_unique<RunFolder>(options.out, setup.plan(), setup.frozen,
                                                 RunFolder::Options{.retry_failed = options.retry_failed,
                                                                    .change = change_of(options),
                                                                    .store = setup.run.store,
                                                                    .move_store = !options.store.empty(),
                                                                    .ranks = session.size()},
                                                 provenance_of(setup.inputs.arithmetic, session.size(), num_threads()));
            auto const needs = folder->needs();
            auto const writer = folder->writer_of_ranks().writer;
            return Beginning{plan::to_yaml(setup.run), writer.run,        writer.epoch, needs.base,
                             needs.training,           setup.inputs.files};
        }).front();
    std::optional<store::Artifacts> artifacts;
    std::optional<Worker> worker;
    task::on_all(&ranks, [&] {
        auto run = plan::parse_run_file(beginning.run, "run file of rank 0");
        run.device = comm::device_of_rank(run.device, session.local_rank());
        if (beginning.training)
            train::check_memory(run.train, weights::Checkpoint::open(run.base).config(), run.device, machine_memory());
        fs::create_directories(options.out / "logs");
        fs::create_directories(checkpoint_folder(options.out));
        start_logging(session.rank(), options.out / "logs" / fmt::format("rank-{}.log", session.rank()));
        use_threads(static_cast<int>(run.threads), session.local_size());
        artifacts.emplace(options.out / "artifacts",
                          store::Artifacts::Options{{beginning.run_id, beginning.epoch, session.rank()},
                                                    store::Fence{options.out, beginning.epoch},
                                                    run.exact()});
        worker.emplace(session.rank(), task::workplace_of(run, checkpoint_folder(options.out), beginning.files),
                       *artifacts);
    });
    if (session.size() > 1 && beginning.base) {
        if (leads) folder->display().set_phase("loading the base model");
        worker->executor().load_base(ranks, beginning.training);
    }
    auto const outcome = sched::run(session, folder.get(), folder.get(), std::ref(*worker));
    bool failed = outcome.failed > 0;
    task::on_all(&ranks, [&] {
        if (!leads) return;
        auto published = folder->publish();
        failed = !published.complete;
        std::string delivered;
        if (outcome.stop_signal == 0 && work.deliver) published.attempt([&] { delivered = work.deliver(*folder); });
        folder->display().end(outcome.stop_signal != 0      ? RunDisplay::End::stopped
                              : failed || published.failure ? RunDisplay::End::failed
                                                            : RunDisplay::End::done,
                              outcome.stop_signal != 0 ? signal_name(outcome.stop_signal) : "");
        if (outcome.stop_signal == 0) {
            fmt::print("{}", published.grids);
            if (!published.failure)
                fmt::print("results: {}\nreport:  {}\n", (options.out / "results.h5").string(),
                           (options.out / "report.html").string());
            fmt::print("{}", delivered);
            std::fflush(stdout);
        }
        if (published.failure) std::rethrow_exception(published.failure);
    });
    if (leads && folder->expired() > 0) {
        spdlog::warn("{} tasks were done here that another run had claimed before it died", folder->expired());
    }
    if (outcome.stop_signal != 0) {
        if (leads)
            spdlog::warn(
                "stopped on {} ({}): {} tasks were done in this call and {} are left; what is done is kept, and "
                "so is the state of trainings under way — run the same command again to go on",
                signal_name(outcome.stop_signal), strsignal(outcome.stop_signal), outcome.done, outcome.not_run);
        return outcome.stop_signal == SIGINT ? ExitCode::interrupted : ExitCode::stopped;
    }
    return failed ? ExitCode::task_failed : ExitCode::done;
}

}  // namespace

plan::Plan Setup::plan() const {
    plan::Plan made{experiments, run, inputs};
    for (auto const& warning : plan::warnings(experiments, run, inputs)) spdlog::warn("{}", warning);
    return made;
}

Setup examine(std::vector<plan::Experiment> experiments, plan::RunFile run) {
    Setup setup;
    setup.experiments = std::move(experiments);
    setup.run = std::move(run);
    if (trains(setup.run))
        train::adapted_modules(weights::Checkpoint::open(setup.run.base).config(), setup.run.train.lora());
    HashMemory hashes{HashMemory::default_file()};
    setup.inputs = task::examine_inputs(setup.experiments, setup.run, hashes.hasher());
    setup.hashing = hashes.cost();
    setup.frozen = plan::frozen(setup.experiments, setup.run, {setup.inputs.arithmetic, setup.inputs.of_encoder});
    return setup;
}

void show_plan(RunOptions const& options, Setup const& setup) {
    auto plan = setup.plan();
    report::Records records;
    fs::path const given = setup.run.store;
    if (!options.out.empty()) {
        check_store(options.out, given);
        auto const changed = check_run_folder(options.out, setup.frozen, change_of(options));
        if (!changed.empty() && !options.json)
            fmt::print("the experiment differs from that of {}: {}\n", options.out.string(), fmt::join(changed, ", "));
        if (auto const holder = store::last_holder(options.out); holder && holder->alive) {
            auto const what =
                fmt::format("process {} on {} runs in '{}' now", holder->pid, holder->host, options.out.string());
            if (options.dry_run) throw RunInUseError{what, "wait for that run, or stop it"};
            if (!options.json) fmt::print("{}\n", what);
        }
    }
    if (!options.out.empty() && fs::exists(options.out / "journal"))
        records = work::task_records(read_journal(options.out).records);
    auto const store = given.empty() && !options.out.empty() ? options.out / "artifacts" : given;
    std::optional<store::Artifacts> artifacts;
    if (!store.empty() && fs::is_directory(store)) {
        artifacts.emplace(store);
        settle_known(plan, records, {.artifacts = *artifacts, .retry_failed = options.retry_failed});
    }
    auto rates = rates_of(plan, records);
    if (!options.profile.empty()) rates.read(options.profile);
    if (options.simulate) {
        fmt::print("{}", simulate(std::move(plan), rates,
                                  {options.simulated_ranks, options.nodes, setup.run.base, options.json}));
        return;
    }
    if (options.json) {
        fmt::print("{}", plan_as_json(plan, rates));
        return;
    }
    Why const why{plan, records, artifacts ? &*artifacts : nullptr};
    if (!options.why.empty()) {
        fmt::print("{}", why.text_of(options.why));
        return;
    }
    fmt::print("{}{}hashing  {}\n", summary(plan, rates), why.summary(), to_text(setup.hashing));
}

ExitCode run(RunOptions const& options, Work const& work) {
    if (options.dry_run) {
        show_plan(options, work.set_up());
        return ExitCode::done;
    }
    return on_ranks(options.ranks, Alone::with_mpi,
                    [&](comm::Session* session) { return run_on_ranks(options, work, *session); });
}

}  // namespace samner::app
