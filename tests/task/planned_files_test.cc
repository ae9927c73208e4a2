#include "task/planned_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "core/hash_memory.h"
#include "core/json.h"
#include "plan/experiment.h"
#include "store/artifacts.h"
#include "task/inputs.h"
#include "temporary_folder.h"
#include "token/tokenizer.h"

// A run is planned with experiments/tiny.yaml and models of its own, which then change before a rank reads them.
namespace samner::task {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PlannedRun : public testing::Test {
protected:
    PlannedRun() {
        fs::current_path(SAMNER_SOURCE_DIR);
        fs::create_directories(base);
        for (auto const* name : {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"})
            fs::copy_file(fs::path{SAMNER_TEST_DATA} / "tiny" / name, base / name);
        fs::copy(fs::path{SAMNER_TEST_DATA} / "encoders/cls", encoder, fs::copy_options::recursive);
        run = plan::load_run_file("configs/runs/tiny.yaml", {"base=" + base.string(), "encoder=" + encoder.string()});
    }
    plan::Inputs examine(FileHash const& hash = sha256_file) const {
        return examine_inputs(plan::load_experiments({"experiments/tiny.yaml"}), run, hash);
    }
    Context on_a_rank(plan::Inputs const& inputs) const {
        return {workplace_of(run, folder / "checkpoints", inputs.files), artifacts};
    }
    /// Another last byte, in the same file: who has mapped it sees that.
    static void change_in_place(fs::path const& file) {
        auto const last = static_cast<char>(read_text(file).back() ^ 1);
        std::fstream{file, std::ios::in | std::ios::out}.seekp(-1, std::ios::end).put(last);
    }
    static auto says_changed(fs::path const& file) {
        return ThrowsMessage<InputError>(AllOf(HasSubstr(file.string()), HasSubstr("has changed since this run")));
    }

    TemporaryFolder const folder;
    fs::path const base = folder / "base";
    fs::path const encoder = folder / "encoder";
    store::Artifacts const artifacts{folder / "artifacts"};
    plan::RunFile run;
};

TEST_F(PlannedRun, ReadsModelsThatAreAsTheyWere) {
    auto context = on_a_rank(examine());
    EXPECT_FALSE(context.engine().logits({1, 2}, {}).empty());
    EXPECT_GT(context.engine().tokenizer().vocabulary_size(), 0);
    EXPECT_EQ(context.encoder().encode({std::string{"travel"}}).size(),
              static_cast<std::size_t>(context.encoder().dimension()));
}

TEST_F(PlannedRun, ReadsCopiesOfOtherTimes) {
    auto const inputs = examine();
    for (auto const& entry : fs::directory_iterator{base}) fs::last_write_time(entry, fs::file_time_type::clock::now());
    auto context = on_a_rank(inputs);
    EXPECT_FALSE(context.engine().logits({1, 2}, {}).empty());
}

TEST_F(PlannedRun, RefusesABaseThatChangedBeforeItIsOpened) {
    for (auto const* name : {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}) {
        auto context = on_a_rank(examine());
        auto const before = read_text(base / name);
        write_atomically(base / name, before + " ");
        EXPECT_THAT([&] { context.engine(); }, says_changed(base / name));
        write_atomically(base / name, before);
    }
}

TEST_F(PlannedRun, RefusesABaseThatChangedBetweenOpeningAndLoading) {
    auto context = on_a_rank(examine());
    auto& engine = context.engine();
    change_in_place(base / "model.safetensors");
    EXPECT_THAT([&] { engine.logits({1, 2}, {}); }, says_changed(base / "model.safetensors"));
    EXPECT_THAT(
        [&] {
            engine.logits({1, 2}, {});
        },
        says_changed(base / "model.safetensors"))
        << "what was read of it is not kept";
}

TEST_F(PlannedRun, RefusesABaseWithAFileThatWasNotThere) {
    fs::rename(base / "generation_config.json", folder / "aside");
    auto config = read_json(base / "config.json");
    config["eos_token_id"] = read_json(folder / "aside")["eos_token_id"];
    write_atomically(base / "config.json", config.dump());
    auto context = on_a_rank(examine());
    fs::rename(folder / "aside", base / "generation_config.json");
    EXPECT_THAT([&] { context.engine(); }, says_changed(base / "generation_config.json"));
}

TEST_F(PlannedRun, RefusesAnEncoderThatChanged) {
    for (auto const* name : {"model.safetensors", "modules.json", "1_Pooling/config.json", "tokenizer.json"}) {
        auto context = on_a_rank(examine());
        auto const before = read_text(encoder / name);
        write_atomically(encoder / name, before + " ");
        EXPECT_THAT([&] { context.encoder(); }, says_changed(encoder / name));
        write_atomically(encoder / name, before);
    }
}

TEST_F(PlannedRun, HasTheSameKeysFromHashesThatAreRememberedAndReadsNoModelForThem) {
    auto const expected = examine();
    for (bool const again : {false, true}) {
        HashMemory memory{folder / "hashes", {1000, std::chrono::seconds{0}}};
        auto const inputs = examine(memory.hasher());
        EXPECT_EQ(inputs.base, expected.base);
        EXPECT_EQ(inputs.encoder, expected.encoder);
        for (auto const& [name, corpora] : expected.experts)
            EXPECT_EQ(inputs.experts.at(name).sources, corpora.sources) << name;
        for (auto const& [name, target] : expected.targets)
            EXPECT_EQ(inputs.targets.at(name).texts, target.texts) << name;
        EXPECT_EQ(memory.cost().hashed == 0, again);
        EXPECT_EQ(memory.cost().remembered > 0, again);
    }
}

}  // namespace
}  // namespace samner::task
