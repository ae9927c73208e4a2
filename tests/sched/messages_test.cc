#include "sched/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <limits>
#include <set>

#include "core/error.h"
#include "toy.h"

namespace samner::sched {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Every byte there is, and what is no UTF-8.
std::string any_bytes() {
    std::string bytes = "\xC3\x28 \xFF\xFE ä";
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    return bytes;
}

std::vector<Message> messages() {
    Job full{any_bytes(), "Zürich\n", {"", any_bytes(), "c"}, -0.1, 1 << 30, any_bytes(), any_bytes()};
    JobResult failed;
    failed.key = "key";
    failed.error = any_bytes();
    failed.seconds = 1e300;
    failed.rank = -1;
    failed.team = {0, 3, std::numeric_limits<int>::max()};
    JobResult done;
    done.ok = true;
    done.sha256 = std::string(64, 'f');
    done.result = any_bytes();
    JobResult stopped;
    stopped.stopped = true;
    return {Assignment{{full, job("b"), Job{}}, {0, 7, 4096}, 17},
            Assignment{},
            Stop{SIGUSR1},
            Finish{},
            failed,
            done,
            stopped,
            Outcome{std::int64_t{1} << 40, -1, 3, SIGTERM},
            Progress{any_bytes(), std::int64_t{1} << 40, -1, any_bytes(), 7},
            Progress{}};
}

TEST(Messages, ComeOutAsTheyWentIn) {
    for (auto const& message : messages()) EXPECT_EQ(decode(encode(message)), message);
}

TEST(Messages, StartWithATagThatSaysWhatTheyAre) {
    std::set<std::pair<std::size_t, char>> tags;
    for (auto const& message : messages()) tags.emplace(message.index(), encode(message).front());
    EXPECT_EQ(tags,
              (std::set<std::pair<std::size_t, char>>{{0, 'A'}, {1, 'S'}, {2, 'F'}, {3, 'R'}, {4, 'O'}, {5, 'P'}}));
}

TEST(Messages, AreTheSameBytesWithoutAVariant) {
    for (auto const& message : messages()) {
        if (auto const* const work = std::get_if<Assignment>(&message)) {
            EXPECT_EQ(encode(*work), encode(message));
        }
        if (auto const* const result = std::get_if<JobResult>(&message)) {
            EXPECT_EQ(encode(*result), encode(message));
        }
        if (auto const* const progress = std::get_if<Progress>(&message)) {
            EXPECT_EQ(encode(*progress), encode(message));
        }
    }
}

TEST(Messages, ThatWereCutOffAnywhereAreErrors) {
    for (auto const& message : messages()) {
        auto const bytes = encode(message);
        for (std::size_t size = 0; size < bytes.size(); ++size)
            EXPECT_THAT([&] { decode(bytes.substr(0, size)); }, ThrowsMessage<Error>(HasSubstr("was cut off")));
    }
}

TEST(Messages, ThatGoOnAreErrors) {
    for (auto const& message : messages()) {
        EXPECT_THAT([&] { decode(encode(message) + '\0'); }, ThrowsMessage<Error>(HasSubstr("after its end")));
        EXPECT_THAT([&] { decode(encode(message) + encode(Finish{})); },
                    ThrowsMessage<Error>(HasSubstr("after its end")));
    }
}

TEST(Messages, OfAnUnknownTagAreErrors) {
    EXPECT_THAT([] { decode("{\"signal\":15}"); },
                ThrowsMessage<Error>("a message of 13 bytes has the unknown tag 0x7b"));
    EXPECT_THAT([] { decode("\xFF"); }, ThrowsMessage<Error>(HasSubstr("unknown tag 0xff")));
    auto bytes = encode(Stop{SIGTERM});
    bytes.front() = '\0';
    EXPECT_THAT([&] { decode(bytes); }, ThrowsMessage<Error>(HasSubstr("unknown tag")));
}

TEST(Messages, WithALengthThatCannotBeAreErrors) {
    auto bytes = encode(JobResult{});
    for (std::size_t i = 1; i <= 8; ++i) bytes[i] = '\xFF';  // the length of its key
    EXPECT_THAT([&] { decode(bytes); }, ThrowsMessage<Error>(HasSubstr("was cut off")));
    bytes = encode(Assignment{});
    for (std::size_t i = 1; i <= 8; ++i) bytes[i] = '\xFF';  // the number of its jobs
    EXPECT_THAT([&] { decode(bytes); }, ThrowsMessage<Error>(HasSubstr("was cut off")));
    bytes = encode(JobResult{});
    bytes[9] = '\2';  // ok
    EXPECT_THAT([&] { decode(bytes); }, ThrowsMessage<Error>(HasSubstr("yes or no")));
}

TEST(Messages, AreStopsByTheirTagAlone) {
    EXPECT_EQ(decode_stop(encode(Stop{SIGUSR1})), Stop{SIGUSR1});
    EXPECT_THROW(decode_stop(encode(Stop{SIGUSR1}).substr(0, 3)), Error);
    EXPECT_EQ(decode_stop(""), std::nullopt);
    // A key that sorts before "signal", or looks like a stop, is no stop.
    for (std::string const key : {"", "a", "{\"signal\":15}", "S", "Stop"}) {
        JobResult result;
        result.key = key;
        EXPECT_EQ(decode_stop(encode(result)), std::nullopt);
        EXPECT_EQ(decode_stop(encode(Assignment{{job(key)}, {1}, 0})), std::nullopt);
    }
    for (auto const& message : messages())
        EXPECT_EQ(decode_stop(encode(message)).has_value(), std::holds_alternative<Stop>(message));
}

}  // namespace
}  // namespace samner::sched
