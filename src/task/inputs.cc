#include "task/inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "token/tokenizer.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"

namespace samner::task {

plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile const& run) {
    plan::check_names(experiments, run);
    plan::Inputs inputs;
    weights::ModelConfig config;
    {
        Engine const engine{run.base, run.device, run.dtype};
        if (engine.checkpoint().config().end_tokens.empty()) {
            throw InputError{fmt::format("the base model names no end token ({})", run.base),
                             "add eos_token_id to its generation_config.json"};
        }
        inputs.layers = static_cast<int>(engine.checkpoint().config().num_layers);
        inputs.base = sha256(engine.checkpoint().content_hash() + engine.tokenizer().hash());
        inputs.arithmetic = engine.arithmetic();
        config = engine.checkpoint().config();
    }
    inputs.of_encoder = TextEncoder{run.encoder, run.device}.arithmetic();
    inputs.encoder = encoder_hash(run.encoder);
    work::TextReader reader{{run.datasets.begin(), run.datasets.end()}, run.data};
    for (auto const& [name, expert] : run.experts) {
        auto& corpora = inputs.experts[name];
        if (!expert.adapter.empty()) {
            weights::check_fits(weights::read_adapter(expert.adapter), config);
            corpora.adapter = weights::adapter_hash(expert.adapter);
        }
        for (auto const& ref : expert.refs()) {
            auto source = reader.hashed(ref);
            corpora.sentences += std::ssize(reader.sentences(source));
            corpora.sources.push_back(std::move(source));
        }
    }
    for (auto const& [name, given] : run.targets) {
        auto& target = inputs.targets[name];
        target.texts.sources.emplace_back(reader.hashed({given.dataset, {given.split}}));
        if (given.sentences > 0) target.texts.views.emplace_back(work::First{given.sentences});
        target.sentences = std::ssize(reader.read(target.texts));
        if (target.sentences == 0)
            throw InputError{fmt::format("target '{}' has no sentences ({}/{})", name, given.dataset, given.split)};
    }
    return inputs;
}

Workplace workplace_of(plan::RunFile const& run, std::filesystem::path const& checkpoints) {
    return {run.base,
            run.encoder,
            run.data,
            {run.datasets.begin(), run.datasets.end()},
            run.device,
            run.dtype,
            run.infer.max_kept_tokens,
            checkpoints};
}

}  // namespace samner::task
