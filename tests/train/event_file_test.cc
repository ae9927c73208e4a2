#include "train/event_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner::train {
namespace {

std::string hex(std::string_view bytes) {
    std::string text;
    for (auto const c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return text;
}

/// What the RecordWriter of the tensorboard package 2.21 writes of the same events.
TEST(EventFile, HasTheBytesOfTensorBoardsOwnWriter) {
    TemporaryFolder const folder;
    auto const path = folder / "run" / "events.out.tfevents.samner";
    EventFile file{path, 1.5};
    file.add(2.25, 300, {{"train/loss", 0.5}, {"train/lr", 2e-5}});
    EXPECT_EQ(
        hex(read_text(path)),
        "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c3200000000000000241956ec090000"
        "00000000024010ac022a240a110a0a747261696e2f6c6f7373150000003f0a0f0a08747261696e2f6c7215acc5a73759ca316f");
}

TEST(EventFile, ThatCannotBeWrittenIsAStorageError) {
    EXPECT_THROW((EventFile{"/proc/nowhere/events.out.tfevents.samner", 0}), StorageError);
}

}  // namespace
}  // namespace samner::train
