#include "model/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "model/ops.h"
#include "temporary_folder.h"
#include "token/tokenizer.h"

namespace samner::model {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path const encoders = fs::path{SAMNER_TEST_DATA} / "encoders";

class SentenceEncoders : public testing::TestWithParam<char const*> {};

TEST_P(SentenceEncoders, GiveTheEmbeddingsOfSentenceTransformers) {
    auto const ops = make_cpu_ops();
    auto const folder = encoders / GetParam();
    auto const expected = read_json(encoders / (std::string{GetParam()} + ".expected.json"));
    Encoder const encoder{folder, *ops};
    auto const tokenizer = token::Tokenizer::open(folder);
    EXPECT_EQ(encoder.max_length(), expected["max_length"].get<std::int64_t>());
    std::vector<Ids> texts;
    for (auto const& text : expected["texts"]) {
        texts.push_back(
            tokenizer.encode_truncated(text.get<std::string>(), static_cast<std::size_t>(encoder.max_length())));
    }
    EXPECT_EQ(texts, expected["ids"].get<std::vector<Ids>>());
    auto const embeddings = encoder.encode(texts).encoded;
    std::vector<float> wanted;
    for (auto const& row : expected["embeddings"]) {
        for (auto const& value : row) wanted.push_back(value.get<float>());
    }
    ASSERT_EQ(embeddings.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(embeddings[i], wanted[i], 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Folders, SentenceEncoders, testing::Values("cls", "mean-normalised"),
                         [](auto const& parameter) {
                             return std::string{parameter.param} == "cls" ? "Cls" : "MeanNormalised";
                         });

/// A folder of an encoder in which single files can be changed.
class EncoderFolder : public testing::Test {
protected:
    EncoderFolder() { fs::copy(encoders / "cls", folder.path(), fs::copy_options::recursive); }

    void change(std::string const& file, std::string const& pointer, char const* value) {
        auto json = read_json(folder / file);
        json[Json::json_pointer{pointer}] = Json::parse(value);
        write_atomically(folder / file, json.dump());
    }
    std::string complaint() const {
        try {
            Encoder{folder.path(), *ops};
        } catch (InputError const& error) {
            return describe(error);
        }
        return "none";
    }

    TemporaryFolder folder;
    std::unique_ptr<Ops> ops = make_cpu_ops();
};

TEST_F(EncoderFolder, WithModulesOrSettingsThatAreNotThereIsRefusedByName) {
    struct Case {
        char const *file, *pointer, *value, *named, *supported;
    };
    std::vector<Case> const cases{
        {"modules.json", "/1/type", R"("sentence_transformers.models.Dense")", "models.Dense", "Pooling"},
        {"modules.json", "/1/type", R"("sentence_transformers.models.Normalize")", "models.Normalize", "behind it"},
        {"modules.json", "/0/type", R"("sentence_transformers.models.CLIPModel")", "CLIPModel", "Transformer"},
        {"modules.json", "/1/path", R"("../1_Pooling")", "'../1_Pooling' leads out", "modules.json"},
        {"modules.json", "", R"([{"type": "Transformer", "path": ""}])", "no module pools", "Pooling"},
        {"1_Pooling/config.json", "/pooling_mode", R"("max")", "pools by max", "mean and cls"},
        {"1_Pooling/config.json", "/pooling_mode", R"(["mean", "cls"])", "mean and cls (", "mean and cls"},
        {"1_Pooling/config.json", "", R"({"pooling_mode_max_tokens": true, "pooling_mode_mean_tokens": false})",
         "pools by max", "mean and cls"},
        {"1_Pooling/config.json", "", "{}", "pools by nothing", "mean and cls"},
        {"config.json", "/model_type", R"("roberta")", "'roberta'", "BERT"},
        {"config.json", "/hidden_act", R"("relu")", "'relu'", "gelu"},
        {"config.json", "/position_embedding_type", R"("relative_key")", "'relative_key'", "absolute"},
        {"config.json", "/type_vocab_size", "2", "token_type_embeddings", "[3, 16]"},
        {"config.json", "/num_attention_heads", "3", "hidden 16, heads 3", "config.json"},
        {"sentence_bert_config.json", "/do_lower_case", "true", "'do_lower_case' is true", "normalizer"},
        {"sentence_bert_config.json", "/max_seq_length", "0", "takes 0 tokens", "1 or more"},
        {"config_sentence_transformers.json", "", R"({"default_prompt_name": "query", "prompts": {"query": "find: "}})",
         "prompt 'query'", "default prompt"},
    };
    for (auto const& [file, pointer, value, named, supported] : cases) {
        SCOPED_TRACE(value);
        auto const before = read_text(folder / file);
        change(file, pointer, value);
        EXPECT_THAT(complaint(), AllOf(HasSubstr(named), HasSubstr(supported)));
        write_atomically(folder / file, before);
    }
    EXPECT_EQ(complaint(), "none");
}

TEST_F(EncoderFolder, WithoutModulesIsPooledByTheMeanAsSentenceTransformersDoes) {
    fs::remove(folder / "modules.json");
    std::vector<Ids> const texts{{2, 57, 23, 3}};
    auto const embeddings = Encoder{folder.path(), *ops}.encode(texts);
    EXPECT_EQ(embeddings.encoded, embeddings.pooled);
    auto const first = Encoder{encoders / "cls", *ops}.encode(texts);
    EXPECT_NE(embeddings.pooled, first.pooled);
}

TEST_F(EncoderFolder, SaysHowManyTokensItTakes) {
    change("sentence_bert_config.json", "/max_seq_length", "7");
    EXPECT_EQ((Encoder{folder.path(), *ops}.max_length()), 7);
    change("sentence_bert_config.json", "/max_seq_length", "null");
    change("tokenizer_config.json", "/model_max_length", "1000000000000000019884624838656");
    EXPECT_EQ((Encoder{folder.path(), *ops}.max_length()), 24);  // its positions
    EXPECT_THAT([&] { Encoder(folder.path(), *ops).encode(std::vector<Ids>{Ids(25, 5)}); },
                ThrowsMessage<InputError>(HasSubstr("25 tokens, the encoder takes 1 to 24")));
}

}  // namespace
}  // namespace samner::model
