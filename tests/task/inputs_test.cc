#include "task/inputs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/file.h"
#include "core/json.h"
#include "task/engine.h"
#include "temporary_folder.h"

namespace samner::task {
namespace {

namespace fs = std::filesystem;

/// A sentence encoder that pools by the mean and normalises, in which files can be changed.
class EncoderHash : public testing::Test {
protected:
    EncoderHash() {
        fs::copy(fs::path{SAMNER_TEST_DATA} / "encoders/cls", folder.path(), fs::copy_options::recursive);
        before = encoder_hash(folder.path());
    }
    void change(std::string const& file) { write_atomically(folder / file, read_text(folder / file) + "\n"); }

    TemporaryFolder const folder;
    std::string before;
};

TEST_F(EncoderHash, CoversEveryFileThatEmbeddingsDependOn) {
    for (auto const* file : {"config.json", "config_sentence_transformers.json", "model.safetensors", "modules.json",
                             "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json",
                             "1_Pooling/config.json"}) {
        auto const earlier = encoder_hash(folder.path());
        change(file);
        EXPECT_NE(encoder_hash(folder.path()), earlier) << file;
    }
}

TEST_F(EncoderHash, CoversAPoolingFolderOfAnotherName) {
    fs::rename(folder / "1_Pooling", folder / "pool");
    auto modules = read_json(folder / "modules.json");
    modules.at(1)["path"] = "pool";
    write_atomically(folder / "modules.json", modules.dump());
    auto const renamed = encoder_hash(folder.path());
    change("pool/config.json");
    EXPECT_NE(encoder_hash(folder.path()), renamed);
}

TEST_F(EncoderHash, DoesNotDependOnOtherFilesOrThePlace) {
    write_atomically(folder / "README.md", "about");
    TemporaryFolder const elsewhere;
    fs::copy(folder.path(), elsewhere / "copy", fs::copy_options::recursive);
    EXPECT_EQ(encoder_hash(elsewhere / "copy"), before);
}

}  // namespace
}  // namespace samner::task
