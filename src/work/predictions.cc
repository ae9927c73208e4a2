#include "work/predictions.h"

#include "core/json.h"

namespace samner::work {

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
        lines += to_text(line) + "\n";
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

}  // namespace samner::work
