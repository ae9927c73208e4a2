#include <fmt/format.h>

#include <memory>

#include "app/progress.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/file.h"
#include "core/json.h"
#include "core/yaml.h"
#include "infer/generate.h"
#include "prompt/prompt.h"
#include "task/engine.h"
#include "task/executor.h"
#include "train/trainer.h"
#include "weights/adapter.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    fs::path encoder;
    std::vector<std::string> data;
    fs::path init;
    fs::path in;
    fs::path out;
    fs::path root;
    std::vector<std::string> folders{"configs/data"};
    std::string layout = "full";
    std::string format = "json";
    std::vector<std::string> settings;  ///< key=value
    infer::Options infer;
};

/// key=value words as one JSON object; numbers and booleans are such where they look like it.
Json settings_of(std::vector<std::string> const& words) {
    YAML::Node root{YAML::NodeType::Map};
    for (auto const& word : words) set_yaml(root, word);
    return to_json(root);
}

/// Training examples of a JSONL file: {"prompt", "answer"} or {"ids", "labels"} a line.
std::vector<task::Engine::Tokens> read_examples(task::Engine const& engine, fs::path const& path) {
    std::vector<task::Engine::Tokens> examples;
    for_each_jsonl(path, [&](Json const& line, std::string const& place) {
        using Ids = std::vector<std::int32_t>;
        if (line.contains("ids")) {
            examples.push_back({member<Ids>(line, "ids", place), member<Ids>(line, "labels", place)});
        } else {
            examples.push_back(engine.tokenize(
                {member<std::string>(line, "prompt", place), member<std::string>(line, "answer", place)}));
        }
    });
    return examples;
}

/// Training examples of a described corpus, DATASET[:SPLIT]: every sentence of the split.
std::vector<task::Engine::Tokens> dataset_examples(task::Engine const& engine, std::string const& name,
                                                   Options const& options) {
    auto const colon = name.find(':');
    auto const split = colon == std::string::npos ? "train" : name.substr(colon + 1);
    corpus::Catalogue const catalogue{{options.folders.begin(), options.folders.end()}};
    auto const& dataset = catalogue.at(name.substr(0, colon));
    prompt::Options const prompt{prompt::parse_layout(options.layout), prompt::parse_format(options.format)};
    std::vector<task::Engine::Tokens> examples;
    for (auto const& sentence :
         corpus::read(dataset, split, options.root.empty() ? task::data_root({}) : options.root)) {
        auto const rendered = prompt::render(sentence, dataset, prompt);
        examples.push_back(engine.tokenize({rendered.text, rendered.answer}));
    }
    return examples;
}

void train_verb(Options const& options) {
    auto const settings = train::Options::from_json(settings_of(options.settings), "command line");
    auto const out = options.out.has_filename() ? options.out : options.out.parent_path();  // not "adapter/"
    if (fs::exists(out))
        throw InputError{fmt::format("'{}' exists already", out.string()), "remove it, or name another --out"};
    task::Engine engine{options.model.base, options.model.device};
    std::vector<task::Engine::Tokens> examples;
    for (auto const& data : options.data) {
        if (!data.ends_with(".jsonl")) {
            std::ranges::move(dataset_examples(engine, data, options), std::back_inserter(examples));
            continue;
        }
        std::ranges::move(read_examples(engine, data), std::back_inserter(examples));
    }
    Progress progress{"training", static_cast<std::size_t>(train::count_steps(settings, examples.size()))};
    std::string metrics;
    task::Engine::Training training;
    training.init = options.init;
    training.checkpoint = out.string() + ".checkpoint";
    training.on_step = [&](train::Step const& step) {
        metrics += step.json().dump() + "\n";
        progress.update(
            static_cast<std::size_t>(step.step),
            fmt::format("loss {:.4f}, {:.0f} tokens/s", step.loss, static_cast<double>(step.tokens) / step.seconds));
    };
    auto const trained = engine.train(settings, examples, training);
    write_folder_atomically(out, [&](fs::path const& folder) {
        weights::write_adapter(folder, trained, {}, true);
        write_atomically(folder / "metrics.jsonl", metrics);
    });
    fs::remove(training.checkpoint);
}

void generate_verb(Options const& options) {
    std::vector<Json> ids;
    std::vector<std::string> prompts;
    for_each_jsonl(options.in, [&](Json const& line, std::string const& place) {
        ids.push_back(member<Json>(line, "id", place));
        prompts.push_back(member<std::string>(line, "prompt", place));
    });
    task::Engine engine{options.model.base, options.model.device};
    Progress progress{"generating", prompts.size()};
    auto const completions = engine.generate(prompts, options.model.adapter, options.infer,
                                             [&](std::size_t done) { progress.update(done); });
    std::string lines;
    for (std::size_t i = 0; i < completions.size(); ++i) {
        Json const line{{"id", ids[i]},
                        {"completion", completions[i].text},
                        {"tokens", completions[i].tokens},
                        {"finish", completions[i].stopped ? "stop" : "length"}};
        lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    write_atomically(options.out, lines);
}

void encode_verb(Options const& options) {
    std::vector<std::string> texts;
    for_each_jsonl(options.in, [&](Json const& line, std::string const& place) {
        texts.push_back(member<std::string>(line, "text", place));
    });
    task::TextEncoder const encoder{options.encoder, options.model.device};
    task::write_embeddings(options.out, encoder.encode(texts), encoder.dimension());
}

}  // namespace

void add_engine_verbs(CLI::App& app) {
    auto options = std::make_shared<Options>();

    auto* const train = app.add_subcommand("train", "Train a LoRA adapter");
    add_model_options(*train, options->model);
    train
        ->add_option("--data", options->data,
                     "DATASET[:SPLIT], or JSONL files of {\"prompt\", \"answer\"} or {\"ids\", \"labels\"}")
        ->required();
    train->add_option("--root", options->root, "data root; default SAMNER_DATA");
    train->add_option("--configs", options->folders, "folders of data set descriptions")->capture_default_str();
    train->add_option("--layout", options->layout, "prompt of data sets: short or full")->capture_default_str();
    train->add_option("--format", options->format, "answers of data sets: json or enumeration")->capture_default_str();
    train->add_option("--init", options->init, "adapter to start from");
    train->add_option("--out", options->out, "PEFT folder to write")->required();
    train->add_option("settings", options->settings,
                      "key=value: r, lora_alpha, learning_rate, max_steps, batch_size …");
    train->callback([options] {
        use_threads(options->model.threads);
        train_verb(*options);
    });

    auto* const generate = app.add_subcommand("generate", "Complete prompts greedily");
    add_model_options(*generate, options->model);
    generate->add_option("--in", options->in, "PROMPTS.jsonl: {\"id\", \"prompt\"} a line")->required();
    generate->add_option("--out", options->out, "COMPLETIONS.jsonl")->required();
    generate->add_option("--max-new-tokens", options->infer.max_new_tokens, "hard stop")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    generate->add_option("--num-slots", options->infer.num_slots, "sequences decoded together")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    generate->callback([options] {
        use_threads(options->model.threads);
        generate_verb(*options);
    });

    auto* const encode = app.add_subcommand("encode", "Embed texts");
    encode->add_option("--encoder", options->encoder, "sentence-transformers folder")->required();
    encode->add_option("--device", options->model.device, "cpu, cuda or cuda:INDEX")->capture_default_str();
    encode->add_option("--threads", options->model.threads, "threads to compute with; 0: one a processor")
        ->capture_default_str();
    encode->add_option("--in", options->in, "TEXTS.jsonl: {\"id\", \"text\"} a line")->required();
    encode->add_option("--out", options->out, "EMBEDDINGS.safetensors: embeddings [texts, dim] and mean [dim]")
        ->required();
    encode->callback([options] {
        use_threads(options->model.threads);
        encode_verb(*options);
    });
}

}  // namespace samner::app
