#include "app/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "core/error.h"
#include "core/file.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// Creates the folder, and checks that what it holds is this run.
fs::path prepared(fs::path const& folder, std::string const& frozen) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (code)
        throw InputError{fmt::format("cannot create the run folder '{}': {}", folder.string(), code.message()),
                         "name another --out"};
    auto const path = folder / "experiment.yaml";
    if (fs::exists(path)) {
        if (auto const names = plan::differences(read_text(path), frozen); !names.empty()) {
            throw InputError{fmt::format("'{}' holds another run: {} differ", folder.string(), fmt::join(names, ", ")),
                             "name another --out, or take these settings back"};
        }
    } else if (fs::exists(folder / "journal")) {
        throw InputError{fmt::format("'{}' has a journal but no experiment.yaml", folder.string()),
                         "name another --out"};
    } else {
        try {
            write_atomically(path, frozen);
        } catch (StorageError const& error) {
            throw InputError{fmt::format("the run folder is not writable: {}", error.what()), error.remedy()};
        }
    }
    return folder;
}

std::string description(plan::Task const& task) {
    std::string what;
    auto const& payload = task.payload;
    if (payload.contains("parts")) {
        for (auto const& part : payload["parts"]) {
            what += (what.empty() ? "" : "+") + part["expert"].get<std::string>();
            if (part.contains("cluster")) what += fmt::format("[{}]", part["cluster"]["index"].get<int>() + 1);
        }
    } else if (payload.contains("target")) {
        what = payload["target"]["dataset"].get<std::string>();
        if (payload.contains("sample") && !payload["sample"].is_null()) what += " (sample)";
        if (payload.contains("metric")) what += " by " + payload["metric"].get<std::string>();
    } else if (payload.contains("adapters")) {
        what = fmt::format("{} experts", payload["adapters"].size());
    }
    return task.kind + " " + what;
}

}  // namespace

task::Records records_of(store::Replay const& replay) {
    task::Records records;
    for (auto const& record : replay.records) {
        auto const kind = record.value("kind", std::string{});
        if (record.contains("key") && (kind == "done" || kind == "failed"))
            records[record["key"].get<std::string>()] = record;
    }
    return records;
}

fs::path checkpoint_folder(fs::path const& run) {
    return run / "checkpoints";
}

std::vector<plan::Task> settle_known(plan::Plan& plan, task::Records const& records, store::Artifacts const* artifacts,
                                     bool retry_failed) {
    std::vector<plan::Task> left;
    for (auto tasks = plan.take_new(); !tasks.empty(); tasks = plan.take_new()) {
        for (auto const& task : tasks) {
            auto const found = records.find(task.key);
            if (found == records.end()) {
                left.push_back(task);
                continue;
            }
            auto const& record = found->second;
            if (record["kind"] == "failed") {
                if (retry_failed) {
                    left.push_back(task);
                } else {
                    plan.failed(task.key);
                }
                continue;
            }
            auto const hash = record.value("sha256", std::string{});
            if (!artifacts || hash.empty() || artifacts->verify(task.key, hash)) {
                plan.finished(task.key, record.value("result", Json{}));
            } else {
                spdlog::warn("the artifact of {} ({}) is missing or was altered: doing it again", description(task),
                             task.key.substr(0, 12));
                left.push_back(task);
            }
        }
    }
    return left;
}

RunFolder::RunFolder(fs::path const& folder, plan::Plan plan, std::string frozen, bool retry_failed)
    : folder_{prepared(folder, frozen)},
      plan_{std::move(plan)},
      frozen_{std::move(frozen)},
      retry_failed_{retry_failed},
      lease_{folder_},
      artifacts_{folder_ / "artifacts", [this] { lease_.check(); }},
      journal_{folder_ / "journal", lease_.epoch(), [this] { lease_.check(); }},
      records_{records_of(journal_.history())} {
    artifacts_.remove_partials();
    // What a killed rank left behind, and checkpoints of trainings that are done.
    std::vector<fs::path> left;
    auto const checkpoints = checkpoint_folder(folder_);
    if (!fs::exists(checkpoints)) return;
    for (auto const& entry : fs::directory_iterator{checkpoints}) {
        auto const record = records_.find(entry.path().filename().string());
        if (entry.path().extension() == ".partial" || (record != records_.end() && record->second["kind"] == "done"))
            left.push_back(entry.path());
    }
    for (auto const& path : left) fs::remove(path);
}

std::vector<plan::Task> RunFolder::left() const {
    auto plan = plan_;
    return settle_known(plan, records_, nullptr, retry_failed_);
}

std::vector<sched::Task> RunFolder::take_new() {
    auto tasks = settle_known(plan_, records_, &artifacts_, retry_failed_);
    // What is settled will not come as a result: those that wait for it need not.
    for (auto& task : tasks)
        std::erase_if(task.after, [&](std::string const& before) { return plan_.is_done(before); });
    // Nor can what waits for a failure of an earlier attempt be done.
    std::erase_if(tasks, [&](plan::Task const& task) { return plan_.is_lost(task.key); });
    return tasks;
}

void RunFolder::finished(sched::TaskResult const& result) {
    plan_.finished(result.key, result.result);
}

void RunFolder::failed(sched::TaskResult const& result) {
    plan_.failed(result.key);
}

void RunFolder::started(sched::Task const& task, std::vector<int> const& team) {
    Json record{{"kind", "started"}, {"key", task.key}, {"task", task.kind}, {"rank", team.front()}};
    if (team.size() > 1) record["team"] = team;
    journal_.append(record);
}

void RunFolder::ended(sched::Task const& task, sched::TaskResult const& result) {
    Json record{{"kind", result.ok ? "done" : "failed"},
                {"key", result.key},
                {"task", result.kind},
                {"sha256", result.sha256},
                {"result", result.result},
                {"seconds", result.seconds},
                {"rank", result.rank}};
    if (!result.team.empty()) record["team"] = result.team;
    if (!result.ok) {
        record["error"] = result.error;
        spdlog::error("failed: {}: {}", description(task), result.error);
    } else {
        ended_.push_back(result.key);
        auto const ranks = result.team.empty() ? fmt::format("rank {}", result.rank)
                                               : fmt::format("ranks {}", fmt::join(result.team, " "));
        spdlog::info("[{}/{}] {} ({:.1f} s, {})", ++done_, plan_.tasks().size(), description(task), result.seconds,
                     ranks);
    }
    journal_.append(record);
    records_[result.key] = record;
}

void RunFolder::sync() {
    journal_.sync();
    // Only now is it certain that a training need not go on from its checkpoint.
    std::error_code ignored;
    for (auto const& key : ended_) fs::remove(checkpoint_folder(folder_) / key, ignored);
    ended_.clear();
}

std::string RunFolder::publish() {
    sync();
    lease_.check();
    write_atomically(folder_ / "plan.json", plan_.json().dump(1) + "\n");
    return write_results(folder_, plan_, artifacts_, records_, frozen_, folder_ / "report.html");
}

std::string write_results(fs::path const& folder, plan::Plan const& plan, store::Artifacts const& artifacts,
                          task::Records const& records, std::string const& frozen, fs::path const& report) {
    auto const cells = task::score_cells(plan, artifacts);
    store::write_results(folder / "results.h5", task::collect(plan, cells, records, frozen));
    write_atomically(report, task::report_html(plan, cells, records, frozen));
    return task::grids_as_text(plan, cells);
}

}  // namespace samner::app
