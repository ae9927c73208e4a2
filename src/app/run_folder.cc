#include "app/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "app/by_name.h"
#include "app/expert_folders.h"
#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/host.h"
#include "report/page.h"
#include "report/tables.h"
#include "report/text.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// Creates the folder.
fs::path created(fs::path const& folder) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (code)
        throw InputError{fmt::format("cannot create the run folder '{}': {}", folder.string(), code.message()),
                         "name another --out"};
    return folder;
}

Json json_of(Provenance const& provenance) {
    auto json = Json::object();
    for (auto const& [name, text] : provenance) json[name] = text;
    return json;
}

/// RUN/artifacts: a folder, or a link to the store that is given. Both are made where they are not there.
fs::path opened_store(fs::path const& run, RunFolder::Options const& options) {
    auto const own = run / "artifacts";
    auto const& store = options.store;
    try {
        check_store(run, store);
        bool const moves = !store.empty() && fs::is_symlink(own) &&
                           !(fs::exists(store) && fs::is_directory(own) && fs::equivalent(own, store));
        if (moves && !options.move_store) {
            throw InputError{fmt::format("the run in '{}' uses the store '{}', and the run file names '{}'",
                                         run.string(), fs::read_symlink(own).string(), store.string()),
                             "say --store which of them it is to be"};
        }
        if (moves)
            spdlog::warn("the store is '{}' from now on; it was '{}', and what is there is not used", store.string(),
                         fs::read_symlink(own).string());
        fs::create_directories(store.empty() ? own : store);
        if (store.empty() || (fs::is_directory(own) && fs::equivalent(own, store))) return own;
        if (fs::is_directory(own) && !fs::is_symlink(own)) fs::remove(own);  // an empty one
        auto const link = run / ".artifacts.partial";
        fs::remove(link);
        fs::create_directory_symlink(fs::canonical(store), link);
        fs::rename(link, own);
        return own;
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot use the store of '{}': {}", run.string(), error.what()),
                           "check free space and permissions"};
    }
}

/// A record with a digest over all of it.
std::string sealed_record(Json record) {
    record.erase("digest");
    record["digest"] = sha256(canonical(record));
    return to_text(record, 1) + "\n";
}

bool is_whole(Json record) {
    auto const digest = record.value("digest", Json{});
    record.erase("digest");
    return digest == sha256(canonical(record));
}

/// What a store says of a task that is done. @param verify  whether its artifact is read, or only has to be there
/// @return nothing when it is not done there, or what is there is damaged
std::optional<work::TaskRecord> stored_record(store::Artifacts const& artifacts, std::string const& key,
                                              work::Task const& task, bool verify) {
    auto const text = artifacts.record(key);
    if (!text) return std::nullopt;
    try {
        auto const json = parse_json(*text, "store");
        if (!is_whole(json)) throw InputError{"its digest is another one"};
        auto record = work::from_journal(json);
        if (!record || !record->ok || record->key != key || record->kind != work::kind_of(task)) return std::nullopt;
        if (verify ? !artifacts.verify(key, record->sha256) : !artifacts.has(key)) return std::nullopt;
        record->reused = json.value("run", Json{}) != artifacts.writer().run;
        return record;
    } catch (InputError const& error) {
        spdlog::warn("the store's record of {} ({}) cannot be used: {}", work::label_of(task), key.substr(0, 12),
                     error.what());
        return std::nullopt;
    }
}

/// Whether a task computes with the base model.
bool uses_base(work::Task const& task) {
    return std::visit(
        [](auto const& one) {
            return requires {
                one.base;
            };
        },
        task);
}

}  // namespace

void check_store(fs::path const& run, fs::path const& store) {
    auto const own = run / "artifacts";
    if (!store.empty() && fs::exists(store) && !fs::is_directory(store))
        throw InputError{fmt::format("the store '{}' is no folder", store.string()), "name another with --store"};
    if (store.empty()) {
        if (!fs::is_symlink(own) || fs::is_directory(own)) return;
        throw InputError{fmt::format("'{}' is a link to a store that is not there: '{}'", own.string(),
                                     fs::read_symlink(own).string()),
                         "bring it back, or name another with --store"};
    }
    if (!fs::exists(own) || fs::is_symlink(own) || fs::is_empty(own)) return;
    if (fs::exists(store) && fs::equivalent(own, store)) return;
    throw InputError{
        fmt::format("'{}' holds results of its own, and '{}' is to be its store", own.string(), store.string()),
        fmt::format("let the other runs use these (--store {}), or name another --out", own.string())};
}

std::vector<std::string> check_run_folder(fs::path const& folder, std::string const& frozen, Change change) {
    if (fs::exists(folder) && !fs::is_directory(folder))
        throw InputError{fmt::format("'{}' is no folder", folder.string()), "name another --out"};
    auto const path = folder / "experiment.yaml";
    if (!fs::exists(path)) {
        if (fs::exists(folder / "journal"))
            throw InputError{fmt::format("'{}' has a journal but no experiment.yaml", folder.string()),
                             "name another --out"};
        for (auto const* const file : {"results.h5", "report.html"})
            if (fs::exists(folder / file))
                throw InputError{fmt::format("'{}' has a {} and is no run folder", folder.string(), file),
                                 "name another --out: the run would replace it"};
        return {};
    }
    auto differing = plan::differences(read_text(path), frozen);
    if (!differing.empty() && change == Change::refused) {
        throw InputError{fmt::format("'{}' holds another run: {} differ", folder.string(), fmt::join(differing, ", ")),
                         "leave out --frozen, name another --out, or take these settings back"};
    }
    return differing;
}

fs::path checkpoint_folder(fs::path const& run) {
    return run / "checkpoints";
}

std::vector<std::string> settle_known(plan::Plan& plan, report::Records& records, Settling const& settling) {
    auto const is_there = [&](work::TaskRecord const& record) {
        return settling.verify ? settling.artifacts.verify(record.key, record.sha256)
                               : settling.artifacts.has(record.key);
    };
    std::vector<std::string> left;
    auto const settle = [&](std::string const& key) {
        auto const own = records.find(key);
        bool const done = own != records.end() && own->second.ok;
        if (done && is_there(own->second)) return plan.finished(key, *own->second.result);
        if (settling.from_store) {
            if (auto record = stored_record(settling.artifacts, key, plan.task(key).task, settling.verify)) {
                auto const& kept = records[key] = std::move(*record);
                plan.finished(key, *kept.result);
                if (settling.reused) settling.reused(kept);
                return;
            }
        }
        if (done) {
            if (settling.verify)
                spdlog::warn("the artifact of {} ({}) is missing or was altered", work::label_of(plan.task(key).task),
                             key.substr(0, 12));
        } else if (own != records.end() && !settling.retry_failed) {
            return plan.failed(key);
        }
        left.push_back(key);
    };
    for (auto keys = plan.take_new(); !keys.empty(); keys = plan.take_new()) {
        for (auto const& key : keys) settle(key);
        if (settling.see) std::ranges::for_each(keys, settling.see);
    }
    return left;
}

RunFolder::RunFolder(fs::path const& folder, plan::Plan plan, std::string frozen, Options options,
                     Provenance provenance)
    : folder_{created(folder)},
      plan_{std::move(plan)},
      frozen_{std::move(frozen)},
      retry_failed_{options.retry_failed},
      provenance_{std::move(provenance)},
      lease_{folder_},
      changed_{check_run_folder(folder_, frozen_, options.change)},
      claims_{opened_store(folder_, options), folder_},
      display_{{folder_, lease_.epoch(), [this] { lease_.check(); }, options.ranks}},
      artifacts_{folder_ / "artifacts", writer_of_ranks()},
      journal_{folder_ / "journal", lease_.epoch(), [this] { lease_.check(); }},
      records_{work::task_records(journal_.history().records)} {
    artifacts_.remove_partials();
    journal_.append({{"kind", "provenance"}, {"provenance", json_of(provenance_)}});
    adopt();
    look_ahead();
    rates_ = rates_of(plan_, records_);
    // What a killed rank left behind, and checkpoints of trainings that are done.
    std::vector<fs::path> left;
    auto const checkpoints = checkpoint_folder(folder_);
    if (!fs::exists(checkpoints)) return;
    for (auto const& entry : fs::directory_iterator{checkpoints}) {
        auto const record = records_.find(entry.path().filename().string());
        if (entry.path().extension() == ".partial" || (record != records_.end() && record->second.ok))
            left.push_back(entry.path());
    }
    for (auto const& path : left) fs::remove(path);
}

/// Makes the experiment that of the folder: in the journal first, which is the truth.
void RunFolder::adopt() {
    auto const path = folder_ / "experiment.yaml";
    if (!changed_.empty() || records_.empty() || !fs::exists(path))
        journal_.append({{"kind", "experiment"}, {"text", frozen_}});
    journal_.sync();
    if (!fs::exists(path) || read_text(path) != frozen_) write_atomically(path, frozen_);
}

store::Artifacts::Options RunFolder::writer_of_ranks() const {
    return {{claims_.run_id(), lease_.epoch(), 0}, lease_.fence(), plan_.run().exact()};
}

/// Settles a copy of the plan by what records say, which is cheap, tells of it and finds what the rest asks for.
void RunFolder::look_ahead() {
    auto plan = plan_;
    auto records = records_;
    auto const left =
        settle_known(plan, records, {.artifacts = artifacts_, .verify = false, .retry_failed = retry_failed_});
    auto const count = [&](auto const& all, auto const& counts) { return std::ranges::count_if(all, counts); };
    auto const there = count(plan.tasks(), [&](auto const& task) { return plan.is_done(task.first); });
    auto const done = count(records, [](auto const& record) { return record.second.ok; });
    auto const counts = fmt::format("{} tasks are new, {} are there already", left.size(), there);
    if (!changed_.empty()) {
        spdlog::info("the experiment has changed ({}): {}, {} earlier ones are not asked for any more",
                     fmt::join(changed_, ", "), counts, done - there);
    } else if (there > 0) {
        spdlog::info("{}", counts);
    }
    for (auto const& key : left) {
        auto const& task = plan.task(key).task;
        needs_.base = needs_.base || uses_base(task);
        needs_.training = needs_.training || std::holds_alternative<work::Train>(task);
    }
    needs_.base = needs_.base || std::ranges::any_of(plan.cells(), [](plan::Cell const& cell) {
                      return cell.status == plan::Cell::Status::pending && cell.answer.open();
                  });
}

RunFolder::~RunFolder() {
    try {
        sync();
    } catch (std::exception const& error) {
        spdlog::warn("the last tasks that ended are not in the journal, and will be done again: {}", describe(error));
    }
}

sched::Job job_of(plan::Plan const& plan, std::string const& key, work::Rates const& rates) {
    auto const& [task, after] = plan.task(key);
    sched::Job job{key,
                   work::label_of(task),
                   {},
                   rates.of(task).seconds,
                   work::width_of(task),
                   work::batch_of(task),
                   work::seal(task)};
    // What is settled will not come as a result: those that wait for it need not.
    std::ranges::copy_if(after, std::back_inserter(job.after),
                         [&](std::string const& before) { return !plan.is_done(before); });
    return job;
}

/// Counts a task that has become known, as it stands.
void RunFolder::expect(std::string const& key) {
    auto const& task = plan_.task(key).task;
    auto const kind = work::kind_of(task);
    auto& progress = display_.progress();
    progress.expect({key, std::string{kind}, work::label_of(task), rates_.of(task).seconds, rates_.measured(kind)});
    if (plan_.is_done(key) || plan_.has_failed(key)) progress.settled(key, plan_.is_done(key));
}

std::vector<sched::Job> RunFolder::take_new() {
    if (!planned_ && !records_.empty()) display_.set_phase("looking at what is done");
    std::vector<sched::Job> jobs;
    Settling const settling{.artifacts = artifacts_,
                            .retry_failed = retry_failed_,
                            .reused = [this](work::TaskRecord const& record) { keep(record); },
                            .see = [this](std::string const& key) { expect(key); }};
    for (auto const& key : settle_known(plan_, records_, settling)) {
        // What waits for a failure of an earlier attempt cannot be done.
        if (plan_.is_lost(key)) {
            display_.progress().left_out(key);
        } else {
            jobs.push_back(job_of(plan_, key, rates_));
        }
    }
    if (!std::exchange(planned_, true)) {
        write_plan();
        display_.set_phase({});
        auto const [done, failed, all] = display_.progress().counts();
        spdlog::info("{} tasks, {} of them done; `samner status {}` says how it goes", all, done + failed,
                     folder_.string());
    }
    return jobs;
}

void RunFolder::write_plan() const {
    write_atomically(folder_ / "plan.json", plan_as_json(plan_, rates_of(plan_, records_), sha256(frozen_)));
}

void RunFolder::finished(sched::JobResult const& result) {
    plan_.finished(result.key, *records_.at(result.key).result);  // as `ended` has read it
}

void RunFolder::failed(sched::JobResult const& result) {
    plan_.failed(result.key);
    for (auto const& [key, planned] : plan_.tasks()) {
        if (plan_.is_lost(key) && !plan_.has_failed(key)) display_.progress().left_out(key);
    }
}

void RunFolder::started(sched::Job const& job, std::vector<int> const& team) {
    auto const kind = work::kind_of(plan_.task(job.key).task);
    journal_.append(work::to_journal(work::Started{job.key, std::string{kind}, team, job.label}));
    display_.progress().started(job.key, team);
}

void RunFolder::ended(sched::Job const& job, sched::JobResult const& result) {
    work::TaskRecord record;
    record.key = result.key;
    record.kind = work::kind_of(plan_.task(result.key).task);
    record.ok = result.ok;
    record.sha256 = result.sha256;
    record.error = result.error;
    record.seconds = result.seconds;
    record.rank = result.rank;
    record.team = result.team;
    record.label = job.label;
    record.ended = seconds_since_1970();
    if (result.ok) {
        record.result = work::open_result(result.result);
        record.bytes = store::bytes_of(artifacts_.path(record.key));
    }
    auto json = work::to_journal(record);
    journal_.append(json);
    display_.progress().ended(result.key, result.ok, result.seconds);
    display_.refresh();
    if (result.ok) {
        json["run"] = claims_.run_id();
        json["identity"] = work::identity_of(plan_.task(record.key).task);
        json["provenance"] = json_of(provenance_);
        artifacts_.trust(record.key, record.sha256);
        artifacts_.write_record(record.key, sealed_record(json));
        ended_.push_back(result.key);
        auto const ranks = result.team.empty() ? fmt::format("rank {}", result.rank)
                                               : fmt::format("ranks {}", fmt::join(result.team, " "));
        auto const [done, failed, all] = display_.progress().counts();
        spdlog::info("[{}/{}] {} ({:.1f} s, {})", done + failed, all, job.label, result.seconds, ranks);
    } else {
        spdlog::error("failed: {}: {}", job.label, result.error);
    }
    claims_.release(record.key);  // only now: who finds it free looks for the record
    records_[result.key] = std::move(record);
}

void RunFolder::keep(work::TaskRecord const& record) {
    journal_.append(work::to_journal(record));
}

bool RunFolder::claim(sched::Job const& job) {
    auto const answer = claims_.take(job.key);
    if (!answer.ours) {
        elsewhere_.insert(job.key);
        spdlog::debug("{} is being done by the run in '{}'", job.label, answer.other.string());
        if (neighbours_.insert(answer.other).second) {
            spdlog::info("the run in '{}' is at work on the same store: what it does is waited for, and used",
                         answer.other.string());
        }
        return false;
    }
    if (!answer.dead.empty()) {
        ++expired_;
        spdlog::warn("{} is done here: the run in '{}' had claimed it, and died", job.label, answer.dead.string());
        journal_.append({{"kind", "expired"}, {"key", job.key}, {"claimed_by", answer.dead.string()}});
    }
    if (stored_record(artifacts_, job.key, plan_.task(job.key).task,
                      true)) {  // another run has done it since it was looked for
        claims_.release(job.key);
        elsewhere_.insert(job.key);
        return false;
    }
    require_inputs(job);
    artifacts_.discard(job.key);
    return true;
}

/// What a task reads is what its input left: a file that was altered since must not become part of results.
void RunFolder::require_inputs(sched::Job const& job) {
    for (auto const& before : plan_.task(job.key).after) {
        if (artifacts_.still(before, records_.at(before).sha256)) continue;
        throw StorageError{fmt::format("the artifact of {} ('{}') was altered while this run was under way",
                                       work::label_of(plan_.task(before).task), artifacts_.path(before).string()),
                           "run the same command again: it is made anew, and then what depends on it"};
    }
}

RunFolder::Elsewhere RunFolder::look_elsewhere() {
    Elsewhere news;
    for (auto const& key : elsewhere_) {
        if (auto record = stored_record(artifacts_, key, plan_.task(key).task, true)) {
            keep(*record);
            records_[key] = std::move(*record);
            plan_.finished(key, *records_.at(key).result);
            display_.progress().settled(key, true);
            spdlog::info("{}: done by another run", work::label_of(plan_.task(key).task));
            news.done.push_back(key);
        } else if (claims_.is_free(key)) {
            news.free.push_back(key);
        }
    }
    for (auto const& key : news.done) elsewhere_.erase(key);
    for (auto const& key : news.free) elsewhere_.erase(key);
    bool const waits = !elsewhere_.empty() && !display_.progress().is_running();
    if (waits != std::exchange(waits_, waits)) display_.set_phase(waits ? "waiting for another run on the store" : "");
    return news;
}

void RunFolder::progress(sched::Progress const& progress) {
    display_.progress().told(progress.key, progress.done, progress.total, progress.note);
}

void RunFolder::sync() {
    journal_.sync();
    // Only now is it certain that a training need not go on from its checkpoint.
    std::error_code ignored;
    for (auto const& key : ended_) fs::remove(checkpoint_folder(folder_) / key, ignored);
    ended_.clear();
}

void Published::attempt(std::function<void()> const& write) {
    try {
        write();
    } catch (std::exception const& error) {
        if (failure) spdlog::error("{}", describe(error));
        if (!failure) failure = std::current_exception();
    }
}

Published RunFolder::publish() {
    sync();
    lease_.check();
    display_.set_phase("writing the results");
    auto published = write_results(folder_, plan_, artifacts_, records_, frozen_, provenance_, folder_ / "report.html");
    published.attempt([&] { write_plan(); });
    published.attempt([&] {
        write_atomically(folder_ / "rates.json", to_text(rates_of(plan_, records_).to_json(), 1) + "\n");
    });
    published.attempt([&] { link_by_name(folder_, plan_); });
    published.attempt([&] { write_expert_folders(folder_, plan_, records_, artifacts_); });
    return published;
}

store::Replay read_journal(fs::path const& folder) {
    if (!fs::exists(folder / "journal"))
        throw InputError{fmt::format("'{}' is no run folder: it has no journal", folder.string())};
    auto replay = store::replay_journal(folder / "journal");
    if (replay.records.empty() && (!replay.problems.empty() || replay.torn))
        throw InputError{fmt::format("no line of '{}' can be read", (folder / "journal").string()),
                         "restore the file; what results.h5 holds is left as it is"};
    for (auto const& problem : replay.problems)
        spdlog::warn("a line of the journal is left out: {} ({}:{})", problem.what, (folder / "journal").string(),
                     problem.line);
    return replay;
}

work::Rates rates_of(plan::Plan const& plan, report::Records const& records) {
    work::Rates rates;
    rates.measure(records, [&](std::string const& key) {
        auto const found = plan.tasks().find(key);
        return found == plan.tasks().end() ? nullptr : &found->second.task;
    });
    return rates;
}

std::string plan_as_json(plan::Plan const& plan, work::Rates const& rates, std::string const& experiment) {
    auto list = Json::array();
    for (auto const& [key, planned] : plan.tasks()) {
        auto const& [task, after] = planned;
        auto const cost = rates.of(task);
        auto const kind = work::kind_of(task);
        auto const* const infer = std::get_if<work::Infer>(&task);
        list.push_back({{"key", key},
                        {"kind", kind},
                        {"label", work::label_of(task)},
                        {"state", plan.is_done(key)      ? "done"
                                  : plan.has_failed(key) ? "failed"
                                                         : "waiting"},
                        {"after", after},
                        {"size", work::size_of(task)},
                        {"sentences", infer ? infer->sentences : 0},
                        {"tokens", cost.tokens},
                        {"seconds", cost.seconds},
                        {"bytes", cost.bytes},
                        {"measured", rates.measured(kind)}});
    }
    auto const sums = plan.totals();
    Json json{{"tasks", list},
              {"warnings", plan::warnings(plan.experiments(), plan.run(), plan.inputs())},
              {"passes_asked", sums.passes_asked},
              {"passes_run", sums.passes_run},
              {"passes_most", sums.passes_most},
              {"sentences_asked", sums.sentences_asked},
              {"sentences_run", sums.sentences_run},
              {"sentences_most", sums.sentences_most},
              {"cells_open", sums.open}};
    if (!experiment.empty()) json["experiment"] = experiment;
    return json.dump(1) + "\n";
}

Published write_results(fs::path const& folder, plan::Plan const& plan, store::Artifacts const& artifacts,
                        report::Records const& records, std::string const& frozen, Provenance const& provenance,
                        fs::path const& report) {
    auto const& run = plan.run();
    auto const view = report::view_of(plan, records, artifacts, {run.datasets.begin(), run.datasets.end()}, run.data,
                                      frozen, provenance);
    Published published{report::text_of(view)};
    published.complete = std::ranges::none_of(view.cells, [](report::ScoredCell const& scored) {
        return scored.status() == store::CellStatus::failed || scored.status() == store::CellStatus::pending;
    });
    published.attempt([&] { store::write_results(folder / "results.h5", report::tables_of(view)); });
    published.attempt([&] { write_atomically(report, report::page_of(view)); });
    return published;
}

}  // namespace samner::app
