#include "store/artifacts.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/hash.h"
#include "temporary_folder.h"

namespace samner::store {
namespace {

namespace fs = std::filesystem;

void write(fs::path const& path, std::string const& text) {
    std::ofstream{path} << text;
}

TEST(Artifacts, HashOfAFileIsThatOfItsBytes) {
    TemporaryFolder const folder;
    Artifacts const artifacts{folder / "artifacts"};
    auto const hash = artifacts.commit("key", [](fs::path const& path) { write(path, "abc"); });
    EXPECT_EQ(hash, sha256("abc"));
    EXPECT_TRUE(artifacts.verify("key", hash));
}

TEST(Artifacts, AlteredOrMissingOnesAreFound) {
    TemporaryFolder const folder;
    Artifacts const artifacts{folder / "artifacts"};
    auto const fill = [](fs::path const& path) {
        fs::create_directories(path / "deep");
        write(path / "b", "1");
        write(path / "deep/a", "2");
    };
    auto const hash = artifacts.commit("key", fill);
    EXPECT_EQ(artifacts.commit("key", fill), hash);  // replaces
    write(artifacts.path("key") / "deep/a", "3");
    EXPECT_FALSE(artifacts.verify("key", hash));
    fs::remove_all(artifacts.path("key"));
    EXPECT_FALSE(artifacts.verify("key", hash));
}

TEST(Artifacts, FailedFillOrLostLeaseLeavesNothing) {
    TemporaryFolder const folder;
    bool lost = false;
    Artifacts const artifacts{folder / "artifacts", [&] {
                                  if (lost) throw RunInUseError{"taken over"};
                              }};
    EXPECT_THROW(artifacts.commit("key",
                                  [](fs::path const& path) {
                                      write(path, "half");
                                      throw Error{"no"};
                                  }),
                 Error);
    lost = true;
    EXPECT_THROW(artifacts.commit("key", [](fs::path const& path) { write(path, "whole"); }), RunInUseError);
    EXPECT_TRUE(fs::is_empty(folder / "artifacts"));
}

TEST(Artifacts, KeysCannotLeaveTheFolder) {
    TemporaryFolder const folder;
    Artifacts const artifacts{folder / "artifacts"};
    for (auto const* key : {"", "..", "../x", "a/b", ".hidden", "x.partial"}) {
        EXPECT_THROW(static_cast<void>(artifacts.has(key)), InputError) << key;
    }
}

}  // namespace
}  // namespace samner::store
