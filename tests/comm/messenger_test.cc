#include "comm/messenger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "mpi_test.h"

namespace samner::comm {
namespace {

using namespace std::chrono_literals;

TEST(Messenger, DeliversMessagesOfAnySizeInOrderWhileBothSidesOnlySend) {
    auto const& control = mpi_session().control();
    Messenger messenger{control, {.slice = 1000}};
    constexpr int count = 20;
    auto const text = [](int from, int i) {
        return std::string(static_cast<std::size_t>(i) * 2500, static_cast<char>('a' + from)) + std::to_string(i);
    };
    int const first = control.rank() == 0 ? 1 : 0;
    int const last = control.rank() == 0 ? control.size() : 1;
    for (int i = 0; i < count; ++i) {
        for (int to = first; to < last; ++to) messenger.send(to, text(control.rank(), i));
    }
    std::vector<int> next(static_cast<std::size_t>(control.size()), 0);
    for (int left = (last - first) * count; left > 0;) {
        auto const message = messenger.poll(100ms);
        if (!message) continue;
        --left;
        EXPECT_EQ(message->second, text(message->first, next[static_cast<std::size_t>(message->first)]++));
    }
    messenger.close();
}

TEST(Messenger, GivesWhatWasInterceptedToNobodyElse) {
    auto const& control = mpi_session().control();
    Messenger messenger{control};
    std::atomic<int> taken{0};
    messenger.intercept([&](int, std::string const& message) {
        if (message == "stop") ++taken;
        return message == "stop";
    });
    mpi_session().teams().barrier();
    for (int to = 1; control.rank() == 0 && to < control.size(); ++to) messenger.send(to, "stop");
    messenger.close();
    EXPECT_EQ(taken, control.rank() == 0 ? 0 : 1);
}

TEST(Messenger, RefusesMessagesToNoPartner) {
    auto const& control = mpi_session().control();
    Messenger messenger{control};
    EXPECT_THROW(messenger.send(control.rank(), "self"), InputError);
    messenger.close();
}

TEST(Messenger, LeavesWhatComesForTheNextOneOnItsCommunicator) {
    auto const& control = mpi_session().control();
    for (int round = 0; round < 10; ++round) {
        Messenger messenger{control};
        // While rank 0 waits for this one, the others say hello and good-bye in the next round.
        if (control.rank() == 1) std::this_thread::sleep_for(20ms);
        messenger.close();
    }
}

TEST(Messenger, FindsSilentPartnerLost) {
    auto const& control = mpi_session().control();
    if (control.size() < 2) GTEST_SKIP() << "nobody to fall silent";
    auto const own = control.duplicate();
    std::atomic<bool> lost{false};
    if (own.rank() == 0) {  // the others have no messenger on this communicator
        Messenger messenger{own,
                            {.heartbeat = 10s, .silence = 50ms, .on_lost = [&](std::string const&) { lost = true; }}};
        EXPECT_THROW(for (;;) static_cast<void>(messenger.poll(10ms)), InfrastructureError);
    }
    EXPECT_EQ(lost, own.rank() == 0);
    own.barrier();
}

}  // namespace
}  // namespace samner::comm
