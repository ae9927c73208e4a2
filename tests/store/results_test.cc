#include "store/results.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "temporary_folder.h"

namespace {
int flock_error = 0;  ///< what the next locks fail with; 0: they are taken
}  // namespace

/// Stands for the C library's, also where HDF5 calls it: locks as a file system without them answers.
extern "C" int flock(int file, int operation) noexcept {
    if (flock_error == 0) return static_cast<int>(::syscall(SYS_flock, file, operation));
    errno = flock_error;
    return -1;
}

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
                       {"first", "1", "", std::vector<std::int32_t>{7, std::numeric_limits<std::int32_t>::min()}},
                       {"vectors", "1", "", std::vector<float>{1, -0.5F, std::nanf(""), 4, 5, 6}, 3},
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
    EXPECT_EQ(read_int32(path, "/cells/first"),
              (std::vector<std::int32_t>{7, std::numeric_limits<std::int32_t>::min()}));
    auto const vectors = read_float(path, "/cells/vectors");
    ASSERT_EQ(vectors.size(), 6U);
    EXPECT_EQ(vectors[1], -0.5F);
    EXPECT_TRUE(std::isnan(vectors[2]));
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
    bad = example();
    std::get<std::vector<float>>(bad.tables[0].columns[3].values).push_back(7);
    EXPECT_THROW(write_results(folder / "r.h5", bad), InputError);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Results, HoldManyCountsInLittleRoom) {
    TemporaryFolder const folder;
    auto const path = folder / "results.h5";
    std::vector<std::int32_t> counts;
    std::uint32_t state = 1;
    for (int i = 0; i < 1'000'000; ++i) {
        state = state * 1664525U + 1013904223U;
        counts.push_back(static_cast<std::int32_t>((state >> 24U) % 5));
    }
    write_results(path, {{}, {{"sentences", {{"tp", "1", "", counts}}}}, {}});
    EXPECT_EQ(read_int32(path, "/sentences/tp"), counts);
    EXPECT_LT(std::filesystem::file_size(path), 700'000U) << "of 4 MB; five values at random are 290 kB at best";
}

TEST(Results, UnwritableFolderIsAStorageError) {
    EXPECT_THROW(write_results("/proc/results.h5", example()), StorageError);
}

class WithoutLocks : public testing::TestWithParam<int> {
protected:
    void SetUp() override { flock_error = GetParam(); }
    void TearDown() override { flock_error = 0; }
};

TEST_P(WithoutLocks, ResultsAreWrittenAndReadWhereTheFileSystemHasNone) {
    TemporaryFolder const folder;
    auto const path = folder / "results.h5";
    write_results(path, example());
    EXPECT_EQ(read_int64(path, "/cells/tp").front(), 3);
    EXPECT_EQ(read_double(path, "/tables/demo/f1")[1], 0.25);
    EXPECT_EQ(read_strings(path, "/tables/demo/system").back(), "sam");
}

// NFS without a lock daemon; Lustre mounted without flock; what DVS answers.
INSTANTIATE_TEST_SUITE_P(Results, WithoutLocks, testing::Values(ENOLCK, EOPNOTSUPP, 524));

TEST(Results, SayWhyTheyCannotBeWritten) {
    TemporaryFolder const folder;
    try {
        write_results(folder / "absent" / "results.h5", example());
        FAIL() << "written";
    } catch (StorageError const& error) {
        EXPECT_NE(std::string{error.what()}.find("No such file or directory"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace samner::store
