#include "task/inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "corpus/dataset.h"
#include "prompt/prompt.h"
#include "prompt/training_prompts.h"
#include "task/engine.h"
#include "task/executor.h"
#include "token/tokenizer.h"
#include "train/trainer.h"
#include "weights/checkpoint.h"

namespace samner::task {
namespace {

std::string encoder_hash(std::filesystem::path const& folder) {
    TextEncoder const checked{folder, "cpu"};
    std::string hashes;
    for (auto const* name :
         {"config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json", "sentence_bert_config.json"}) {
        if (std::filesystem::exists(folder / name)) hashes += fmt::format("{} {}\n", name, sha256_file(folder / name));
    }
    return sha256(hashes);
}

}  // namespace

plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile& run) {
    plan::check_names(experiments, run);
    auto const precision = parse_precision(run.dtype, "run file");
    if (!run.train.contains("dtype")) run.train["dtype"] = run.dtype;
    auto const training = train::Options::from_json(run.train, "train");
    if (training.dtype != precision)
        throw InputError{
            fmt::format("train.dtype is {} and dtype is {} (run file)", to_string(training.dtype), run.dtype),
            "leave train.dtype out: a run computes in one"};
    run.train = training.to_json();
    prompt::parse_layout(run.prompt.layout);
    prompt::parse_format(run.prompt.format);
    auto const rates = prompt::Rates::from_json(run.prompt.parts, "prompt.parts");
    run.prompt.parts = rates ? rates->to_json() : Json("none");
    plan::Inputs inputs;
    {
        Engine const engine{run.base, run.device, precision};
        if (engine.checkpoint().config().end_tokens.empty()) {
            throw InputError{fmt::format("the base model names no end token ({})", run.base),
                             "add eos_token_id to its generation_config.json"};
        }
        inputs.layers = static_cast<int>(engine.checkpoint().config().num_layers);
        inputs.base = sha256(engine.checkpoint().content_hash() + engine.tokenizer().hash());
    }
    inputs.encoder = encoder_hash(run.encoder);
    auto const root = data_root(run);
    corpus::Catalogue const catalogue{{run.datasets.begin(), run.datasets.end()}};
    auto const examine = [&](std::string const& id, std::string const& split) {
        auto const& dataset = catalogue.at(id);
        auto& hash = inputs.data[id + "/" + split];
        if (hash.empty()) hash = corpus::split_hash(dataset, split, root);
        return std::ssize(corpus::read(dataset, split, root));
    };
    std::map<std::string, std::int64_t> sizes;
    for (auto const& [name, expert] : run.experts) {
        for (auto const& dataset : expert.datasets) {
            auto const ref = plan::parse_data_ref(dataset);
            for (auto const& split : ref.splits) {
                auto const [size, unknown] = sizes.try_emplace(ref.id + "/" + split);
                if (unknown) size->second = examine(ref.id, split);
                inputs.to_draw_from[name] += size->second;
            }
        }
    }
    for (auto const& [name, target] : run.targets) {
        auto const sentences = examine(target.dataset, target.split);
        if (sentences == 0)
            throw InputError{fmt::format("target '{}' has no sentences ({}/{})", name, target.dataset, target.split)};
        inputs.sentences[name] = target.sentences > 0 ? std::min(target.sentences, sentences) : sentences;
    }
    return inputs;
}

}  // namespace samner::task
