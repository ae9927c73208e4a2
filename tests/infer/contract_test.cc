// The contract of decoding in fp32 on the CPU, with a real model and real sentences: the same bits of every logit
// whatever the batch, the threads, the ranks, the sharing of prompts, within a call and between calls, and the guesses.
// SAMNER_CONTRACT_PROMPTS sets how many prompts are compared (default 10, at most 524); for 50 on two ranks:
//   SAMNER_CONTRACT_PROMPTS=50 mpirun -n 2 build/tests/infer/decoding_contract_test
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "comm/comm.h"
#include "core/hash.h"
#include "core/parallel.h"
#include "infer/generate.h"
#include "mpi_test.h"
#include "token/tokenizer.h"

namespace samner::infer {
namespace {

namespace fs = std::filesystem;

/// Sentences of a corpus in CoNLL layout.
void read_sentences(fs::path const& path, std::size_t most, std::vector<std::string>& sentences) {
    std::ifstream file{path};
    std::string sentence;
    for (std::string line; sentences.size() < most && std::getline(file, line);) {
        if (auto const tab = line.find('\t'); tab != std::string::npos) {
            sentence += (sentence.empty() ? "" : " ") + line.substr(0, tab);
        } else if (!sentence.empty()) {
            sentences.push_back(std::exchange(sentence, {}));
        }
    }
}

class Contract : public testing::Test {
protected:
    static void SetUpTestSuite() {
        auto const path = fs::path{SAMNER_SOURCE_DIR} / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
        set_num_threads(2);
        model = std::make_unique<model::LanguageModel>(
            model::load_language_model(weights::Checkpoint::open(path), *ops, false));
        auto const tokenizer = token::Tokenizer::open(path);
        auto const* const wanted = std::getenv("SAMNER_CONTRACT_PROMPTS");
        std::size_t const most = wanted ? std::strtoul(wanted, nullptr, 10) : 10;
        std::vector<std::string> sentences;
        for (auto const* name : {"crossner-science", "crossner-politics", "ncbi", "wnut2017"}) {
            auto const folder = fs::path{SAMNER_TEST_DATA} / "corpora" / name;
            std::vector<fs::path> files;
            for (auto const& entry : fs::directory_iterator{folder}) files.push_back(entry.path());
            std::ranges::sort(files);
            for (auto const& file : files) read_sentences(file, most, sentences);
        }
        ASSERT_GE(sentences.size(), most);
        for (auto const& sentence : sentences) {
            auto const prompt =
                "List the people, places, organizations and other named things that the sentence mentions, each "
                "with its type, in the order of the text.\nSentence: " +
                sentence + "\nAnswer:";
            requests.push_back({tokenizer.encode(prompt, true), nullptr});
        }
    }
    static void TearDownTestSuite() { model.reset(); }

    /// Of each request a hash of its tokens and of the logits that chose them.
    static std::vector<std::string> traced(std::span<Request const> some, Options options,
                                           PrefixCache* kept = nullptr) {
        options.max_new_tokens = 16;
        std::vector<Sha256> hashes(some.size());
        Observer observer;
        observer.logits = [&](std::size_t request, std::size_t, std::span<float const> logits) {
            hashes[request].update(std::as_bytes(logits));
        };
        auto const completions = generate(*model, *ops, some, options, observer, kept);
        std::vector<std::string> traces;
        for (std::size_t i = 0; i < some.size(); ++i)
            traces.push_back(fmt::format("{} {}", fmt::join(completions[i].tokens, " "), hashes[i].hex()));
        return traces;
    }

    static inline std::unique_ptr<model::Ops> const ops = model::make_cpu_ops();
    static inline std::unique_ptr<model::LanguageModel> model;
    static inline std::vector<Request> requests;
};

/// This rank's share of the requests, one by one on one thread without guesses, is what any batch of all of them gives.
TEST_F(Contract, EveryLogitHasTheSameBitsInAnyBatchOnAnyThreadsAndRanksWithAndWithoutReuseAndGuesses) {
    auto const rank = static_cast<std::size_t>(mpi_session().rank());
    auto const ranks = static_cast<std::size_t>(mpi_session().size());
    set_num_threads(1);
    Options plain;
    plain.num_slots = 1;
    plain.draft_tokens = 0;
    std::vector<std::string> alone(requests.size());
    for (auto i = rank; i < requests.size(); i += ranks) alone[i] = traced({&requests[i], 1}, plain)[0];
    struct Case {
        int threads;
        Options options;
    };
    std::vector<Case> cases(3, {2, {}});
    cases[0].options.draft_tokens = 0;
    cases[1].options.num_slots = 3;
    cases[2].threads = 3;
    cases[2].options.num_slots = 5;
    cases[2].options.max_rows = 48;
    cases[2].options.draft_rows = 25;
    PrefixCache kept;  // from the second case on the instruction comes from here
    for (auto const& [threads, options] : cases) {
        set_num_threads(threads);
        auto const together = traced(requests, options, &kept);
        for (auto i = rank; i < requests.size(); i += ranks)
            EXPECT_EQ(together[i], alone[i])
                << "prompt " << i << ", " << options.num_slots << " slots, " << threads << " threads";
    }
}

}  // namespace
}  // namespace samner::infer
