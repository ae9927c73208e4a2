#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "app/command_line.h"
#include "app/output.h"
#include "app/prediction_file.h"
#include "app/verbs.h"
#include "core/input_lines.h"
#include "core/json.h"
#include "corpus/encoding.h"
#include "prompt/score_files.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::vector<fs::path> predictions;
    std::string how;
    std::vector<std::string> types;
    std::string format = "json";
    Output out;
};

/// The sentences that all files answer, in the order of the first one.
struct Sentences {
    std::vector<prompt::GoldLine> lines;  ///< without gold
    std::vector<Json> ids;                ///< as the first file has them
};

Sentences read_sentences(Options const& options) {
    Sentences sentences;
    auto types = options.types;
    for (auto& type : types) type = corpus::composed(type);
    std::unordered_map<std::string, std::size_t> index;
    for (auto const& path : options.predictions) {
        bool const is_first = path == options.predictions.front();
        for_each_jsonl(path, [&](Json const& line, std::string const& place) {
            auto const id = id_of(line, place);
            auto found = index.find(id);
            if (found == index.end()) {
                if (!is_first) return;  // refused where answers are read
                found = index.emplace(id, sentences.lines.size()).first;
                auto& sentence = sentences.lines.emplace_back();
                sentence.id = id;
                sentence.types = types;
                sentence.place = place;
                sentences.ids.push_back(line.at("id"));
            }
            if (!line.contains("text")) return;
            auto const text = member<std::string>(line, "text", place);
            auto& known = sentences.lines[found->second];
            if (known.text.empty()) known.text = text;
            if (known.text != text)
                throw InputError{
                    fmt::format("id {} has another text than before ({}, first {})", id, place, known.place),
                    "combine predictions of the same sentences"};
        });
    }
    return sentences;
}

void combine(Options const& options) {
    auto const how = score::parse_combination(options.how, "--how");
    auto const format = prompt::parse_format_or_auto(options.format);
    options.out.check_file();
    auto const sentences = read_sentences(options);
    std::vector<std::vector<score::Mentions>> answers(sentences.lines.size());
    for (auto const& path : options.predictions) {
        auto const of_file = prompt::read_answers(path, sentences.lines, format);
        for (std::size_t i = 0; i < of_file.size(); ++i)
            for (auto const& answer : of_file[i]) {
                auto& mentions = answers[i].emplace_back();
                for (auto const& entity : answer.entities) mentions.insert(entity.mention);
            }
    }
    std::string lines;
    std::int64_t entities = 0;
    std::int64_t not_in_text = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        auto const& sentence = sentences.lines[i];
        auto const mentions = score::combine(how, answers[i], sentence.types);
        std::int64_t missing = 0;
        Json line{{"id", sentences.ids[i]}, {"text", sentence.text}};
        if (sentence.text.empty()) {  // no file has it: there are only texts as they are compared
            line.erase("text");
            line["entities"] = Json::array();
            for (auto const& mention : mentions)
                line["entities"].push_back({{"text", mention.text}, {"type", mention.type}});
        } else {
            line["entities"] = entities_in(sentence.text, mentions, missing);
        }
        entities += std::ssize(line["entities"]);
        not_in_text += missing;
        lines += to_text(line) + "\n";
    }
    if (not_in_text > 0) spdlog::warn("{} mentions are not in their texts, and left out", not_in_text);
    write_atomically(options.out.path, lines);
    say_written(options.out.path,
                fmt::format("{} with {} entities, the {} of {}", counted(answers.size(), "prediction"), entities,
                            options.how, counted(options.predictions.size(), "file")));
}

}  // namespace

void add_combine_verb(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("combine", "Make one answer of several to each sentence");
    verb->add_option("PRED", options->predictions,
                     "PREDICTIONS.jsonl of the same sentences: {\"id\", \"text\", \"entities\"} a line, or "
                     "\"completion\" with --types")
        ->required();
    verb->add_option("--how", options->how, "union, intersection, or vote: what at least half of the answers name")
        ->required();
    verb->add_option("--types", options->types,
                     "type names, to read completions; of types that as many name, the first here wins a vote, and "
                     "without --types the first in byte order")
        ->delimiter(',');
    verb->add_option("--format", options->format,
                     "of completions: json, json_map, enumeration, sentences, or auto: told apart by them")
        ->capture_default_str();
    add_output_options(*verb, options->out, "PREDICTIONS.jsonl");
    add_examples(*verb, "samner combine one.jsonl two.jsonl --how union --out union.jsonl");
    verb->callback([options] { combine(*options); });
}

}  // namespace samner::app
