#include "app/present.h"

#include <fmt/format.h>

#include "app/run_folder.h"
#include "core/error.h"
#include "core/hash_memory.h"
#include "plan/run_file.h"
#include "task/inputs.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// A run folder's plan with what is done, from its frozen configuration.
plan::Plan plan_of(fs::path const& folder, report::Records& records, store::Artifacts const& artifacts) {
    auto frozen = plan::load_frozen(folder / "experiment.yaml");
    HashMemory hashes{HashMemory::default_file()};
    auto inputs = task::examine_inputs(frozen.experiments, frozen.run, hashes.hasher());
    if (frozen.arithmetic) {  // that of the run, wherever it is looked at
        inputs.arithmetic = frozen.arithmetic->model;
        inputs.of_encoder = frozen.arithmetic->encoder;
    }
    plan::Plan plan{frozen.experiments, frozen.run, inputs};
    settle_known(plan, records, {.artifacts = artifacts, .from_store = false});
    return plan;
}

store::Replay checked(fs::path const& folder) {
    if (!fs::exists(folder / "experiment.yaml"))
        throw InputError{fmt::format("'{}' is no run folder: it has no experiment.yaml", folder.string())};
    check_store(folder, {});
    return read_journal(folder);
}

}  // namespace

Present::Present(fs::path const& folder)
    : replay{checked(folder)},
      records{work::task_records(replay.records)},
      artifacts{folder / "artifacts"},
      plan{plan_of(folder, records, artifacts)} {}

report::View Present::view() const {
    auto const& run = plan.run();
    return report::view_of(plan, records, artifacts, {run.datasets.begin(), run.datasets.end()}, run.data, {}, {});
}

Provenance provenance_in(store::Replay const& replay) {
    Provenance provenance;
    for (auto const& record : replay.records) {
        if (record.value("kind", Json{}) != "provenance") continue;
        provenance.clear();
        auto const told = record.value("provenance", Json::object());
        for (auto const& [name, text] : told.items())
            provenance.emplace_back(name, text.is_string() ? text.get<std::string>() : text.dump());
    }
    return provenance;
}

}  // namespace samner::app
