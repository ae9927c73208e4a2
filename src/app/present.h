#pragma once

#include <filesystem>

#include "app/provenance.h"
#include "plan/planner.h"
#include "report/view.h"
#include "store/artifacts.h"
#include "store/journal.h"

namespace samner::app {

/// A run folder as its journal and its experiment say, to look at.
struct Present {
    /// @throws InputError when it is no run folder, or its store is gone
    explicit Present(std::filesystem::path const& folder);

    /// All that is told of the run, without configuration and provenance.
    report::View view() const;

    store::Replay replay;
    report::Records records;
    store::Artifacts artifacts;
    plan::Plan plan;
};

/// What the last session of a run recorded of itself; empty for a journal from before it was.
Provenance provenance_in(store::Replay const& replay);

}  // namespace samner::app
