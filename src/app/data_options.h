#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.h"
#include "corpus/dataset.h"
#include "corpus/fetch.h"

namespace samner::app {

/// What the verbs of `samner data` have in common.
struct DataOptions {
    std::filesystem::path root;
    std::vector<std::string> folders{"configs/data"};
    std::vector<std::string> datasets;                                      ///< empty: all
    std::filesystem::path table = "experiments/paper/values/table11.yaml";  ///< the paper's Table 11, for stats
    bool json = false;
    corpus::FetchOptions fetch;

    corpus::Catalogue catalogue() const { return corpus::Catalogue{{folders.begin(), folders.end()}}; }
    std::filesystem::path data() const;  ///< the root, or SAMNER_DATA
};

void verify(DataOptions const& options, ExitCode& code);
void fetch(DataOptions const& options, ExitCode& code);

}  // namespace samner::app
