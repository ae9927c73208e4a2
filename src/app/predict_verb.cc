#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/command_line.h"
#include "app/decoding_options.h"
#include "app/library.h"
#include "app/output.h"
#include "app/prediction_file.h"
#include "app/progress.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/fields.h"
#include "core/growing_file.h"
#include "core/hash.h"
#include "core/hash_memory.h"
#include "task/engine.h"
#include "task/inputs.h"
#include "task/predictions.h"
#include "token/tokenizer.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "work/predictions.h"
#include "work/texts.h"

namespace samner::app {
namespace {

struct Options {
    ModelOptions model;
    DecodingOptions decoding;
    std::string fold = "never";
    Output out;
};

/// What is predicted, read and checked.
struct Input {
    work::Texts source;
    std::vector<work::Text> texts;
    std::vector<Json> ids;  ///< as the input has them
};

Input read_input(TargetOptions const& target, work::TextReader& reader) {
    Input input;
    input.source = target.texts(reader);
    input.texts = reader.read(input.source);
    if (target.described()) {
        for (auto const& text : input.texts) input.ids.emplace_back(text.sentence->id);
    } else {
        for_each_jsonl(target.in, [&](Json const& line, std::string const&) { input.ids.push_back(line.at("id")); });
    }
    return input;
}

/// What lines depend on, each by a hash.
Json settings_of(Options const& options, task::Engine const& engine, Input const& input, prompt::Options const& prompt,
                 infer::Options const& decoding, FileHash const& hash) {
    auto const& adapter = options.model.adapter;
    Json sources = Json::array();
    for (auto const& source : input.source.sources) sources.push_back(key_of(source));
    Json settings{{"layout", name_of_value(prompt.layout)},
                  {"format", name_of_value(prompt.format)},
                  {"max_new_tokens", decoding.max_new_tokens},
                  {"fold", name_of_value(decoding.fold)},
                  {"arithmetic", key_of(engine.arithmetic())}};
    if (!engine.arithmetic().exact()) settings["num_slots"] = decoding.num_slots;
    return {{"model", task::base_hash(engine, hash)},
            {"adapter", adapter.empty() ? "none" : weights::adapter_hash(adapter, hash)},
            {"input", sha256(canonical(sources))},
            {"settings", sha256(canonical(settings))}};
}

/// What a file of predictions has come to.
struct Counts {
    std::int64_t entities = 0;
    std::int64_t not_in_text = 0;
    std::int64_t unparsable = 0;

    void add(Json const& line) {
        entities += std::ssize(line.at("entities"));
        not_in_text += line.at("not_in_text").get<std::int64_t>();
        unparsable += line.at("unparsable") == true;
    }
};

/// @throws InputError unless a line can be the prediction of a text
Json checked_line(std::string_view bytes, Json const& id, std::string const& text) {
    auto line = parse_json(bytes, "a line that is there");
    bool const fits = line.is_object() && line.value("id", Json{}) == id &&
                      to_text(line.value("text", Json{})) == to_text(Json(text)) &&
                      line.value("entities", Json{}).is_array() &&
                      line.value("not_in_text", Json{}).is_number_integer() && line.contains("unparsable");
    if (!fits) throw InputError{fmt::format("a line is not the prediction of id {}", to_text(id))};
    return line;
}

Json line_of(Json const& id, work::Prediction const& prediction) {
    std::int64_t missing = 0;
    auto entities = entities_in(prediction.text, prediction.mentions, missing);
    return {{"id", id},
            {"text", prediction.text},
            {"entities", std::move(entities)},
            {"completion", prediction.completion},
            {"finish", prediction.truncated ? "length" : "stop"},
            {"unparsable", prediction.unparsable},
            {"not_in_text", prediction.not_in_text + missing}};
}

void predict(Options const& options) {
    options.decoding.target.check();
    options.out.check_file();
    task::Engine engine{options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
    HashMemory hashes{HashMemory::default_file()};
    std::vector<work::Card> cards;
    if (auto const& adapter = options.model.adapter; !adapter.empty()) {
        weights::check_fits(weights::AdapterFile{adapter}, engine.checkpoint().config());
        cards = cards_of({adapter}, hashes.hasher());
    }
    auto const prompt = options.decoding.text.prompt(cards);
    if (auto const trained = prompt_of("", "", cards); trained != prompt && !cards.empty())
        spdlog::warn("'{}' was trained with --layout {} --format {}, and answers other prompts worse",
                     options.model.adapter.string(), name_of_value(trained.layout), name_of_value(trained.format));
    auto reader = options.decoding.text.reader(options.decoding.target.described());
    auto const input = read_input(options.decoding.target, reader);
    auto const& texts = input.texts;
    auto decoding = options.decoding.infer;
    decoding.fold = value_named<infer::Fold>(options.fold, "--fold", "command line");
    // By all texts, also where some of them have their predictions.
    if (decoding.fold == infer::Fold::automatic)
        decoding.fold = texts.size() >= infer::fold_from ? infer::Fold::always : infer::Fold::never;
    // Where bits depend on the company, texts are answered in groups that are the same however often this is stopped.
    bool const exact = engine.arithmetic().exact();
    constexpr std::int64_t windows = 4;
    auto const group = exact ? std::max<std::size_t>(texts.size(), 1)
                             : static_cast<std::size_t>(windows * std::max<std::int64_t>(decoding.num_slots, 1));
    if (exact)
        decoding.window = windows * decoding.num_slots;
    else
        decoding.max_kept_tokens = 0;

    Counts counts;
    std::size_t before = 0;
    GrowingFile const file{options.out.path, options.out.existing(),
                           settings_of(options, engine, input, prompt, decoding, hashes.hasher()),
                           [&](std::size_t index, std::string_view line) {
                               if (index >= texts.size()) throw InputError{"there are more lines than texts"};
                               counts.add(checked_line(line, input.ids[index], texts[index].sentence->text));
                           }};
    Progress progress{"predicting", texts.size()};
    file.write([&](std::size_t there, GrowingFile::Append const& append) {
        before = there;
        if (there > 0) spdlog::info("{} of {} predictions are there", there, texts.size());
        std::map<std::size_t, std::string> waiting;  // for those before them
        auto next = there;
        for (auto begin = exact ? there : there / group * group; begin < texts.size(); begin += group) {
            auto const end = std::min(texts.size(), begin + group);
            std::vector const part(texts.begin() + static_cast<std::ptrdiff_t>(begin),
                                   texts.begin() + static_cast<std::ptrdiff_t>(end));
            task::predict(
                engine, part, prompt, {{.folder = options.model.adapter}}, decoding,
                [&](std::size_t done) { progress.update(begin + done); }, 0,
                [&](std::size_t i, work::Prediction const& prediction) {
                    auto const index = begin + i;
                    if (index < there) return;
                    auto const line = line_of(input.ids[index], prediction);
                    counts.add(line);
                    waiting[index] = to_text(line) + "\n";
                    for (; !waiting.empty() && waiting.begin()->first == next; ++next) {
                        append(waiting.begin()->second);
                        waiting.erase(waiting.begin());
                    }
                });
        }
    });
    if (counts.not_in_text > 0) spdlog::warn("{} mentions are not in their texts, and left out", counts.not_in_text);
    say_written(options.out.path,
                fmt::format("{} with {} entities{}{}", counted(texts.size(), "prediction"), counts.entities,
                            counts.unparsable > 0 ? fmt::format(", {} unparsable", counts.unparsable) : "",
                            before > 0 ? fmt::format(" ({} of them from an earlier call)", before) : ""));
}

}  // namespace

void add_predict_verb(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const verb = app.add_subcommand("predict", "Find entities in a data set or in texts");
    add_model_options(*verb, options->model);
    add_dtype_option(*verb, options->model);
    add_decoding_options(*verb, options->decoding);
    add_output_options(*verb, options->out, "PREDICTIONS.jsonl; one that was stopped goes on");
    verb->add_option("--fold", options->fold,
                     "add the adapter to the base's weights first: never, auto (from 32 sentences on) or always")
        ->capture_default_str();
    add_examples(*verb,
                 "samner predict --model M --in texts.jsonl --types person,place --out predictions.jsonl\n"
                 "samner predict --model M --adapter adapter --data crossner-politics --out out.jsonl");
    verb->callback([options] {
        use_threads(options->model.threads);
        predict(*options);
    });
}

}  // namespace samner::app
