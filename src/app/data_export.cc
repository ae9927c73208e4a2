#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
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

}  // namespace

void export_prompts(ExportOptions const& options) {
    auto const how = prompt_of(options);
    auto const& data = options.data;
    work::TextReader reader{{data.folders.begin(), data.folders.end()}, data.root, "give --root DIR"};
    work::Part part;
    part.samples = samples_of(options.samples);
    corpus::SetSize const usual;
    part.between = {usual.at_least, usual.at_most};
    std::set<std::string> ids;
    for (auto const& name : data.datasets) {
        auto const ref = work::parse_dataset_ref(name, "train", "command line");
        if (!ids.insert(ref.id).second)
            throw InputError{fmt::format("'{}' is named twice (command line)", ref.id),
                             "join its splits: ID:train+dev"};
        part.data.push_back(reader.hashed(ref));
    }
    std::string lines;
    std::int64_t written = 0;
    work::for_each_prompt({{part}, options.keep_empty, options.seed}, how, reader, {},
                          [&](prompt::TrainingPrompts const& prompts, std::size_t i) {
                              if (options.count > 0 && written == options.count) return;
                              auto const rendered = prompts.at(i);
                              Json const line{{"id", fmt::format("{}#{}", prompts.sentence(i).id, prompts.place(i))},
                                              {"prompt", rendered.text},
                                              {"answer", rendered.answer},
                                              {"parts", to_json(prompts.parts(i), prompts.dataset(i))}};
                              lines += to_text(line) + "\n";
                              ++written;
                          });
    write_atomically(options.out, lines);
}

}  // namespace samner::app
