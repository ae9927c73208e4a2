#include "store/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "temporary_folder.h"

namespace samner::store {
namespace {

Results example() {
    Grid const grid{"demo",
                    {"science", "politics"},
                    {"base", "sam"},
                    {1},
                    {0.0, 0.25, 0.5, std::nan("")},
                    {CellStatus::done, CellStatus::done, CellStatus::published, CellStatus::pending}};
    Table const cells{"cells",
                      {{"target", "", "target", std::vector<std::string>{"science", "Zürich ≥"}},
                       {"tp", "1", "", std::vector<std::int64_t>{3, std::numeric_limits<std::int64_t>::max()}},
                       {"f1", "1", "", std::vector<double>{0.1, 1.0}}}};
    Table const empty{"cost", {{"seconds", "s", "", std::vector<double>{}}}};
    return {{grid}, {cells, empty}, {{"config", "seed: 1\n"}}};
}

TEST(Results, ReadBackAsTheyWereWritten) {
    TemporaryFolder const folder;
    auto const path = folder / "results.h5";
    write_results(path, example());
    write_results(path, example());  // replaces
    EXPECT_EQ(read_strings(path, "/tables/demo/system"), (std::vector<std::string>{"base", "sam"}));
    auto const f1 = read_double(path, "/tables/demo/f1");
    ASSERT_EQ(f1.size(), 4U);
    EXPECT_EQ(f1[2], 0.5);
    EXPECT_TRUE(std::isnan(f1[3]));
    EXPECT_EQ(read_strings(path, "/tables/demo/status").back(), "pending");
    EXPECT_EQ(read_int64(path, "/cells/tp").back(), std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(read_strings(path, "/cells/target").back(), "Zürich ≥");
    EXPECT_TRUE(read_double(path, "/cost/seconds").empty());
    EXPECT_FALSE(std::filesystem::exists(folder / "results.h5.partial"));
}

TEST(Results, RefuseShapesThatDisagreeAndColumnsWithoutUnits) {
    TemporaryFolder const folder;
    auto bad = example();
    bad.grids[0].f1.pop_back();
    EXPECT_THROW(write_results(folder / "r.h5", bad), InputError);
    bad = example();
    bad.tables[0].columns[1].units.clear();
    EXPECT_THROW(write_results(folder / "r.h5", bad), InputError);
    bad = example();
    bad.tables[0].columns[1].values = std::vector<std::int64_t>{1};
    EXPECT_THROW(write_results(folder / "r.h5", bad), InputError);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Results, UnwritableFolderIsAStorageError) {
    EXPECT_THROW(write_results("/proc/results.h5", example()), StorageError);
}

}  // namespace
}  // namespace samner::store
