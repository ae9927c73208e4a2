#include "task/predictions.h"

#include "core/json.h"
#include "infer/generate.h"
#include "task/engine.h"

namespace samner::task {

Predicted predict(Engine& engine, std::vector<corpus::Sentence> const& sentences, corpus::Dataset const& dataset,
                  prompt::Options const& prompt, AdapterSource const& adapter, infer::Options const& options,
                  std::function<void(std::size_t)> const& progress) {
    return std::move(predict(engine, sentences, dataset, prompt, std::vector{adapter}, options, progress).front());
}

std::vector<Predicted> predict(Engine& engine, std::vector<corpus::Sentence> const& sentences,
                               corpus::Dataset const& dataset, prompt::Options const& prompt,
                               std::vector<AdapterSource> const& adapters, infer::Options const& options,
                               std::function<void(std::size_t)> const& progress) {
    std::vector<Engine::Prompt> prompts;
    for (auto const& adapter : adapters) {
        for (auto const& sentence : sentences)
            prompts.push_back({prompt::render(sentence, dataset, prompt).text, adapter, 0, sentence.id});
    }
    auto const completions = engine.generate(prompts, options, progress);
    auto const types = dataset.type_names();
    std::vector<Predicted> results(adapters.size());
    for (std::size_t i = 0; i < completions.size(); ++i) {
        auto const& completion = completions[i];
        auto const& sentence = sentences[i % sentences.size()];
        auto& result = results[i / sentences.size()];
        auto parsed = prompt::parse(completion.text, types, sentence.text, prompt.format);
        result.tokens_in += completion.prompt_tokens;
        result.tokens_out += std::ssize(completion.tokens);
        result.predictions.push_back({sentence.id, sentence.text, std::move(parsed.mentions), completion.text,
                                      !completion.stopped, parsed.unparsable});
    }
    return results;
}

std::string to_jsonl(std::vector<Prediction> const& predictions) {
    std::string lines;
    for (auto const& prediction : predictions) {
        auto entities = Json::array();
        for (auto const& mention : prediction.mentions)
            entities.push_back({{"text", mention.text}, {"type", mention.type}});
        Json const line{{"id", prediction.id},
                        {"text", prediction.text},
                        {"entities", entities},
                        {"completion", prediction.completion},
                        {"finish", prediction.truncated ? "length" : "stop"},
                        {"unparsable", prediction.unparsable}};
        lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return lines;
}

std::vector<Prediction> read_predictions(std::filesystem::path const& path) {
    std::vector<Prediction> predictions;
    for_each_jsonl(path, [&](Json const& line, std::string const& place) {
        auto& prediction = predictions.emplace_back();
        prediction.id = member<std::string>(line, "id", place);
        prediction.text = member<std::string>(line, "text", place);
        prediction.completion = member<std::string>(line, "completion", place);
        prediction.truncated = member<std::string>(line, "finish", place) == "length";
        prediction.unparsable = member<bool>(line, "unparsable", place);
        for (auto const& entity : member<Json>(line, "entities", place)) {
            prediction.mentions.insert(
                {member<std::string>(entity, "text", place), member<std::string>(entity, "type", place)});
        }
    });
    return predictions;
}

std::vector<score::Mentions> read_mentions(std::filesystem::path const& path) {
    std::vector<score::Mentions> mentions;
    for (auto& prediction : read_predictions(path)) mentions.push_back(std::move(prediction.mentions));
    return mentions;
}

}  // namespace samner::task
