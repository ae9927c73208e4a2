#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "plan/planner.h"
#include "report/view.h"
#include "store/artifacts.h"

namespace samner::app {

/// Says why tasks of a plan are not done: by what they differ from the nearest task of their kind whose result is in
/// the store (work::identity_of), for what they wait, or how they failed.
class Why {
public:
    /// @param artifacts  null where there is no store yet
    Why(plan::Plan const& plan, report::Records const& records, store::Artifacts const* artifacts);

    /// All of it about a task, in lines. @param key  or its beginning
    /// @throws InputError when no task of the plan, or more than one, has such a key
    std::string text_of(std::string const& key) const;

    /// The reasons of all tasks that are not done, a line for those of one kind that have the same.
    std::string summary() const;

private:
    struct Known {
        std::string key;
        std::string label;
        Json identity;  ///< flattened
    };
    struct Nearest {
        Known const* task = nullptr;
        std::vector<std::string> differing;  ///< paths of the parts in which it differs
    };
    std::string only(std::string const& beginning) const;
    Nearest nearest_to(work::Task const& task) const;
    std::string reason_of(std::string const& key) const;
    std::string value_text(Json const& identity, std::string const& path) const;

    plan::Plan const& plan_;
    report::Records const& records_;
    std::map<std::string, std::vector<Known>> known_;  ///< by kind
};

}  // namespace samner::app
