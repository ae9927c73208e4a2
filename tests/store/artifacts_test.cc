#include "store/artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <string>

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
    write(artifacts.path("key") / "deep/a", "3");
    EXPECT_FALSE(artifacts.verify("key", hash));
    fs::remove_all(artifacts.path("key"));
    EXPECT_FALSE(artifacts.verify("key", hash));
}

TEST(Artifacts, FailedFillOrLostLeaseLeavesNothing) {
    TemporaryFolder const folder;
    auto const run = folder / "run";
    std::optional<Lease> lease{run};
    Artifacts::Options options;
    options.fence = lease->fence();
    Artifacts const artifacts{folder / "artifacts", options};
    EXPECT_THROW(artifacts.commit("key",
                                  [](fs::path const& path) {
                                      write(path, "half");
                                      throw Error{"no"};
                                  }),
                 Error);
    lease.reset();
    Lease const next{run};  // this run was taken over
    EXPECT_THROW(artifacts.commit("key", [](fs::path const& path) { write(path, "whole"); }), RunInUseError);
    EXPECT_TRUE(fs::is_empty(folder / "artifacts"));
}

Artifacts::Options written_by(Writer writer) {
    Artifacts::Options options;
    options.writer = std::move(writer);
    return options;
}

std::function<void(fs::path const&)> file_of(std::string const& text) {
    return [text](fs::path const& path) { write(path, text); };
}

std::function<void(fs::path const&)> folder_of(std::string const& text) {
    return [text](fs::path const& path) {
        fs::create_directories(path);
        write(path / "file", text);
    };
}

TEST(Artifacts, FirstCommitStaysAndAnEqualCopyIsDiscarded) {
    for (auto const& make : {file_of, folder_of}) {
        TemporaryFolder const folder;
        Artifacts const first{folder / "artifacts", written_by({"aaa", 1, 0})};
        Artifacts const second{folder / "artifacts", written_by({"bbb", 1, 3})};
        std::string inner;
        auto const outer = first.commit("key", [&](fs::path const& path) {
            inner = second.commit("key", make("same"));  // the other run is faster
            make("same")(path);
        });
        EXPECT_EQ(outer, inner);
        EXPECT_TRUE(first.verify("key", inner));
        EXPECT_EQ(std::distance(fs::directory_iterator{folder / "artifacts"}, {}), 1);
    }
}

TEST(Artifacts, CopyThatDiffersIsAnErrorWhereResultsAreExactAndElseTheFirstIsUsed) {
    for (auto const& make : {file_of, folder_of}) {
        TemporaryFolder const folder;
        Artifacts const exact{folder / "artifacts"};
        auto const hash = exact.commit("key", make("first"));
        EXPECT_THAT([&] { static_cast<void>(exact.commit("key", make("other"))); },
                    testing::ThrowsMessage<Error>(testing::HasSubstr("its copy differs")));
        EXPECT_TRUE(exact.verify("key", hash));
        Artifacts::Options options;
        options.exact = false;
        Artifacts const rounded{folder / "artifacts", options};
        EXPECT_EQ(rounded.commit("key", make("other")), hash);
        EXPECT_TRUE(exact.verify("key", hash));
        EXPECT_EQ(std::distance(fs::directory_iterator{folder / "artifacts"}, {}), 1);
    }
}

TEST(Artifacts, DiscardedOnesGoWithTheirRecords) {
    TemporaryFolder const folder;
    Artifacts const artifacts{folder / "artifacts"};
    artifacts.commit("key", folder_of("damaged"));
    artifacts.write_record("key", "its record");
    artifacts.write_record("key", "a later one");
    EXPECT_EQ(artifacts.record("key"), "its record");
    artifacts.discard("key");
    EXPECT_FALSE(artifacts.has("key"));
    EXPECT_EQ(artifacts.record("key"), std::nullopt);
    artifacts.discard("key");  // there is nothing to do
    EXPECT_NE(artifacts.commit("key", folder_of("whole")), "");
}

TEST(Artifacts, AreFoundAlteredWhenTheirFilesHaveChangedSinceTheyWereTrusted) {
    TemporaryFolder const folder;
    Artifacts const artifacts{folder / "artifacts"};
    auto const hash = artifacts.commit("key", folder_of("whole"));
    artifacts.trust("key", hash);
    EXPECT_TRUE(artifacts.still("key", hash));
    write(artifacts.path("key") / "file", "altered");
    EXPECT_FALSE(artifacts.still("key", hash));
    write(artifacts.path("key") / "file", "whole");
    EXPECT_TRUE(artifacts.still("key", hash)) << "it is read again";
    fs::create_symlink("file", artifacts.path("key") / "link");
    EXPECT_FALSE(artifacts.verify("key", hash)) << "and ends no run";
}

TEST(Artifacts, PartialsOfAnEarlierSessionAreRemovedAndThoseOfOtherRunsAreNot) {
    TemporaryFolder const folder;
    auto const root = folder / "artifacts";
    Artifacts const now{root, written_by({"aaa", 7, 0})};
    fs::create_directories(root / ".records");
    for (auto const* name : {"k.aaa-6-0-1.partial", "k.aaa-6-3-0.partial.partial", ".records/k.json.aaa-2-0-4.partial",
                             "k.aaa-7-1-0.partial", "k.bbb-1-0-0.partial", "k"})
        write(root / name, "x");
    now.remove_partials();
    std::set<std::string> left;
    for (auto const& entry : fs::recursive_directory_iterator{root}) {
        if (entry.is_regular_file()) left.insert(entry.path().filename());
    }
    EXPECT_EQ(left, (std::set<std::string>{"k.aaa-7-1-0.partial", "k.bbb-1-0-0.partial", "k"}));
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
