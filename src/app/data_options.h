#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/output.h"
#include "core/error.h"
#include "corpus/dataset.h"
#include "corpus/fetch.h"

namespace samner::app {

/// What the verbs of `samner data` have in common.
struct DataOptions {
    std::filesystem::path root;
    std::vector<std::string> folders;   ///< of descriptions, beside those that come with samner
    std::vector<std::string> datasets;  ///< empty: all
    std::filesystem::path table;        ///< the paper's Table 11, for stats; empty: the one that comes with samner
    bool json = false;
    corpus::FetchOptions fetch;

    corpus::Catalogue catalogue() const;  ///< also warns of what the folders replace
    std::filesystem::path data() const;  ///< the root, or SAMNER_DATA
};

/// What `samner data export` writes: the prompts of an expert that is trained on the data sets, or their texts or gold.
struct ExportOptions {
    DataOptions data;
    std::string as;
    bool has_prompt_options = false;  ///< one of those below but `count` is given
    std::string samples = "10000";    ///< a number, or auto; as experts.X.samples of a run file
    double keep_empty = 0.1;
    std::int64_t count = 0;  ///< only the first so many; 0: all
    std::uint64_t seed = 0;
    std::string parts = "none";  ///< none, paper, or a map of rates in YAML
    std::string layout;          ///< empty: full; of prompts without parts
    std::string format;          ///< empty: json; likewise
    Output out;
};

void export_data(ExportOptions const& options);
void verify(DataOptions const& options, ExitCode& code);
void fetch(DataOptions const& options, ExitCode& code);

}  // namespace samner::app
