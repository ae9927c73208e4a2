#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace samner::store {

enum class CellStatus : std::int8_t { done, pending, failed, excluded, published, empty_set, no_gold };
std::string_view status_name(CellStatus status);

/// The F1 values of one experiment.
struct Grid {
    std::string experiment;
    std::vector<std::string> targets;
    std::vector<std::string> systems;
    std::vector<std::int64_t> seeds;
    std::vector<double> f1;          ///< row-major [target, system, seed], in [0, 1], NaN = no value
    std::vector<CellStatus> status;  ///< same shape
};

/// One column of a tidy table.
struct Column {
    std::string name;
    std::string units;  ///< "" when there is none; then long_name must be given
    std::string long_name;
    std::variant<std::vector<std::int64_t>, std::vector<std::int32_t>, std::vector<double>, std::vector<float>,
                 std::vector<std::string>>
        values;
    std::size_t width = 1;  ///< values of a row; more than one make the dataset [rows, width], row-major
};

/// Columns of equal numbers of rows under one group, e.g. "cells" or "cost".
struct Table {
    std::string group;  ///< without a leading slash, may hold slashes
    std::vector<Column> columns;
};

/// Everything in results.h5.
struct Results {
    std::vector<Grid> grids;                                      ///< /tables/<experiment>
    std::vector<Table> tables;                                    ///< /cells, /experts, /selection, /data, /cost …
    std::vector<std::pair<std::string, std::string>> provenance;  ///< /provenance/<name>, UTF-8 texts
};

/// Writes results.h5 (latest format version, chunked, numbers with fletcher32, which HDF5 refuses for texts, and
/// numbers of more than one chunk deflated where the library can): to a temporary file, which is closed, reopened,
/// compared value by value, forced to the disk and renamed. A reader sees the old file or the new one.
/// @throws InputError when shapes disagree, a name is no plain name or a column has neither units nor long_name;
///         StorageError when writing or the comparison fails
void write_results(std::filesystem::path const& path, Results const& results);

/// Reads a column of any group back, as written by write_results. @throws StorageError
std::vector<std::int64_t> read_int64(std::filesystem::path const& file, std::string const& dataset);
std::vector<std::int32_t> read_int32(std::filesystem::path const& file, std::string const& dataset);
std::vector<float> read_float(std::filesystem::path const& file, std::string const& dataset);
std::vector<double> read_double(std::filesystem::path const& file, std::string const& dataset);
std::vector<std::string> read_strings(std::filesystem::path const& file, std::string const& dataset);

/// The version of the HDF5 library, as 1.10.8.
std::string library_version();

}  // namespace samner::store
