#include "corpus/fetch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/stop.h"
#include "corpus/download.h"
#include "temporary_folder.h"

namespace samner::corpus {
namespace {

namespace fs = std::filesystem;
using State = FetchStatus::State;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// serve.py over a folder, until the object goes.
class Server {
public:
    explicit Server(fs::path const& folder) : log_path_{folder.string() + ".log"} {
        auto const script = fs::path{SAMNER_SOURCE_DIR} / "tests/corpus/serve.py";
        ::setenv("no_proxy", "127.0.0.1", 1);
        process_ = ::fork();
        if (process_ == 0) {
            int const log = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
            ::dup2(log, STDOUT_FILENO);
            ::execlp("python3", "python3", script.c_str(), folder.c_str(), nullptr);
            ::_exit(127);
        }
        for (int i = 0; i < 3000 && lines().empty(); ++i) ::usleep(10'000);
        if (lines().empty()) throw std::runtime_error{"serve.py does not start"};
    }
    Server(Server const&) = delete;
    Server& operator=(Server const&) = delete;
    ~Server() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        fs::remove(log_path_);
    }

    std::string address() const { return "http://127.0.0.1:" + lines().at(0); }

    /// `PATH RANGE STATUS` of each request.
    std::vector<std::string> requests() const {
        auto all = lines();
        all.erase(all.begin());
        return all;
    }

private:
    std::vector<std::string> lines() const {
        std::vector<std::string> lines;
        if (!fs::exists(log_path_)) return lines;
        auto const text = read_text(log_path_);
        for_each_line(std::string_view{text}.substr(0, text.rfind('\n') + 1),
                      [&](std::string_view line, std::size_t) { lines.emplace_back(line); });
        return lines;
    }

    fs::path log_path_;
    pid_t process_ = -1;
};

/// An upstream folder, a server for it, and a data root that is empty at first.
class Fetch : public testing::Test {
protected:
    void SetUp() override {
        for (int i = 0; i < 40'000; ++i) text += std::to_string(i * 7919) + "\tO\n";
        put("a/train.tsv", text);
    }

    void put(std::string const& path, std::string const& bytes) {
        fs::create_directories((upstream / path).parent_path());
        write_atomically(upstream / path, bytes);
    }

    DataFile file(std::string const& manner, std::string const& path = "a/train.tsv") {
        return {.path = path, .sha256 = sha256(text), .from = server.address() + "/" + manner + "/" + path};
    }

    /// @return the last state of every file
    std::vector<State> fetch(std::vector<DataFile> const& files, FetchOptions const& options = {.attempts = 1}) {
        std::vector<State> states;
        errors.clear();
        auto const failed = corpus::fetch(files, root, options, [&](FetchStatus const& status) {
            if (status.state != State::fetching) states.push_back(status.state);
            if (status.state == State::failed) errors += status.error + "\n";
        });
        EXPECT_EQ(failed, std::ranges::count(states, State::failed));
        return states;
    }

    /// All files below the data root.
    std::vector<std::string> present() {
        std::vector<std::string> paths;
        if (!fs::exists(root)) return paths;
        for (auto const& entry : fs::recursive_directory_iterator{root})
            if (entry.is_regular_file()) paths.push_back(fs::relative(entry.path(), root).string());
        std::ranges::sort(paths);
        return paths;
    }

    void expect_complete() {
        EXPECT_THAT(present(), ElementsAre("a/train.tsv"));
        EXPECT_EQ(read_text(root / "a/train.tsv"), text);
    }

    TemporaryFolder folder;
    fs::path upstream = folder / "upstream";
    fs::path root = folder / "root";
    std::string text;
    std::string errors;
    Server server{(fs::create_directories(upstream), upstream)};
};

TEST_F(Fetch, BringsAFileOnce) {
    EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::fetched));
    expect_complete();
    EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::there));
    EXPECT_THAT(server.requests(), ElementsAre("/plain/a/train.tsv - 200"));
}

TEST_F(Fetch, GoesOnWhereAnEarlierCallWasInterrupted) {
    EXPECT_THAT(fetch({file("cut")}), ElementsAre(State::failed));
    EXPECT_THAT(errors, HasSubstr("the same command goes on where it stopped"));
    ASSERT_EQ(present().size(), 1U);
    EXPECT_THAT(present()[0], testing::StartsWith(".fetch/"));
    EXPECT_THAT(fetch({file("cut")}), ElementsAre(State::failed));  // the server is busy: nothing is lost by it
    EXPECT_EQ(fs::file_size(root / present().at(0)), text.size() / 2);
    EXPECT_THAT(fetch({file("cut")}), ElementsAre(State::fetched));
    expect_complete();
    auto const half = std::to_string(text.size() / 2);
    EXPECT_THAT(server.requests(), ElementsAre("/cut/a/train.tsv - 200", "/cut/a/train.tsv bytes=" + half + "- 503",
                                               "/cut/a/train.tsv bytes=" + half + "- 206"));
}

TEST_F(Fetch, TakesUpALostConnectionAsLongAsBytesCome) {
    EXPECT_THAT(fetch({file("stubborn")}, {.attempts = 2}), ElementsAre(State::fetched));
    expect_complete();
    EXPECT_GT(server.requests().size(), 5U);
}

TEST_F(Fetch, StartsAgainWhereTheServerKnowsNoRanges) {
    EXPECT_THAT(fetch({file("whole")}), ElementsAre(State::failed));
    EXPECT_THAT(fetch({file("whole")}), ElementsAre(State::fetched));
    expect_complete();
}

TEST_F(Fetch, RefusesBytesOfAnotherHashAndKeepsNoneOfThem) {
    auto wrong = file("plain");
    wrong.sha256 = sha256("another version");
    for (int i = 0; i < 2; ++i) {
        EXPECT_THAT(fetch({wrong}), ElementsAre(State::failed));
        EXPECT_THAT(errors, HasSubstr("has SHA-256 " + sha256(text) + ", not " + wrong.sha256));
        EXPECT_THAT(present(), IsEmpty());
    }
    EXPECT_THAT(fetch({file("page")}), ElementsAre(State::failed));
    EXPECT_THAT(present(), IsEmpty());
}

TEST_F(Fetch, StartsAgainWhenWhatItWentOnWithWasOfAnotherVersion) {
    auto const good = file("plain");
    auto const part = root / ".fetch" / sha256(good.from).substr(0, 16);
    for (auto const& earlier : {std::string(1000, 'x'), std::string(2 * text.size(), 'x')}) {
        fs::remove_all(root);
        fs::create_directories(part.parent_path());
        write_atomically(part, earlier);
        EXPECT_THAT(fetch({good}), ElementsAre(State::fetched));
        expect_complete();
    }
}

TEST_F(Fetch, TakesADownloadThatOnlyLacksItsRenaming) {
    auto const good = file("plain");
    fs::create_directories(root / ".fetch");
    write_atomically(root / ".fetch" / sha256(good.from).substr(0, 16), text);
    EXPECT_THAT(fetch({good}), ElementsAre(State::fetched));
    expect_complete();
    EXPECT_THAT(server.requests(), IsEmpty());
}

TEST_F(Fetch, LeavesAFileThatDiffersUnlessToldToReplaceIt) {
    fs::create_directories(root / "a");
    write_atomically(root / "a/train.tsv", "mine");
    EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::failed));
    EXPECT_THAT(errors, HasSubstr("--replace"));
    EXPECT_EQ(read_text(root / "a/train.tsv"), "mine");
    EXPECT_THAT(fetch({file("plain")}, {.replace = true}), ElementsAre(State::fetched));
    expect_complete();
}

TEST_F(Fetch, TakesAMirrorThatIsAFolderOrAnAddress) {
    put("a b/é.tsv", text);
    auto spaced = file("plain", "a b/é.tsv");
    spaced.from = "http://127.0.0.1:1/nowhere";
    for (auto const& mirror : {upstream.string(), "file://" + upstream.string() + "/", server.address() + "/plain"}) {
        fs::remove_all(root);
        bool const http = mirror.starts_with("http");
        if (http) spaced = file("plain");
        EXPECT_THAT(fetch({spaced}, {.mirror = mirror}), ElementsAre(State::fetched)) << errors;
        EXPECT_EQ(read_text(root / spaced.path), text);
    }
    EXPECT_THAT(fetch({{.path = "a/none.tsv", .sha256 = sha256(text)}}, {.mirror = upstream.string()}),
                ElementsAre(State::failed));
    EXPECT_THROW(fetch({spaced}, {.mirror = (folder / "none").string()}), InputError);
}

TEST_F(Fetch, GoesOnWithAPartOfAMirroredFile) {
    auto const address = "file://" + upstream.string() + "/a/train.tsv";
    fs::create_directories(root / ".fetch");
    write_atomically(root / ".fetch" / sha256(address).substr(0, 16), text.substr(0, 1000));
    EXPECT_THAT(fetch({file("plain")}, {.mirror = upstream.string()}), ElementsAre(State::fetched));
    expect_complete();
}

TEST_F(Fetch, TakesAllFilesOfAnArchiveOutOfOneDownload) {
    auto const script = folder / "pack.py";
    write_atomically(script, R"(
import gzip, sys, tarfile, zipfile, pathlib
folder = pathlib.Path(sys.argv[1])
parts = {"x/part_2.txt": b"two\n", "x/part_10.txt": b"ten\n", "x/other.txt": b"other\n", "../x/part_0": b"up\n"}
with zipfile.ZipFile(folder / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in parts.items():
        archive.writestr(name, data)
with tarfile.open(folder / "p.tar.gz", "w:gz") as archive:
    for name, data in parts.items():
        (folder / "one").write_bytes(data)
        archive.add(folder / "one", name)
(folder / "p.txt.gz").write_bytes(gzip.compress(b"packed\n"))
)");
    ASSERT_EQ(std::system(("python3 " + script.string() + " " + upstream.string()).c_str()), 0);
    for (std::string const name : {"p.zip", "p.tar.gz"}) {
        fs::remove_all(root);
        auto const from = server.address() + "/plain/" + name;
        EXPECT_THAT(fetch({{.path = "parts", .sha256 = sha256("ten\ntwo\n"), .from = from, .member = "x/part_*.txt"},
                           {.path = "o/other", .sha256 = sha256("other\n"), .from = from, .member = "*other.txt"},
                           {.path = "wrong", .sha256 = sha256("?"), .from = from, .member = "*other.txt"},
                           {.path = "none", .sha256 = sha256("?"), .from = from, .member = "none"}}),
                    ElementsAre(State::fetched, State::fetched, State::failed, State::failed))
            << errors;
        EXPECT_EQ(read_text(root / "parts"), "ten\ntwo\n");
        EXPECT_THAT(present(), ElementsAre("o/other", "parts"));
    }
    EXPECT_EQ(server.requests().size(), 2U);
    fs::remove_all(root);
    EXPECT_THAT(fetch({{.path = "p.txt",
                        .sha256 = sha256("packed\n"),
                        .from = server.address() + "/cut/p.txt.gz",
                        .member = "*"}},
                      {.attempts = 3}),
                ElementsAre(State::fetched))
        << errors;
    EXPECT_THAT(present(), ElementsAre("p.txt"));
}

TEST_F(Fetch, FailsTheFilesOfABrokenArchiveDropsItAndFetchesTheOthers) {
    auto const script = folder / "pack.py";
    write_atomically(script, R"(
import sys, zipfile, pathlib
path = pathlib.Path(sys.argv[1]) / "p.zip"
with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
    archive.writestr("x", b"these bytes are stored as they are\n")
data = bytearray(path.read_bytes())
data[data.index(b"stored")] ^= 1
path.write_bytes(data)
)");
    ASSERT_EQ(std::system(("python3 " + script.string() + " " + upstream.string()).c_str()), 0);
    DataFile const broken{.path = "x", .sha256 = sha256("?"), .from = server.address() + "/plain/p.zip", .member = "x"};
    EXPECT_THAT(fetch({broken, file("plain")}), ElementsAre(State::failed, State::fetched));
    EXPECT_THAT(errors, HasSubstr("is no whole archive"));
    expect_complete();
}

TEST_F(Fetch, FailsFileByFileButStopsWhereNoServerAnswers) {
    auto missing = file("plain", "a/none.tsv");
    EXPECT_THAT(fetch({missing, file("plain")}), ElementsAre(State::failed, State::fetched));
    EXPECT_THAT(errors, HasSubstr("404"));
    expect_complete();
    missing.from = "http://127.0.0.1:1/x";
    EXPECT_THROW(fetch({missing}), InfrastructureError);
    missing.from = "gopher://127.0.0.1/x";
    EXPECT_THAT(fetch({missing}), ElementsAre(State::failed));
    missing.sha256 = {};
    EXPECT_THROW(fetch({missing}), InputError);
}

TEST_F(Fetch, StopsCleanlyOnASignal) {
    request_stop(SIGTERM);
    EXPECT_THROW(fetch({file("plain")}), Stopped);
    clear_stop();
    EXPECT_FALSE(fs::exists(root / "a/train.tsv"));
    EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::fetched));
    expect_complete();
}

TEST_F(Fetch, LetsOnlyOneProcessWriteADownload) {
    auto const part = root / ".fetch" / sha256(file("plain").from).substr(0, 16);
    {
        PartFile const held{part};
        EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::failed));
        EXPECT_THAT(errors, HasSubstr("another process"));
    }
    EXPECT_THAT(fetch({file("plain")}), ElementsAre(State::fetched));
    expect_complete();
}

}  // namespace
}  // namespace samner::corpus
