// The main of tests that run on several ranks: all ranks end with the same code, failures name their rank.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>

#include "comm/comm.h"
#include "mpi_test.h"

namespace {

samner::comm::Session* current = nullptr;

class FailurePrinter : public testing::EmptyTestEventListener {
    void OnTestPartResult(testing::TestPartResult const& result) override {
        if (!result.failed() || current->rank() == 0) return;  // rank 0 has GoogleTest's own printer
        fmt::print(stderr, "rank {}: {}:{}: {}\n", current->rank(), result.file_name() ? result.file_name() : "?",
                   result.line_number(), result.message());
    }
};

}  // namespace

samner::comm::Session& samner::mpi_session() {
    return *current;
}

int main(int argc, char** argv) {
    samner::comm::Session session{argc, argv};
    current = &session;
    testing::InitGoogleTest(&argc, argv);
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    if (session.rank() != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
    std::array<std::int64_t, 1> failed{RUN_ALL_TESTS() == 0 ? 0 : 1};
    session.teams().sum(failed);
    if (session.rank() == 0 && failed[0] > 0)
        fmt::print(stderr, "failed on {} of {} ranks\n", failed[0], session.size());
    return failed[0] == 0 ? 0 : 1;
}
