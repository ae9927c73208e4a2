#include "core/hash.h"

#include <gtest/gtest.h>

namespace samner {
namespace {

TEST(Sha256, GivesTheDigestsOfFips180) {
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, FedInPiecesIsThatOfTheWhole) {
    EXPECT_EQ(Sha256{}.update("a").update("bc").hex(), sha256("abc"));
}

TEST(Crc32c, GivesTheValuesOfRfc3720) {
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
    EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
    EXPECT_EQ(crc32c("56789", crc32c("1234")), 0xE3069283U);
}

}  // namespace
}  // namespace samner
