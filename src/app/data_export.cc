#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/data_options.h"
#include "core/file.h"
#include "core/json.h"
#include "core/yaml.h"
#include "prompt/training_prompts.h"
#include "work/recipe.h"
#include "work/texts.h"
#include "work/train.h"

namespace samner::app {
namespace {

std::int64_t samples_of(std::string const& text) {
    if (text == "auto") return 0;
    std::int64_t samples = 0;
    auto const* const end = text.data() + text.size();
    auto const [last, error] = std::from_chars(text.data(), end, samples);
    if (error != std::errc{} || last != end || samples < 1)
        throw InputError{fmt::format("--samples is '{}' (command line)", text), "give it 1 or more, or auto"};
    return samples;
}

work::TrainingPrompt prompt_of(ExportOptions const& options) {
    std::string const place = "command line: --parts";
    auto const node = parse_yaml(options.parts, place);
    work::TrainingPrompt how;
    how.parts = prompt::Rates::from_json(to_json(node), node.IsMap() ? YamlMap{node, place}.places() : Places{place});
    if (how.parts && !(options.layout.empty() && options.format.empty())) {
        throw InputError{"--layout and --format are of prompts without parts (command line)",
                         "leave them out: `formats` among the parts has weights of the formats"};
    }
    if (!options.layout.empty()) how.fixed.layout = prompt::parse_layout(options.layout);
    if (!options.format.empty()) how.fixed.format = prompt::parse_format(options.format);
    return how;
}

/// The entities of a sentence that are scored, under the names of their types.
Json gold_entities(corpus::Sentence const& sentence, corpus::Dataset const& dataset) {
    auto entities = Json::array();
    for (auto const& [text, label, span] : sentence.entities) {
        auto const* const type = dataset.type(label);
        if (type == nullptr) continue;
        Json entity{{"text", text}, {"type", type->name}};
        if (span) entity.update({{"start", span->begin}, {"end", span->end}});
        entities.push_back(std::move(entity));
    }
    return entities;
}

/// What was drawn for a prompt.
Json to_json(prompt::Parts const& parts, corpus::Dataset const& dataset) {
    auto dropped = Json::array();
    for (auto const& type : dataset.type_names())
        if (std::ranges::find(parts.types, type) == parts.types.end()) dropped.push_back(type);
    return {{"source", parts.source},
            {"definitions", parts.definitions},
            {"answer_format", parts.answer_format},
            {"demonstrations", parts.demonstrations.size()},
            {"types", parts.types},
            {"dropped", dropped},
            {"masked", parts.masked},
            {"format", prompt::name_of(parts.format)}};
}

/// @param split  of data sets that name none
std::vector<work::DatasetRef> refs_of(DataOptions const& data, std::string const& split) {
    std::vector<work::DatasetRef> refs;
    std::set<std::string> ids;
    for (auto const& name : data.datasets) {
        auto ref = work::parse_dataset_ref(name, split, "command line");
        if (!ids.insert(ref.id).second)
            throw InputError{fmt::format("'{}' is named twice (command line)", ref.id),
                             "join its splits: ID:train+dev"};
        refs.push_back(std::move(ref));
    }
    return refs;
}

/// What lines are made of, which each verb writes.
struct Lines {
    std::string text = {};
    std::size_t count = 0;

    void add(Json const& line) {
        text += to_text(line) + "\n";
        ++count;
    }
};

Lines prompts_of(ExportOptions const& options, work::TextReader& reader) {
    auto const how = prompt_of(options);
    auto const& data = options.data;
    work::Part part;
    part.samples = samples_of(options.samples);
    corpus::SetSize const usual;
    part.between = {usual.at_least, usual.at_most};
    for (auto const& ref : refs_of(data, "train")) part.data.push_back(reader.hashed(ref));
    Lines lines;
    work::for_each_prompt({{part}, options.keep_empty, options.seed}, how, reader, {},
                          [&](prompt::TrainingPrompts const& prompts, std::size_t i) {
                              if (options.count > 0 && std::cmp_equal(lines.count, options.count)) return;
                              auto const rendered = prompts.at(i);
                              lines.add({{"id", fmt::format("{}#{}", prompts.sentence(i).id, prompts.place(i))},
                                         {"prompt", rendered.text},
                                         {"answer", rendered.answer},
                                         {"parts", to_json(prompts.parts(i), prompts.dataset(i))}});
                          });
    return lines;
}

/// Texts or gold, with the ids that predict gives them.
Lines sentences_of(ExportOptions const& options, work::TextReader& reader) {
    if (options.has_prompt_options)
        throw InputError{fmt::format("options of prompts are given with --as {} (command line)", options.as),
                         "leave out all but --count"};
    Lines lines;
    for (auto const& ref : refs_of(options.data, "test")) {
        auto const source = reader.hashed(ref);
        auto const& dataset = reader.dataset(source);
        for (auto const& sentence : reader.sentences(source)) {
            if (options.count > 0 && std::cmp_equal(lines.count, options.count)) return lines;
            Json line{{"id", sentence.id}, {"text", sentence.text}};
            if (options.as == "gold") {
                line["entities"] = gold_entities(sentence, dataset);
                line["types"] = dataset.type_names();
            }
            lines.add(line);
        }
    }
    return lines;
}

}  // namespace

void export_data(ExportOptions const& options) {
    options.out.check_file();
    auto const& data = options.data;
    work::TextReader reader{{data.folders.begin(), data.folders.end()}, data.root, "give --root DIR"};
    reader.catalogue().warn_of_replaced();
    auto const lines = options.as == "prompts" ? prompts_of(options, reader) : sentences_of(options, reader);
    write_atomically(options.out.path, lines.text);
    say_written(options.out.path, options.as == "prompts" ? counted(lines.count, "prompt")
                                  : options.as == "texts" ? counted(lines.count, "text")
                                                          : fmt::format("gold of {}", counted(lines.count, "text")));
}

}  // namespace samner::app
