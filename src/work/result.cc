#include "work/result.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/error.h"

namespace samner::work {
namespace {

constexpr auto place = "journal";

/// Whether a journal record of this kind says that a task is done. Journals of version 0.1 have `done` for `made`.
bool says_done(std::string_view kind) {
    return kind == "made" || kind == "reused" || kind == "done";
}

}  // namespace

bool says_ended(std::string_view kind) {
    return says_done(kind) || kind == "failed";
}

std::string seal(Result const& result) {
    return to_text(to_wire(result));
}

Result open_result(std::string_view sealed) {
    return from_wire<Result>(parse_json(sealed, "a task's result"), "result", "a task's result");
}

Json to_journal(Started const& started) {
    auto json = to_wire(started);
    json["kind"] = "started";
    return json;
}

std::map<std::string, Started> started_tasks(std::vector<Json> const& journal) {
    std::map<std::string, Started> open;
    for (auto const& json : journal) {
        try {
            auto const kind = member<std::string>(json, "kind", place);
            if (says_ended(kind)) open.erase(member<std::string>(json, "key", place));
            if (kind != "started") continue;
            Started started;
            started.key = member<std::string>(json, "key", place);
            started.kind = member<std::string>(json, "task", place);
            // A journal from before teams were always named has the rank.
            started.team = json.contains("team") ? member<std::vector<int>>(json, "team", place)
                                                 : std::vector{member<int>(json, "rank", place)};
            if (json.contains("label")) started.label = member<std::string>(json, "label", place);
            open[started.key] = std::move(started);
        } catch (InputError const& error) {
            spdlog::warn("a journal record is left out: {}", error.what());
        }
    }
    return open;
}

Json to_journal(TaskRecord const& record) {
    Json json{{"kind", !record.ok      ? "failed"
                       : record.reused ? "reused"
                                       : "made"},
              {"key", record.key},
              {"task", record.kind},
              {"sha256", record.sha256},
              {"result", nullptr},
              {"seconds", record.seconds},
              {"bytes", record.bytes},
              {"rank", record.rank}};
    if (record.result) {
        json["result"] = to_wire(*record.result);
        json["result"].erase("kind");  // it is the task's
    }
    if (!record.team.empty()) json["team"] = record.team;
    if (!record.label.empty()) json["label"] = record.label;
    if (record.ended) json["ended"] = *record.ended;
    if (!record.ok) json["error"] = record.error;
    return json;
}

std::optional<TaskRecord> from_journal(Json const& json) {
    auto const kind = member<std::string>(json, "kind", place);
    if (!says_ended(kind)) return std::nullopt;
    TaskRecord record;
    record.ok = says_done(kind);
    record.reused = kind == "reused";
    record.key = member<std::string>(json, "key", place);
    record.kind = member<std::string>(json, "task", place);
    record.sha256 = member<std::string>(json, "sha256", place);
    record.seconds = member<double>(json, "seconds", place);
    if (json.contains("bytes")) record.bytes = member<std::int64_t>(json, "bytes", place);
    record.rank = member<int>(json, "rank", place);
    if (json.contains("team")) record.team = member<std::vector<int>>(json, "team", place);
    if (json.contains("label")) record.label = member<std::string>(json, "label", place);
    if (json.contains("ended")) record.ended = member<double>(json, "ended", place);
    if (json.contains("error")) record.error = member<std::string>(json, "error", place);
    if (record.ok) {
        auto result = json.value("result", Json{});
        if (!result.is_object())
            throw InputError{fmt::format("task {} is done without a result ({})", record.key, place)};
        result["kind"] = record.kind;
        record.result = from_wire<Result>(result, "result", place);
    }
    return record;
}

std::map<std::string, TaskRecord> task_records(std::vector<Json> const& journal) {
    std::map<std::string, TaskRecord> records;
    for (auto const& line : journal) {
        try {
            if (auto record = from_journal(line)) records[record->key] = std::move(*record);
        } catch (InputError const& error) {
            spdlog::warn("a journal record is left out: {}", error.what());
        }
    }
    return records;
}

}  // namespace samner::work
