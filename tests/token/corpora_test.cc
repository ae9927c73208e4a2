#include <gtest/gtest.h>

#include <map>

#include "core/hash.h"
#include "core/parallel.h"
#include "corpus/dataset.h"
#include "full_corpora.h"
#include "golden.h"

namespace samner::token {
namespace {

std::filesystem::path const expected_values = std::filesystem::path{SAMNER_TEST_DATA} / "tokenizers/corpora.json";

std::string hash_of_texts(std::vector<corpus::Sentence> const& sentences) {
    Sha256 hash;
    for (auto const& sentence : sentences) hash.update(sentence.text).update(std::string_view{"", 1});
    return hash.hex();
}

/// Over the ids of each sentence and -1.
std::string hash_of_ids(std::vector<corpus::Sentence> const& sentences, Tokenizer const& tokenizer) {
    Sha256 hash;
    for (auto const& sentence : sentences) {
        auto ids = tokenizer.encode(sentence.text, true);
        ids.push_back(-1);
        hash.update(std::as_bytes(std::span{ids}));
    }
    return hash.hex();
}

/// Over the corpora as upstream ships them.
TEST(TokenCorpora, EverySentenceHasTheReferencesIds) {
    auto const* const root = full_corpora();
    if (!root) GTEST_SKIP() << "SAMNER_DATA does not name the full corpora";
    std::filesystem::path const source{SAMNER_SOURCE_DIR};
    std::map<std::string, Tokenizer> tokenizers;
    tokenizers.emplace("smollm2", Tokenizer::open(source / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"));
    tokenizers.emplace("minilm", Tokenizer::from_json(minilm));
    for (auto const* name : {"llama3-style", "qwen2-style"}) tokenizers.emplace(name, style(name));

    auto const expected = read_json(expected_values);
    corpus::Catalogue const catalogue{{source / "configs/data"}};
    std::size_t splits = 0;
    for (auto const& [id, dataset] : catalogue.all()) {
        if (dataset.user_supplied) continue;
        for (auto const& [split, files] : dataset.splits) {
            auto const name = id + "/" + split;
            SCOPED_TRACE(name);
            auto const sentences = corpus::read(dataset, split, root);
            auto const& values = expected.at(name);
            EXPECT_EQ(sentences.size(), values.at("sentences").get<std::size_t>());
            ASSERT_EQ(hash_of_texts(sentences), values.at("texts").get<std::string>());
            for (auto const& [kind, tokenizer] : tokenizers) {
                EXPECT_EQ(hash_of_ids(sentences, tokenizer), values.at(kind).get<std::string>()) << kind;
            }
            ++splits;
        }
    }
    EXPECT_EQ(splits, expected.size());
}

}  // namespace
}  // namespace samner::token
