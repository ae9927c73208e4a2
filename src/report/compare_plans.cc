#include "report/compare_plans.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "core/differences.h"
#include "core/hash.h"
#include "core/json.h"
#include "work/task.h"

namespace samner::report {
namespace {

/// A task with all that others are looked for by.
struct Candidate {
    std::string key;
    std::string label;
    Json identity;                  ///< flattened
    std::set<std::string> places;   ///< rows on targets that use it
    std::set<std::string> targets;  ///< of these
    bool shared = false;            ///< both runs have it
};

/// Tasks by kind.
using Candidates = std::map<std::string, std::vector<Candidate>>;

/// The rows on targets, and the targets, that use each task directly or as the adapter of a pass.
struct Uses {
    std::map<std::string, std::set<std::string>> places;
    std::map<std::string, std::set<std::string>> targets;
};

Uses uses_of(plan::Plan const& plan) {
    Uses uses;
    for (auto const& cell : plan.cells()) {
        auto const place = fmt::format("{}/{}/{}", cell.experiment, cell.system, cell.target);
        auto const add = [&](std::string const& key) {
            uses.places[key].insert(place);
            uses.targets[key].insert(cell.target);
        };
        std::ranges::for_each(cell.selections, add);
        for (auto const& key : cell.answer.keys()) {
            add(key);
            auto const* const infer = std::get_if<work::Infer>(&plan.task(key).task);
            if (infer && infer->adapter) add(infer->adapter->key);
            if (!infer || !infer->delta) continue;
            for (auto const& adapter : infer->delta->adapters) add(adapter.key);
        }
    }
    return uses;
}

Candidates candidates_of(plan::Plan const& plan, plan::Plan const& other) {
    Candidates candidates;
    auto const uses = uses_of(plan);
    auto const of = [](auto const& all, std::string const& key) {
        auto const found = all.find(key);
        return found == all.end() ? std::set<std::string>{} : found->second;
    };
    for (auto const& [key, planned] : plan.tasks()) {
        candidates[std::string{work::kind_of(planned.task)}].push_back(
            {key, work::label_of(planned.task), work::identity_of(planned.task).flatten(), of(uses.places, key),
             of(uses.targets, key), other.tasks().contains(key)});
    }
    return candidates;
}

bool meet(std::set<std::string> const& one, std::set<std::string> const& other) {
    return std::ranges::any_of(one, [&](std::string const& item) { return other.contains(item); });
}

Json const* value_at(Json const& identity, std::string const& path) {
    auto const found = identity.find(path);
    return found == identity.end() ? nullptr : &*found;
}

/// The task whose key a value is.
work::Task const* task_of(plan::Plan const& plan, Json const* value) {
    if (!value || !value->is_string()) return nullptr;
    auto const found = plan.tasks().find(value->get_ref<std::string const&>());
    return found == plan.tasks().end() ? nullptr : &found->second.task;
}

/// A member's name without the places in lists: texts.sources.0.sha256 is texts.sources.sha256.
std::string without_places(std::string const& name) {
    std::string text;
    std::size_t at = 0;
    while (at <= name.size()) {
        auto const end = std::min(name.find('.', at), name.size());
        auto const part = name.substr(at, end - at);
        bool const place = !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
        if (!place) text += (text.empty() ? "" : ".") + part;
        at = end + 1;
    }
    return text;
}

std::string text_of(plan::Plan const& plan, Json const* value) {
    if (!value || value->is_null()) return "nothing";
    if (auto const* const task = task_of(plan, value)) return work::label_of(*task);
    if (!value->is_string()) return value->dump();
    auto const text = value->get<std::string>();
    constexpr std::size_t hash = 64;
    constexpr std::size_t shown = 12;
    return text.size() == hash ? text.substr(0, shown) : text;
}

/// In what a task of one run differs from one of the other. What they read is told apart by its labels, in whatever
/// order: other tasks with equal labels have a reason of their own. @param paths  in their identities
Reason reason_of(plan::Plan const& a, Json const& in_a, plan::Plan const& b, Json const& in_b,
                 std::vector<std::string> const& paths) {
    Reason reason;
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> members;
    struct Read {
        std::vector<std::string> a, b;  ///< labels
    };
    std::map<std::string, Read> reads;
    for (auto const& path : paths) {
        auto const name = without_places(work::member_name(path));
        auto const* const of_a = value_at(in_a, path);
        auto const* const of_b = value_at(in_b, path);
        if (!task_of(a, of_a) && !task_of(b, of_b)) {
            members[name].emplace_back(text_of(a, of_a), text_of(b, of_b));
            continue;
        }
        if (of_a && !of_a->is_null()) reads[name].a.push_back(text_of(a, of_a));
        if (of_b && !of_b->is_null()) reads[name].b.push_back(text_of(b, of_b));
    }
    for (auto& [name, read] : reads) {
        std::erase_if(read.a, [&labels = read.b](std::string const& label) {
            auto const found = std::ranges::find(labels, label);
            if (found == labels.end()) return false;
            labels.erase(found);
            return true;
        });
        if (read.a.empty() && read.b.empty()) reason.reads.insert(name);
        for (std::size_t i = 0; i < std::max(read.a.size(), read.b.size()); ++i) {
            members[name].emplace_back(i < read.a.size() ? read.a[i] : "nothing",
                                       i < read.b.size() ? read.b[i] : "nothing");
        }
    }
    for (auto& [name, values] : members) reason.members.push_back({name, std::move(values)});
    if (!reason.members.empty()) reason.reads.clear();
    return reason;
}

/// The candidates of a kind, found by label, place and target.
class Index {
public:
    /// @param plan  that they are of
    Index(plan::Plan const& plan, std::vector<Candidate> const& all) : plan_{plan}, all_{all} {
        for (auto const& candidate : all) {
            by_label_[candidate.label].push_back(&candidate);
            for (auto const& place : candidate.places) by_place_[place].push_back(&candidate);
            for (auto const& target : candidate.targets) by_target_[target].push_back(&candidate);
        }
    }

    struct Nearest {
        Candidate const* task = nullptr;
        std::vector<std::string> differing;  ///< paths
        std::size_t own = 0;                 ///< of these, that do not name what the tasks read
    };
    /// Of the candidates with the label of a task, else on a place of it, else on a target of it, else of all, the one
    /// that differs in the fewest parts.
    /// @param plan  that the task is of
    Nearest nearest_to(plan::Plan const& plan, Candidate const& task) const {
        Nearest nearest;
        auto const rank = [&](Nearest const& one) {
            return std::tuple{one.own, one.differing.size(), !meet(task.places, one.task->places), one.task->shared};
        };
        std::set<Candidate const*> seen;
        auto const look = [&](std::vector<Candidate const*> const& some) {
            for (auto const* const candidate : some) {
                if (!seen.insert(candidate).second) continue;
                Nearest found{candidate, differing_members(task.identity, candidate->identity)};
                auto const reason = reason_of(plan, task.identity, plan_, candidate->identity, found.differing);
                for (auto const& member : reason.members) found.own += member.values.size();
                if (!nearest.task || rank(found) < rank(nearest)) nearest = std::move(found);
            }
        };
        auto const look_by = [&](auto const& index, auto const& names) {
            for (auto const& name : names) {
                auto const found = index.find(name);
                if (found != index.end()) look(found->second);
            }
        };
        look_by(by_label_, std::set{task.label});
        if (!nearest.task) look_by(by_place_, task.places);
        if (!nearest.task) look_by(by_target_, task.targets);
        if (nearest.task) return nearest;
        std::vector<Candidate const*> all;
        for (auto const& candidate : all_) all.push_back(&candidate);
        look(all);
        return nearest;
    }

private:
    using Lists = std::map<std::string, std::vector<Candidate const*>>;
    plan::Plan const& plan_;
    std::vector<Candidate> const& all_;
    Lists by_label_;
    Lists by_place_;
    Lists by_target_;
};

/// Puts a reason with those that differ in the same members.
void add(std::map<std::string, Reason>& reasons, Reason reason) {
    std::string name;
    for (auto const& member : reason.members) name += member.name + "\n";
    for (auto const& member : reason.reads) name += "reads " + member + "\n";
    auto const [found, added] = reasons.try_emplace(name, reason);
    auto& all = found->second;
    if (!added) {
        all.only_a += reason.only_a;
        all.only_b += reason.only_b;
    }
    for (std::size_t i = 0; i < all.members.size(); ++i) {
        auto& values = all.members[i].values;
        if (added) values.clear();
        for (auto const& pair : reason.members[i].values) {
            if (std::ranges::find(values, pair) == values.end()) values.push_back(pair);
        }
    }
}

/// What a task left: its hash or, where it left no artifact, that of its result. Nothing while it is not done.
std::optional<std::string> left_by(Records const& records, std::string const& key) {
    auto const found = records.find(key);
    if (found == records.end() || !found->second.ok) return std::nullopt;
    auto const& record = found->second;
    if (!record.sha256.empty()) return record.sha256;
    return record.result ? sha256(work::seal(*record.result)) : "";
}

}  // namespace

PlanComparison compare_plans(plan::Plan const& a, Records const& records_a, plan::Plan const& b,
                             Records const& records_b) {
    PlanComparison result;
    auto const in_a = candidates_of(a, b);
    auto const in_b = candidates_of(b, a);
    std::set<std::string> kinds;
    for (auto const* const side : {&in_a, &in_b})
        for (auto const& [kind, tasks] : *side) kinds.insert(kind);
    static std::vector<Candidate> const none;
    for (auto const& kind : kinds) {
        auto const tasks = [&](Candidates const& side) -> std::vector<Candidate> const& {
            auto const found = side.find(kind);
            return found == side.end() ? none : found->second;
        };
        auto const& tasks_a = tasks(in_a);
        auto const& tasks_b = tasks(in_b);
        Index const index_a{a, tasks_a};
        Index const index_b{b, tasks_b};
        auto& counts = result.kinds.emplace_back(KindComparison{kind});
        std::map<std::string, Reason> reasons;
        for (auto const& task : tasks_a) {
            if (task.shared) {
                auto const left_a = left_by(records_a, task.key);
                auto const left_b = left_by(records_b, task.key);
                if (!left_a || !left_b) {
                    ++counts.open;
                } else if (*left_a == *left_b) {
                    ++counts.equal;
                } else {
                    ++counts.other;
                    result.others.push_back({task.key, task.label, *left_a, *left_b});
                }
                continue;
            }
            ++counts.only_a;
            auto const nearest = index_b.nearest_to(a, task);
            auto reason =
                nearest.task ? reason_of(a, task.identity, b, nearest.task->identity, nearest.differing) : Reason{};
            reason.only_a = 1;
            add(reasons, std::move(reason));
        }
        for (auto const& task : tasks_b) {
            if (task.shared) continue;
            ++counts.only_b;
            auto const nearest = index_a.nearest_to(b, task);
            auto reason =
                nearest.task ? reason_of(a, nearest.task->identity, b, task.identity, nearest.differing) : Reason{};
            reason.only_b = 1;
            add(reasons, std::move(reason));
        }
        std::vector<Reason> sorted;
        for (auto& [name, reason] : reasons) {
            reason.kind = kind;
            sorted.push_back(std::move(reason));
        }
        std::ranges::stable_sort(sorted, std::greater{},
                                 [](Reason const& reason) { return reason.only_a + reason.only_b; });
        for (auto& reason : sorted) result.reasons.push_back(std::move(reason));
    }
    return result;
}

}  // namespace samner::report
