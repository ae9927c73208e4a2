#include "store/results.h"

#include <fmt/format.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "core/file.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

/// What HDF5 says of its last error, at the innermost of its functions; empty: nothing.
std::string last_error() {
    std::string text;
    auto const visit = [](unsigned, H5E_error2_t const* error, void* into) -> herr_t {
        if (error->desc != nullptr) *static_cast<std::string*>(into) = error->desc;
        return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, visit, &text);
    return text;
}

template <class T>
T checked(T result, std::string_view action) {
    if (result >= 0) return result;
    auto const why = last_error();
    bool const locks = why.find("lock") != std::string::npos;
    throw StorageError{fmt::format("HDF5 cannot {}{}{}", action, why.empty() ? "" : ": ", why),
                       locks ? "set HDF5_USE_FILE_LOCKING=FALSE and give the command again: the file needs no lock"
                             : "check free space and permissions, and give the command again"};
}

/// An HDF5 handle that closes itself.
template <herr_t (*close_handle)(hid_t)>
class H5Id {
public:
    H5Id(hid_t value, std::string_view action) : value_{checked(value, action)} {}
    H5Id(H5Id const&) = delete;
    H5Id& operator=(H5Id const&) = delete;
    ~H5Id() {
        if (value_ >= 0) close_handle(value_);
    }
    operator hid_t() const { return value_; }

    /// Closes now and checks it: data may be written only here.
    void close(std::string_view action) { checked(close_handle(std::exchange(value_, -1)), action); }

private:
    hid_t value_;
};
using H5File = H5Id<&H5Fclose>;
using H5Dataset = H5Id<&H5Dclose>;
using H5Space = H5Id<&H5Sclose>;
using H5Type = H5Id<&H5Tclose>;
using H5Properties = H5Id<&H5Pclose>;
using H5Attribute = H5Id<&H5Aclose>;

using Values = decltype(Column::values);

hid_t string_type() {
    hid_t const type = checked(H5Tcopy(H5T_C_S1), "make a string type");
    checked(H5Tset_size(type, H5T_VARIABLE), "make a string type");
    checked(H5Tset_cset(type, H5T_CSET_UTF8), "make a string type");
    return type;
}

void write_attribute(hid_t object, char const* name, std::string const& text) {
    H5Type const type{string_type(), "make a string type"};
    H5Space const space{H5Screate(H5S_SCALAR), "make a scalar"};
    H5Attribute const attribute{H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), "write an attribute"};
    char const* const data = text.c_str();
    checked(H5Awrite(attribute, type, &data), "write an attribute");
}

struct Labels {
    std::string units, long_name;
};

void require_c_string(std::string const& text, std::string const& name) {
    if (text.find('\0') != std::string::npos) {
        throw InputError{fmt::format("a value of {} holds a NUL character", name), "HDF5 texts cannot hold one"};
    }
}

hid_t create_dataset(hid_t file, std::string const& name, hid_t type, std::vector<hsize_t> const& shape,
                     Labels const& labels) {
    H5Properties const link{H5Pcreate(H5P_LINK_CREATE), "make properties"};
    checked(H5Pset_create_intermediate_group(link, 1), "make properties");
    H5Properties const layout{H5Pcreate(H5P_DATASET_CREATE), "make properties"};
    auto const rank = static_cast<int>(shape.size());
    // A chunk holds at most 64 Ki values; the last axes are kept whole as long as they fit.
    std::vector<hsize_t> chunk(shape.size());
    constexpr hsize_t most = 65'536;
    hsize_t left = most;
    for (auto axis = shape.size(); axis-- > 0;) {
        chunk[axis] = std::clamp<hsize_t>(shape[axis], 1, std::max<hsize_t>(left, 1));
        left /= chunk[axis];
    }
    checked(H5Pset_chunk(layout, rank, chunk.data()), "set chunks");
    bool const is_text = H5Tget_class(type) == H5T_STRING;
    auto const size = std::accumulate(shape.begin(), shape.end(), hsize_t{1}, std::multiplies{});
    if (!is_text && size > most && H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
        checked(H5Pset_shuffle(layout), "set compression");
        checked(H5Pset_deflate(layout, 4), "set compression");
    }
    // HDF5 1.10 refuses checksums on variable-length texts (their bytes lie in a heap that filters do not see).
    if (!is_text) checked(H5Pset_fletcher32(layout), "set checksums");
    H5Space const space{H5Screate_simple(rank, shape.data(), nullptr), "make a shape"};
    auto const action = fmt::format("create {}", name);
    hid_t const set = checked(H5Dcreate2(file, name.c_str(), type, space, link, layout, H5P_DEFAULT), action);
    if (!labels.units.empty()) write_attribute(set, "units", labels.units);
    if (!labels.long_name.empty()) write_attribute(set, "long_name", labels.long_name);
    return set;
}

/// What HDF5 is given for a vector of values.
struct Raw {
    hid_t type;
    void const* data;
    std::vector<char const*> pointers;
};

template <class T>
hid_t number_type() {
    if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
    if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
    if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
}

/// Visits the numbers of a column: visit(vector). @return whether it has numbers, and no texts
template <class Visit>
bool visit_numbers(Values const& values, Visit const& visit) {
    return std::visit(
        [&](auto const& list) {
            constexpr bool is_text = std::is_same_v<std::decay_t<decltype(list)>, std::vector<std::string>>;
            if constexpr (!is_text) visit(list);
            return !is_text;
        },
        values);
}

Raw raw(Values const& values, hid_t text_type, std::string const& name) {
    Raw numbers{};
    auto const visit = [&]<class T>(std::vector<T> const& list) { numbers = {number_type<T>(), list.data(), {}}; };
    if (visit_numbers(values, visit)) return numbers;
    Raw result{text_type, nullptr, {}};
    for (auto const& text : std::get<std::vector<std::string>>(values)) {
        require_c_string(text, name);
        result.pointers.push_back(text.c_str());
    }
    return result;
}

std::size_t count(Values const& values) {
    return std::visit([](auto const& list) { return list.size(); }, values);
}

void write_values(hid_t file, std::string const& name, Values const& values, std::vector<hsize_t> const& shape,
                  Labels const& labels) {
    H5Type const text{string_type(), "make a string type"};
    auto const source = raw(values, text, name);
    H5Dataset set{create_dataset(file, name, source.type, shape, labels), name};
    if (count(values) > 0) {
        void const* const data = source.data != nullptr ? source.data : source.pointers.data();
        checked(H5Dwrite(set, source.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), fmt::format("write {}", name));
    }
    set.close(fmt::format("close {}", name));
}

std::size_t size_of(hid_t set, std::string const& name) {
    H5Space const space{H5Dget_space(set), name};
    return static_cast<std::size_t>(checked(H5Sget_simple_extent_npoints(space), fmt::format("read {}", name)));
}

template <class T>
std::vector<T> read_numbers(hid_t file, std::string const& name) {
    H5Dataset const set{H5Dopen2(file, name.c_str(), H5P_DEFAULT), fmt::format("open {}", name)};
    std::vector<T> values(size_of(set, name));
    if (values.empty()) return values;
    checked(H5Dread(set, number_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), fmt::format("read {}", name));
    return values;
}

std::vector<std::string> read_texts(hid_t file, std::string const& name) {
    H5Dataset const set{H5Dopen2(file, name.c_str(), H5P_DEFAULT), fmt::format("open {}", name)};
    H5Type const type{string_type(), "make a string type"};
    H5Space const space{H5Dget_space(set), name};
    std::vector<char*> pointers(size_of(set, name), nullptr);
    if (pointers.empty()) return {};
    checked(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), fmt::format("read {}", name));
    std::vector<std::string> values;
    for (char const* text : pointers) values.emplace_back(text == nullptr ? "" : text);
    checked(H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data()), fmt::format("free {}", name));
    return values;
}

void verify_values(hid_t file, std::string const& name, Values const& expected) {
    bool same = false;
    auto const compare = [&]<class T>(std::vector<T> const& written) {  // NaN, too, has to be the same bits
        auto const found = read_numbers<T>(file, name);
        same = std::ranges::equal(std::as_bytes(std::span{found}), std::as_bytes(std::span{written}));
    };
    if (!visit_numbers(expected, compare))
        same = read_texts(file, name) == std::get<std::vector<std::string>>(expected);
    if (!same) throw StorageError{fmt::format("{} does not read back as it was written", name), "check the disk"};
}

/// A dataset to be: where it goes, what it holds, and which datasets are its axes.
struct Planned {
    std::string name;
    Values values;
    std::vector<hsize_t> shape;
    Labels labels;
    std::vector<std::string> axes;
    std::string scale;  ///< the name of the axis that this is, or ""
};

void require_name(std::string const& name) {
    if (name.empty() || name.front() == '/' || name.back() == '/' || name.find("//") != std::string::npos ||
        name.find('\0') != std::string::npos || name == "." || name == "..") {
        throw InputError{fmt::format("'{}' cannot name a group or dataset of results.h5", name)};
    }
}

void plan_grid(Grid const& grid, std::vector<Planned>& planned) {
    require_name(grid.experiment);
    auto const cells = grid.targets.size() * grid.systems.size() * grid.seeds.size();
    if (grid.f1.size() != cells || grid.status.size() != cells) {
        throw InputError{fmt::format("grid {} has {} targets, {} systems, {} seeds, but {} values and {} statuses",
                                     grid.experiment, grid.targets.size(), grid.systems.size(), grid.seeds.size(),
                                     grid.f1.size(), grid.status.size())};
    }
    std::vector<std::string> status;
    for (auto const value : grid.status) status.emplace_back(status_name(value));
    auto const group = "/tables/" + grid.experiment + "/";
    std::vector<hsize_t> const shape{grid.targets.size(), grid.systems.size(), grid.seeds.size()};
    std::vector<std::string> const axes{group + "target", group + "system", group + "seed"};
    planned.push_back({axes[0], grid.targets, {shape[0]}, {"", "target domain or corpus"}, {}, "target"});
    planned.push_back({axes[1], grid.systems, {shape[1]}, {"", "system"}, {}, "system"});
    planned.push_back({axes[2], grid.seeds, {shape[2]}, {"", "random seed"}, {}, "seed"});
    planned.push_back({group + "f1", grid.f1, shape, {"1", "entity micro-F1, a fraction"}, axes, ""});
    planned.push_back({group + "status", std::move(status), shape, {"", "state of the cell"}, axes, ""});
}

void plan_table(Table const& table, std::vector<Planned>& planned) {
    require_name(table.group);
    for (auto const& column : table.columns) {
        require_name(column.name);
        if (column.units.empty() && column.long_name.empty()) {
            throw InputError{fmt::format("column {}/{} has neither units nor long_name", table.group, column.name)};
        }
        auto const& first = table.columns.front();
        auto const rows = count(first.values) / first.width;
        if (column.width < 1 || count(column.values) != rows * column.width) {
            throw InputError{fmt::format("column {}/{} has {} values of {} a row, the first column {} rows",
                                         table.group, column.name, count(column.values), column.width, rows)};
        }
        std::vector<hsize_t> shape{rows};
        if (column.width > 1) shape.push_back(column.width);
        planned.push_back(
            {"/" + table.group + "/" + column.name, column.values, shape, {column.units, column.long_name}, {}, ""});
    }
}

std::vector<Planned> plan(Results const& results) {
    std::vector<Planned> planned;
    for (auto const& grid : results.grids) plan_grid(grid, planned);
    for (auto const& table : results.tables) plan_table(table, planned);
    for (auto const& [name, text] : results.provenance) {
        require_name(name);
        planned.push_back({"/provenance/" + name, std::vector<std::string>{text}, {1}, {"", name}, {}, ""});
    }
    std::set<std::string> seen;
    for (auto const& one : planned) {
        if (!seen.insert(one.name).second) throw InputError{fmt::format("{} is given twice", one.name)};
    }
    return planned;
}

void attach_axes(hid_t file, Planned const& one) {
    H5Dataset const set{H5Dopen2(file, one.name.c_str(), H5P_DEFAULT), fmt::format("open {}", one.name)};
    for (std::size_t axis = 0; axis < one.axes.size(); ++axis) {
        H5Dataset const scale{H5Dopen2(file, one.axes[axis].c_str(), H5P_DEFAULT),
                              fmt::format("open {}", one.axes[axis])};
        checked(H5DSattach_scale(set, scale, static_cast<unsigned>(axis)), fmt::format("attach {}", one.axes[axis]));
    }
}

/// Opens files without a lock, which some network file systems do not have. None is needed: a file is this process's
/// alone while it is written, and changes no more once it has its name.
void do_without_lock([[maybe_unused]] hid_t access) {
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    checked(H5Pset_file_locking(access, false, true), "do without file locks");
#endif
}

void write_file(fs::path const& path, std::vector<Planned> const& planned) {
    H5Properties const access{H5Pcreate(H5P_FILE_ACCESS), "make properties"};
    do_without_lock(access);
    checked(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "set the format version");
    H5File file{H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), fmt::format("create '{}'", path.string())};
    for (auto const& one : planned) {
        write_values(file, one.name, one.values, one.shape, one.labels);
        if (one.scale.empty()) continue;
        H5Dataset const set{H5Dopen2(file, one.name.c_str(), H5P_DEFAULT), fmt::format("open {}", one.name)};
        checked(H5DSset_scale(set, one.scale.c_str()), fmt::format("make {} a scale", one.name));
    }
    for (auto const& one : planned) attach_axes(file, one);
    checked(H5Fflush(file, H5F_SCOPE_GLOBAL), fmt::format("flush '{}'", path.string()));
    file.close(fmt::format("close '{}'", path.string()));
}

H5File open_file(fs::path const& path) {
    H5Properties const access{H5Pcreate(H5P_FILE_ACCESS), "make properties"};
    do_without_lock(access);
    return {H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), fmt::format("open '{}'", path.string())};
}

void verify_file(fs::path const& path, std::vector<Planned> const& planned) {
    auto const file = open_file(path);
    for (auto const& one : planned) verify_values(file, one.name, one.values);
}

/// HDF5 prints its error stack to stderr unless told otherwise; ours says what is needed.
void silence_hdf5() {
    checked(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), "set up error handling");
}

}  // namespace

std::string_view status_name(CellStatus status) {
    constexpr std::array<std::string_view, 7> names{"done",      "pending",   "failed", "excluded",
                                                    "published", "empty_set", "no_gold"};
    return names.at(static_cast<std::size_t>(status));
}

void write_results(fs::path const& path, Results const& results) {
    silence_hdf5();
    auto const planned = plan(results);
    auto const partial = partial_of(path);
    Unfinished unfinished{partial};
    write_file(partial, planned);
    verify_file(partial, planned);
    move_into_place(partial, path);
    unfinished.finish([] {});
}

namespace {

template <class T>
std::vector<T> read_dataset(fs::path const& path, std::string const& dataset) {
    silence_hdf5();
    auto const file = open_file(path);
    return read_numbers<T>(file, dataset);
}

}  // namespace

std::vector<std::int64_t> read_int64(fs::path const& path, std::string const& dataset) {
    return read_dataset<std::int64_t>(path, dataset);
}

std::vector<std::int32_t> read_int32(fs::path const& path, std::string const& dataset) {
    return read_dataset<std::int32_t>(path, dataset);
}

std::vector<float> read_float(fs::path const& path, std::string const& dataset) {
    return read_dataset<float>(path, dataset);
}

std::vector<double> read_double(fs::path const& path, std::string const& dataset) {
    return read_dataset<double>(path, dataset);
}

std::vector<std::string> read_strings(fs::path const& path, std::string const& dataset) {
    silence_hdf5();
    auto const file = open_file(path);
    return read_texts(file, dataset);
}

std::string library_version() {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;
    if (H5get_libversion(&major, &minor, &release) < 0) throw StorageError{"HDF5 does not tell its version"};
    return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace samner::store
