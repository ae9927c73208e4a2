// Counts where decoding differs: the same prompts, greedily, by samner's kernels in one batch and
//   plain   by the same kernels one prompt after the other, a token a pass (the contract: no difference at all)
//   fp32    by libtorch's operators
//   bf16    by libtorch's operators in bf16
// and prints, for every sequence that diverges, its first other token and by how much the best logit led the second
// there: a lead below the noise of the arithmetic is a tie, a large one a fault.
//   decode_compare MODEL PROMPTS.jsonl plain|fp32|bf16 [NEW_TOKENS (16) [PROMPTS (all)]]      {"prompt"} a line
// Ends with 1 where `plain` differs.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/parallel.h"
#include "infer/generate.h"
#include "token/tokenizer.h"

namespace samner::infer {
namespace {

/// How far the largest of some numbers is above the second.
float lead(std::span<float const> logits) {
    auto best = -std::numeric_limits<float>::infinity();
    auto second = best;
    for (float const logit : logits) {
        second = std::max(second, std::min(best, logit));
        best = std::max(best, logit);
    }
    return best - second;
}

std::vector<Completion> by_libtorch(weights::Checkpoint const& checkpoint, Precision precision,
                                    std::span<Request const> requests, Options const& options) {
    auto const ops = model::make_aten_ops("cpu", precision);
    return generate(model::load_language_model(checkpoint, *ops, false), *ops, requests, options);
}

std::vector<Completion> one_by_one(model::LanguageModel const& model, model::Ops const& ops,
                                   std::span<Request const> requests, Options options) {
    options.num_slots = 1;
    options.draft_tokens = 0;
    std::vector<Completion> all;
    for (std::size_t i = 0; i < requests.size(); ++i)
        all.push_back(std::move(generate(model, ops, requests.subspan(i, 1), options).front()));
    return all;
}

int compare(std::string const& path, std::string const& prompts, std::string const& against, std::int64_t new_tokens,
            std::size_t most) {
    auto const checkpoint = weights::Checkpoint::open(path);
    auto const tokenizer = token::Tokenizer::open(path);
    std::vector<Request> requests;
    for_each_jsonl(prompts, [&](Json const& line, std::string const& place) {
        if (requests.size() < most)
            requests.push_back({tokenizer.encode(member<std::string>(line, "prompt", place), true), nullptr});
    });
    Options options;
    options.max_new_tokens = new_tokens;
    options.end_tokens = checkpoint.config().end_tokens;
    auto const ops = model::make_cpu_ops();
    auto const model = model::load_language_model(checkpoint, *ops, false);
    std::vector<std::vector<float>> leads(requests.size());
    Observer observer;
    observer.logits = [&](std::size_t request, std::size_t, std::span<float const> logits) {
        leads[request].push_back(lead(logits));
    };
    auto const reference = generate(model, *ops, requests, options, observer);
    auto const others = against == "plain"
                            ? one_by_one(model, *ops, requests, options)
                            : by_libtorch(checkpoint, parse_precision(against, "command line"), requests, options);
    std::size_t diverging = 0;
    std::size_t tokens = 0;
    std::vector<float> all;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        auto const& expected = reference[i].tokens;
        auto const& found = others[i].tokens;
        tokens += expected.size();
        all.insert(all.end(), leads[i].begin(), leads[i].end());
        if (expected == found) continue;
        ++diverging;
        auto const at = static_cast<std::size_t>(std::ranges::mismatch(expected, found).in1 - expected.begin());
        if (at < expected.size() && at < found.size()) {
            fmt::print("prompt {}: token {} is {}, not {}; the lead there is {:.3g}\n", i, at, found[at], expected[at],
                       leads[i][at]);
        } else {
            fmt::print("prompt {}: {} tokens, not {}\n", i, found.size(), expected.size());
        }
    }
    std::ranges::sort(all);
    fmt::print("{} of {} sequences diverge, {} tokens", diverging, requests.size(), tokens);
    if (!all.empty()) fmt::print("; leads: smallest {:.3g}, median {:.3g}", all.front(), all[all.size() / 2]);
    fmt::print("\n");
    return against == "plain" && diverging > 0 ? 1 : 0;
}

}  // namespace
}  // namespace samner::infer

int main(int argc, char** argv) {
    if (argc < 4 || argc > 6) {
        fmt::print(stderr, "usage: decode_compare MODEL PROMPTS.jsonl plain|fp32|bf16 [NEW_TOKENS [PROMPTS]]\n");
        return 2;
    }
    samner::set_num_threads(static_cast<int>(std::thread::hardware_concurrency()));
    try {
        return samner::infer::compare(argv[1], argv[2], argv[3], argc > 4 ? std::atoll(argv[4]) : 16,
                                      argc > 5 ? std::strtoul(argv[5], nullptr, 10) : static_cast<std::size_t>(-1));
    } catch (std::exception const& error) {
        fmt::print(stderr, "error: {}\n", samner::describe(error));
        return 2;
    }
}
