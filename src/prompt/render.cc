#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "prompt/prompt.h"

namespace samner::prompt {
namespace {

constexpr std::string_view no_entities = "There are no entities.";

std::string quoted(std::string const& text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// [["aspirin", "chemical"], ["pain", "disease"]]
std::string json_answer(std::vector<std::pair<std::string, std::string>> const& pairs) {
    std::string text = "[";
    for (auto const& [mention, type] : pairs) {
        if (text.size() > 1) text += ", ";
        text += fmt::format("[{}, {}]", quoted(mention), quoted(type));
    }
    return text + "]";
}

/// {"aspirin": "chemical", "pain": "disease"}; a mention of two types is named twice
std::string map_answer(std::vector<std::pair<std::string, std::string>> const& pairs) {
    std::string text = "{";
    for (auto const& [mention, type] : pairs) {
        if (text.size() > 1) text += ", ";
        text += fmt::format("{}: {}", quoted(mention), quoted(type));
    }
    return text + "}";
}

/// chemical: aspirin, ibuprofen; disease: pain — or None
std::string enumeration_answer(std::vector<std::pair<std::string, std::string>> const& pairs,
                               std::vector<std::string> const& types) {
    std::string text;
    for (auto const& type : types) {
        std::vector<std::string> mentions;
        for (auto const& [mention, its] : pairs) {
            if (its == type) mentions.push_back(mention);
        }
        if (!mentions.empty())
            text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", type, fmt::join(mentions, ", "));
    }
    return text.empty() ? "None" : text;
}

/// "aspirin" is a chemical. "pain" is a disease. — or: There are no entities.
std::string sentences_answer(std::vector<std::pair<std::string, std::string>> const& pairs) {
    std::string text;
    for (auto const& [mention, type] : pairs) {
        bool const vowel = !type.empty() && std::string_view{"aeiouAEIOU"}.find(type[0]) != std::string_view::npos;
        text += fmt::format("{}\"{}\" is {} {}.", text.empty() ? "" : " ", mention, vowel ? "an" : "a", type);
    }
    return text.empty() ? std::string{no_entities} : text;
}

std::string_view format_instruction(Format format) {
    switch (format) {
        case Format::json:
            return "Answer with a JSON list of [mention, type] pairs.";
        case Format::json_map:
            return "Answer with a JSON object {mention: type}.";
        case Format::enumeration:
            return "Answer as type: mention, mention; type: mention.";
        case Format::sentences:
            break;
    }
    return "Answer in sentences: \"mention\" is a type.";
}

std::string answer_text(Format format, std::vector<std::pair<std::string, std::string>> const& pairs,
                        std::vector<std::string> const& types) {
    switch (format) {
        case Format::json:
            return json_answer(pairs);
        case Format::json_map:
            return map_answer(pairs);
        case Format::enumeration:
            return enumeration_answer(pairs, types);
        case Format::sentences:
            break;
    }
    return sentences_answer(pairs);
}

}  // namespace

Layout parse_layout(std::string_view name) {
    if (name == "short") return Layout::short_;
    if (name == "full") return Layout::full;
    throw InputError{fmt::format("prompt.layout is '{}'", name), "use short or full"};
}

Format parse_format(std::string_view name) {
    if (name == "json") return Format::json;
    if (name == "json_map") return Format::json_map;
    if (name == "enumeration") return Format::enumeration;
    if (name == "sentences") return Format::sentences;
    throw InputError{fmt::format("prompt.format is '{}'", name), "use json, json_map, enumeration or sentences"};
}

Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Options const& options) {
    auto const types = dataset.type_names();
    std::string text = fmt::format("Find the entities of the types {}.\n", fmt::join(types, ", "));
    if (options.layout == Layout::full) {
        text += fmt::format("Source: {}\n", dataset.description);
        for (auto const& type : dataset.types) {
            if (dataset.type(type.label) && !type.definition.empty())
                text += fmt::format("{}: {}\n", type.name, type.definition);
        }
        text += fmt::format("{}\n", format_instruction(options.format));
    }
    auto const instruction = text.size();
    text += fmt::format("Text: {}\nEntities:", sentence.text);

    std::vector<std::pair<std::string, std::string>> pairs;
    std::set<std::pair<std::string, std::string>> seen;
    for (auto const& entity : sentence.entities) {
        auto const* const type = dataset.type(entity.type);
        if (type && !entity.text.empty() && seen.emplace(entity.text, type->name).second)
            pairs.emplace_back(entity.text, type->name);
    }
    return {text, " " + answer_text(options.format, pairs, types), instruction};
}

score::Mentions gold(corpus::Sentence const& sentence, corpus::Dataset const& dataset) {
    score::Mentions mentions;
    for (auto const& entity : sentence.entities) {
        auto const* const type = dataset.type(entity.type);
        auto text = score::normalise(entity.text);
        if (type && !text.empty()) mentions.insert({std::move(text), type->name});
    }
    return mentions;
}

}  // namespace samner::prompt
