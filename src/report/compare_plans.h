#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plan/planner.h"
#include "report/view.h"

namespace samner::report {

/// The tasks of a kind that two runs have.
struct KindComparison {
    std::string kind;
    std::int64_t equal = 0;  ///< with equal keys and equal results
    std::int64_t other = 0;  ///< with equal keys and other results: where they were computed should not matter
    std::int64_t open = 0;   ///< with equal keys, and not done in both
    std::int64_t only_a = 0;
    std::int64_t only_b = 0;
};

/// A task of both runs whose results differ.
struct OtherResult {
    std::string key;
    std::string label;
    std::string a;  ///< SHA-256
    std::string b;
};

/// A part of tasks' identities that differs, with its values in a and in b, each pair once.
struct MemberDifference {
    std::string name;                                         ///< work::member_name without places in lists
    std::vector<std::pair<std::string, std::string>> values;  ///< for people; `nothing` where it is not there
};

/// Tasks of one kind that only one run has, and that differ in the same from the nearest task of the other run.
struct Reason {
    std::string kind;
    std::int64_t only_a = 0;
    std::int64_t only_b = 0;
    /// In what they differ by themselves; empty: in nothing but what they read, or the other run has none of the kind.
    std::vector<MemberDifference> members = {};
    std::set<std::string> reads = {};  ///< where `members` is empty, the members that name what they read
};

/// How the tasks of two runs stand to each other.
struct PlanComparison {
    std::vector<KindComparison> kinds;
    std::vector<OtherResult> others = {};
    std::vector<Reason> reasons = {};  ///< by kind; those of most tasks first
};

/// @param a  a run's plan, as far as its selections are known, and what is recorded of it
PlanComparison compare_plans(plan::Plan const& a, Records const& records_a, plan::Plan const& b,
                             Records const& records_b);

}  // namespace samner::report
