#include "core/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "core/error.h"

namespace samner {
namespace {

TEST(ParallelFor, VisitsEveryItemOnceOnAnyNumberOfThreads) {
    for (int const threads : {1, 2, 4}) {
        set_num_threads(threads);
        for (std::int64_t const size : {0, 1, 7, 1000}) {
            std::vector<std::atomic<int>> visits(size);
            parallel_for(0, size, 3, [&](std::int64_t begin, std::int64_t end) {
                for (auto i = begin; i < end; ++i) ++visits[i];
            });
            for (auto const& visit : visits) EXPECT_EQ(visit, 1);
        }
    }
    set_num_threads(1);
}

TEST(ParallelFor, RunsNestedRegionsAndPassesExceptionsOn) {
    set_num_threads(2);
    std::atomic<int> sum{0};
    parallel_for(0, 8, 1, [&](std::int64_t begin, std::int64_t end) {
        parallel_for(begin, end, 1, [&](std::int64_t b, std::int64_t e) { sum += static_cast<int>(e - b); });
    });
    EXPECT_EQ(sum, 8);
    EXPECT_THROW(parallel_for(0, 8, 1, [](std::int64_t, std::int64_t) { throw std::runtime_error{"x"}; }),
                 std::runtime_error);
    set_num_threads(1);
}

TEST(ParallelFor, KeepsManyShortRegionsApartOnMoreThreadsThanCores) {
    set_num_threads(9);
    for (int region = 0; region < 5000; ++region) {
        // Memory of this region only: a helper that came late would write to it after its end.
        std::vector<int> written(4, -1);
        bool const fails = region % 100 == 99;
        auto const run = [&] {
            parallel_for(0, 4, 1, [&](std::int64_t begin, std::int64_t end) {
                for (auto i = begin; i < end; ++i) written[i] = region;
                if (fails && begin == 0) throw std::runtime_error{"x"};
            });
        };
        if (fails)
            EXPECT_THROW(run(), std::runtime_error);
        else
            EXPECT_NO_THROW(run());
        ASSERT_EQ(written, std::vector<int>(4, region));
    }
    set_num_threads(1);
}

TEST(ParallelFor, SaysThatTheSystemDoesNotStartAsManyThreads) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer needs the address space that this takes away";
#endif
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    std::uint64_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    auto limit = before;
    limit.rlim_cur = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + (std::uint64_t{64} << 20);
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);  // for the stacks of a few
    EXPECT_THROW(set_num_threads(2000), InputError);
    EXPECT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
    set_num_threads(2);
    std::atomic<int> sum{0};
    parallel_for(0, 8, 1, [&](std::int64_t begin, std::int64_t end) { sum += static_cast<int>(end - begin); });
    EXPECT_EQ(sum, 8);
    set_num_threads(1);
}

}  // namespace
}  // namespace samner
