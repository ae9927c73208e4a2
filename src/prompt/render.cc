#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "prompt/prompt.h"

namespace samner::prompt {
namespace {

constexpr std::string_view no_entities = "There are no entities.";

std::string quoted(std::string const& text) {
    return to_text(text);
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

/// A sentence's entities and what the prompt calls their types, each once; those that are not asked for are left out.
std::vector<std::pair<std::string, std::string>> pairs_of(
    corpus::Sentence const& sentence, corpus::Dataset const& dataset,
    std::function<std::string const*(std::string const&)> const& label) {
    std::vector<std::pair<std::string, std::string>> pairs;
    std::set<std::pair<std::string, std::string>> seen;
    for (auto const& entity : sentence.entities) {
        auto const* const type = dataset.type(entity.type);
        auto const* const name = type ? label(type->name) : nullptr;
        if (name && !entity.text.empty() && seen.emplace(entity.text, *name).second)
            pairs.emplace_back(entity.text, *name);
    }
    return pairs;
}

}  // namespace

Layout parse_layout(std::string_view name) {
    return value_named<Layout>(name, "prompt.layout", "prompt options");
}

Format parse_format(std::string_view name) {
    return value_named<Format>(name, "prompt.format", "prompt options");
}

std::optional<Format> parse_format_or_auto(std::string_view name) {
    if (name == "auto") return std::nullopt;
    auto known = names_of_values<Format>();
    known.emplace_back("auto");
    if (std::ranges::find(known, name) == known.end()) refuse_name(std::string{name}, known, "--format", "command line");
    return parse_format(name);
}

std::string_view name_of(Format format) {
    return name_of_value(format);
}

Parts parts_of(corpus::Dataset const& dataset, Options const& options) {
    bool const full = options.layout == Layout::full;
    return {dataset.type_names(), false, full, full, full, {}, options.format};
}

std::vector<std::string> labels(Parts const& parts) {
    if (!parts.masked) return parts.types;
    std::vector<std::string> names;
    for (std::size_t i = 1; i <= parts.types.size(); ++i) names.push_back(fmt::format("Type{}", i));
    return names;
}

score::Mentions unmasked(score::Mentions const& mentions, Parts const& parts) {
    auto const names = labels(parts);
    score::Mentions result;
    for (auto const& mention : mentions) {
        auto const found = std::ranges::find(names, mention.type);
        if (found != names.end())
            result.insert({mention.text, parts.types[static_cast<std::size_t>(found - names.begin())]});
    }
    return result;
}

Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Parts const& parts) {
    auto const names = labels(parts);
    /// The label of a type's name; null when it is not asked for.
    auto const label = [&](std::string const& type) -> std::string const* {
        auto const found = std::ranges::find(parts.types, type);
        return found == parts.types.end() ? nullptr : &names[static_cast<std::size_t>(found - parts.types.begin())];
    };
    auto const answer = [&](corpus::Sentence const& of) {
        return answer_text(parts.format, pairs_of(of, dataset, label), names);
    };
    auto const input = [](corpus::Sentence const& of) { return fmt::format("Text: {}\nEntities:", of.text); };

    std::string text = fmt::format("Find the entities of the types {}.\n", fmt::join(names, ", "));
    if (parts.source) text += fmt::format("Source: {}\n", dataset.description);
    if (parts.definitions) {
        for (auto const& type : dataset.types) {
            auto const* const name = label(type.name);
            if (name && !type.definition.empty() && dataset.type(type.label))
                text += fmt::format("{}: {}\n", *name, type.definition);
        }
    }
    if (parts.answer_format) text += fmt::format("{}\n", format_instruction(parts.format));
    for (auto const* const example : parts.demonstrations)
        text += fmt::format("{} {}\n", input(*example), answer(*example));
    auto const instruction = text.size();
    return {text + input(sentence), " " + answer(sentence), instruction};
}

Prompt render(corpus::Sentence const& sentence, corpus::Dataset const& dataset, Options const& options) {
    return render(sentence, dataset, parts_of(dataset, options));
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
