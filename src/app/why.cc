#include "app/why.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/differences.h"
#include "core/error.h"

namespace samner::app {

Why::Why(plan::Plan const& plan, report::Records const& records, store::Artifacts const* artifacts)
    : plan_{plan}, records_{records} {
    bool const done = std::ranges::all_of(plan.tasks(), [&](auto const& task) { return plan.is_done(task.first); });
    if (!artifacts || done) return;
    for (auto const& key : artifacts->recorded()) {
        auto const text = artifacts->record(key);
        auto const json = text ? Json::parse(*text, nullptr, false) : Json{};
        if (!json.is_object() || !json.contains("identity") || !artifacts->has(key)) continue;
        known_[json.value("task", "")].push_back({key, json.value("label", ""), json["identity"].flatten()});
    }
}

std::string Why::only(std::string const& beginning) const {
    std::vector<std::string> found;
    for (auto at = plan_.tasks().lower_bound(beginning); at != plan_.tasks().end(); ++at) {
        if (!at->first.starts_with(beginning)) break;
        found.push_back(at->first);
    }
    if (found.size() == 1) return found.front();
    throw InputError{fmt::format("{} tasks of this plan have a key that begins with '{}'", found.size(), beginning),
                     found.empty() ? "`samner plan --json` lists all; tasks that depend on an open selection are not "
                                     "known yet"
                                   : "give more of it"};
}

Why::Nearest Why::nearest_to(work::Task const& task) const {
    Nearest nearest;
    auto const found = known_.find(std::string{work::kind_of(task)});
    if (found == known_.end()) return nearest;
    auto const identity = work::identity_of(task).flatten();
    for (auto const& known : found->second) {
        auto differing = differing_members(identity, known.identity);
        if (nearest.task && differing.size() >= nearest.differing.size()) continue;
        nearest = {&known, std::move(differing)};
    }
    return nearest;
}

std::string Why::reason_of(std::string const& key) const {
    auto const& [task, after] = plan_.task(key);
    auto const record = records_.find(key);
    if (record != records_.end())
        return record->second.ok ? "its artifact is missing or was altered" : "failed: " + record->second.error;
    auto const left = std::ranges::count_if(after, [&](auto const& before) { return !plan_.is_done(before); });
    if (left > 0) return "waits for others";
    auto const nearest = nearest_to(task);
    if (!nearest.task) return "is the first of its kind";
    std::vector<std::string> names;
    for (auto const& path : nearest.differing) names.push_back(work::member_name(path));
    constexpr std::size_t shown = 4;
    return fmt::format("is new: differs from what is there in {}", fmt::join(first_of(std::move(names), shown), ", "));
}

std::string Why::value_text(Json const& identity, std::string const& path) const {
    if (!identity.contains(path)) return "nothing";
    auto const& value = identity.at(path);
    if (!value.is_string()) return value.dump();
    auto const text = value.get<std::string>();
    auto const found = plan_.tasks().find(text);  // the key of an input
    if (found != plan_.tasks().end())
        return fmt::format("{} ({})", text.substr(0, 12), work::label_of(found->second.task));
    return text.size() == 64 ? text.substr(0, 12) : text;
}

std::string Why::text_of(std::string const& beginning) const {
    auto const key = only(beginning);
    auto const& [task, after] = plan_.task(key);
    auto text = fmt::format("{} {}\n", work::label_of(task), key);
    if (plan_.is_done(key)) {
        auto const& record = records_.at(key);
        return text + fmt::format("  is done: {} in {:.1f} s, SHA-256 {}\n", record.reused ? "reused, made" : "made",
                                  record.seconds, record.sha256);
    }
    text += fmt::format("  {}\n", reason_of(key));
    for (auto const& before : after) {
        if (!plan_.is_done(before))
            text += fmt::format("  waits for {} {:.12}\n", work::label_of(plan_.task(before).task), before);
    }
    auto const nearest = nearest_to(task);
    if (!nearest.task) return text;
    auto const identity = work::identity_of(task).flatten();
    text += fmt::format("  nearest that is there: {} {:.12}; what differs (there, here):\n", nearest.task->label,
                        nearest.task->key);
    for (auto const& path : nearest.differing) {
        text += fmt::format("    {}: {}, {}\n", work::member_name(path), value_text(nearest.task->identity, path),
                            value_text(identity, path));
    }
    return text;
}

std::string Why::summary() const {
    std::map<std::string, std::map<std::string, int>> counts;  // by kind and reason
    for (auto const& [key, planned] : plan_.tasks()) {
        if (!plan_.is_done(key)) ++counts[std::string{work::kind_of(planned.task)}][reason_of(key)];
    }
    std::string text;
    for (auto const& [kind, reasons] : counts) {
        for (auto const& [reason, count] : reasons) text += fmt::format("  {:<8} {:>6}: {}\n", kind, count, reason);
    }
    return text.empty() ? text : "not done:\n" + text;
}

}  // namespace samner::app
