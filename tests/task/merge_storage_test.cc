/// A limit on the size of files stands for a full disk: where its signal is ignored a write fails, else it kills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>

#include "core/error.h"
#include "golden.h"
#include "task/merge_adapters.h"
#include "temporary_folder.h"

namespace samner::task {
namespace {

namespace fs = std::filesystem;

void limit_files(rlim_t bytes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
}

constexpr rlim_t enough_for_settings = 8 << 10;  // and not for tensors

class MergeStorage : public testing::Test {
protected:
    MergeStorage() {
        request.adapters = {golden("adapters/llama-tiny/all-linear"), golden("adapters/llama-tiny/qv-only")};
        request.options.method = merge::Method::cat;
    }
    void fold() { fold_adapters(request, golden("models/llama-tiny"), out); }
    void write() {
        auto const merged = merge_adapters(request);
        weights::write_adapter(out, merged.adapter, merged.provenance);
    }

    TemporaryFolder folder;
    fs::path out = folder / "out";
    AdapterMerge request;
    std::vector<std::function<void()>> ways{[this] { fold(); }, [this] { write(); }};
};

TEST_F(MergeStorage, ThatIsFullIsAnErrorAndNothingIsLeft) {
    ::signal(SIGXFSZ, SIG_IGN);
    for (auto const& way : ways) {
        limit_files(enough_for_settings);
        EXPECT_THROW(way(), StorageError);
        limit_files(RLIM_INFINITY);
        EXPECT_TRUE(fs::is_empty(folder.path()));
    }
    ::signal(SIGXFSZ, SIG_DFL);
}

TEST_F(MergeStorage, OfAMergeThatIsKilledHoldsNoFolderThatLooksFinishedAndTheNextMergeSucceeds) {
    for (auto const& way : ways) {
        auto const child = ::fork();
        if (child == 0) {
            limit_files(enough_for_settings);
            way();
            ::_exit(0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
        EXPECT_FALSE(fs::exists(out));
        EXPECT_TRUE(fs::exists(folder / "out.partial")) << "it was not killed in the middle";
        way();
        EXPECT_TRUE(fs::exists(out));
        EXPECT_FALSE(fs::exists(folder / "out.partial"));
        fs::remove_all(out);
    }
}

}  // namespace
}  // namespace samner::task
