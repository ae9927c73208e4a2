#include "comm/nccl.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "core/error.h"
#include "mpi_test.h"

namespace samner::comm {
namespace {

TEST(DeviceComm, ConnectsAndFinishesWithOneRank) {
    if (auto const obstacle = exchange_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    DeviceComm devices{mpi_session().teams(), 0};
    std::string text{"what a host has"};
    devices.broadcast_host(std::as_writable_bytes(std::span{text}), 0);
    EXPECT_EQ(text, "what a host has");
    devices.finish();
}

TEST(DeviceComm, IsAbortedWhenItIsNotFinished) {
    if (auto const obstacle = exchange_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
    DeviceComm const devices{mpi_session().teams(), 0};
}

TEST(DeviceComm, IsAnErrorWhereThereIsNone) {
    if (exchange_obstacle().empty()) GTEST_SKIP() << "there is a device";
    EXPECT_THROW((DeviceComm{mpi_session().teams(), 0}), Error);
}

TEST(DeviceOfRank, LeavesTheCpuAndANamedDeviceAlone) {
    EXPECT_EQ(device_of_rank("cpu", 3), "cpu");
    EXPECT_EQ(device_of_rank("cuda:1", 3), "cuda:1");
    EXPECT_EQ(connect_devices(mpi_session().teams(), "cpu"), nullptr);
}

}  // namespace
}  // namespace samner::comm
