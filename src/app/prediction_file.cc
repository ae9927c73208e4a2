#include "app/prediction_file.h"

#include "score/placed.h"

namespace samner::app {

Json entities_in(std::string_view text, score::Mentions const& mentions, std::int64_t& missing) {
    auto entities = Json::array();
    for (auto const& entity : score::place(text, mentions, missing))
        entities.push_back(
            {{"text", entity.text}, {"type", entity.type}, {"start", entity.span.begin}, {"end", entity.span.end}});
    return entities;
}

}  // namespace samner::app
