#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "corpus/dataset.h"

namespace samner::corpus {

/// A row of the paper's Table 11.
struct PrintedCounts {
    std::string id;
    std::string domain;
    std::int64_t types = 0;
    std::int64_t train = 0;
    std::int64_t dev = 0;
    std::int64_t test = 0;
    std::int64_t sampled = 0;  ///< instances used for training
};

/// The paper's Table 11, and the domains' sizes that it follows from (experiments/paper/values/table11.yaml).
struct PrintedTable {
    std::map<std::string, std::int64_t> quotas;  ///< by domain
    std::vector<PrintedCounts> rows;             ///< as printed, domain by domain
};

/// @throws InputError with file, line and column
PrintedTable read_printed_table(std::filesystem::path const& path);

/// What there is of a printed row: its own corpus or one that stands in for it.
struct PresentCounts {
    std::string id;
    std::string domain;                             ///< of the printed row
    std::vector<std::string> stands_for;            ///< ids of printed rows; its own when it is that corpus
    std::int64_t types = 0;                         ///< that are asked for
    std::map<std::string, std::int64_t> sentences;  ///< of each split whose files are there
    std::int64_t sampled = 0;  ///< its share of the domain's quota among the corpora that are there
};

/// Table 11 of the corpora under a folder, in the order of the printed one: each printed corpus that is there, and for
/// the others those that stand in for them, each once. Rows without either are left out.
/// @param sentences  of a data set's split, whose files are all there
std::vector<PresentCounts> present_table(
    Catalogue const& catalogue, std::filesystem::path const& root, PrintedTable const& printed,
    std::function<std::int64_t(Dataset const&, std::string const& split)> const& sentences);

}  // namespace samner::corpus
