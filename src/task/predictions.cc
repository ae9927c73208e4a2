#include "task/predictions.h"

#include <map>

#include "infer/generate.h"
#include "task/engine.h"

namespace samner::task {

std::vector<Predicted> predict(Engine& engine, std::vector<work::Text> const& texts, prompt::Options const& prompt,
                               std::vector<AdapterSource> const& adapters, infer::Options const& options,
                               std::function<void(std::size_t)> const& progress, std::uint64_t sample,
                               std::function<void(std::size_t, work::Prediction const&)> const& predicted) {
    std::vector<Engine::Prompt> prompts;
    for (auto const& adapter : adapters) {
        for (auto const& [sentence, dataset] : texts)
            prompts.push_back({prompt::render(*sentence, *dataset, prompt).text, adapter, sample, sentence->id});
    }
    std::map<corpus::Dataset const*, std::vector<std::string>> types;
    for (auto const& text : texts) {
        if (!types.contains(text.dataset)) types[text.dataset] = text.dataset->type_names();
    }
    auto const read = [&](std::size_t i, Engine::Completion const& completion) -> work::Prediction {
        auto const& [sentence, dataset] = texts[i % texts.size()];
        auto parsed = prompt::parse(completion.text, types.at(dataset), sentence->text, prompt.format);
        return {sentence->id,        sentence->text,    std::move(parsed.mentions),        completion.text,
                !completion.stopped, parsed.unparsable, std::ssize(parsed.not_in_sentence)};
    };
    std::function<void(std::size_t, Engine::Completion const&)> completed;
    if (predicted)
        completed = [&](std::size_t i, Engine::Completion const& completion) { predicted(i, read(i, completion)); };
    auto const completions = engine.generate(prompts, options, progress, completed);
    std::vector<Predicted> results(adapters.size());
    for (std::size_t i = 0; i < completions.size(); ++i) {
        auto const& completion = completions[i];
        auto& result = results[i / texts.size()];
        result.tokens_in += completion.prompt_tokens;
        result.tokens_out += std::ssize(completion.tokens);
        result.predictions.push_back(read(i, completion));
    }
    return results;
}

}  // namespace samner::task
