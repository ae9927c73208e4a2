#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "app/command_line.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/ranks.h"
#include "app/shared_options.h"
#include "app/text_options.h"
#include "app/verbs.h"
#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/fields.h"
#include "core/file.h"
#include "core/hash_memory.h"
#include "core/host.h"
#include "core/input_lines.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/yaml.h"
#include "infer/generate.h"
#include "prompt/prompt.h"
#include "task/engine.h"
#include "task/inputs.h"
#include "train/event_file.h"
#include "train/examples.h"
#include "train/team.h"
#include "train/trainer.h"
#include "weights/adapter.h"
#include "work/card.h"
#include "work/texts.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    fs::path encoder;
    std::vector<std::string> data;
    fs::path init;
    fs::path in;
    Output out;
    TextOptions text;
    std::vector<std::string> settings;  ///< key=value
    fs::path tensorboard;
    int ranks = 0;
    infer::Options infer;
    std::string fold = "never";
    std::uint64_t samples = 1;  ///< completions of each prompt
};

/// What key=value words set; messages name the word.
train::Options settings_of(std::vector<std::string> const& words) {
    constexpr std::string_view section = "train.";
    YAML::Node root{YAML::NodeType::Map};
    std::vector<YamlSetting> settings;
    for (std::size_t i = 0; i < words.size(); ++i) {
        auto const& word = words[i];
        if (word.find('=') == std::string::npos) {
            bool const value_follows = i + 1 < words.size() && words[i + 1].find('=') == std::string::npos;
            throw InputError{fmt::format("'{}' is not key=value (command line)", word),
                             fmt::format("write {}={}", word, value_follows ? words[i + 1] : "VALUE")};
        }
        if (word.starts_with(section))
            throw InputError{fmt::format("'{}' names a key of a run file (command line)", word),
                             fmt::format("leave out its section: {}", word.substr(section.size()))};
        settings.push_back(set_yaml(root, word));
    }
    return train::Options::from_json(to_json(root), YamlMap{root, "command line", {}, settings}.places());
}

/// Training examples of a JSONL file: {"prompt", "answer"} or {"ids", "labels"} a line.
std::vector<task::Engine::Tokens> read_examples(task::Engine const& engine, fs::path const& path) {
    std::vector<task::Engine::Tokens> examples;
    for_each_input(path, [&](Json const& line, std::string const& place) {
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

/// What of described corpora is for the adapter's card.
struct Domain {
    std::vector<std::string> texts;
    std::vector<work::WantedType> types;
};

/// Training examples of a described corpus, DATASET[:SPLIT[+SPLIT]]: every sentence.
std::vector<task::Engine::Tokens> dataset_examples(task::Engine const& engine, std::string const& name,
                                                   work::TextReader& reader, prompt::Options const& prompt,
                                                   Domain& domain) {
    auto const source = reader.hashed(work::parse_dataset_ref(name, "train", "command line: --data"));
    std::vector<task::Engine::Tokens> examples;
    for (auto const& sentence : reader.sentences(source)) {
        auto const rendered = prompt::render(sentence, reader.dataset(source), prompt);
        examples.push_back(engine.tokenize({rendered.text, rendered.answer}));
        domain.texts.push_back(sentence.text);
    }
    work::add_types(domain.types, reader.dataset(source));
    return examples;
}

/// What all ranks need before they train.
struct Prepared {
    train::Options settings;
    std::unique_ptr<task::Engine> engine;
    std::vector<task::Engine::Tokens> examples;
    Domain domain;
};

Prepared prepare(Options const& options, bool leads) {
    Prepared prepared;
    prepared.settings = settings_of(options.settings);
    auto const prompt = options.text.prompt();
    if (leads) options.out.check_folder();
    if (leads && !options.tensorboard.empty() && fs::exists(options.tensorboard) &&
        !fs::is_directory(options.tensorboard))
        throw InputError{fmt::format("'{}' is no folder (command line: --tensorboard)", options.tensorboard.string()),
                         "name another"};
    prepared.engine = std::make_unique<task::Engine>(options.model.base, options.model.device, prepared.settings.dtype);
    // One that is gone on with has its own rank.
    if (options.init.empty())
        train::check_memory(prepared.settings, prepared.engine->checkpoint().config(), options.model.device,
                            machine_memory());
    auto const is_file = [](std::string const& data) { return data.ends_with(".jsonl"); };
    auto reader = options.text.reader(!std::ranges::all_of(options.data, is_file));
    for (auto const& data : options.data) {
        std::ranges::move(is_file(data) ? read_examples(*prepared.engine, data)
                                        : dataset_examples(*prepared.engine, data, reader, prompt, prepared.domain),
                          std::back_inserter(prepared.examples));
    }
    if (leads && !options.encoder.empty() && prepared.domain.texts.empty())
        throw InputError{"--encoder is given, and no --data is a described data set (command line)",
                         "leave it out, and make the card afterwards: samner card ADAPTER --in TEXTS.jsonl"};
    if (prepared.examples.empty()) {
        throw InputError{fmt::format("no training examples in {}", fmt::join(options.data, ", ")),
                         "name data sets or files with at least one"};
    }
    auto const cuts = train::leave_out_cut(prepared.settings, prepared.examples);
    if (auto const warning = cuts.warning(prepared.settings); leads && !warning.empty()) spdlog::warn("{}", warning);
    return prepared;
}

/// Steps as TensorBoard events. A training does not fail for them: after an error there are none any more.
class StepEvents {
public:
    /// @throws StorageError
    explicit StepEvents(fs::path const& folder) {
        // No two trainings have one name, also where both begin in the same second.
        file_.emplace(folder / fmt::format("events.out.tfevents.{:.0f}.{}.samner.{}", clock_, host_name(), ::getpid()),
                      clock_);
    }

    void add(train::Step const& step) {
        if (!file_) return;
        clock_ += step.seconds;
        try {
            file_->add(clock_, step.step,
                       {{"train/loss", step.loss},
                        {"train/grad_norm", step.grad_norm},
                        {"train/learning_rate", step.lr},
                        {"train/tokens_per_second", static_cast<double>(step.tokens) / step.seconds},
                        {"train/mfu", step.mfu}});
        } catch (StorageError const& error) {
            spdlog::warn("no more TensorBoard events: {}", describe(error));
            file_.reset();
        }
    }

private:
    double clock_ = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::optional<train::EventFile> file_;
};

/// What selections have to know of an adapter that was trained. @param folder  with its PEFT files
work::Card card_of(Options const& options, Prepared const& prepared, fs::path const& folder) {
    HashMemory hashes{HashMemory::default_file()};
    work::Card card;
    card.adapter = weights::adapter_hash(folder);
    // One that is trained on ids may have no tokeniser, and then nothing that a hash could be compared with.
    if (fs::exists(prepared.engine->checkpoint().tokenizer_path()))
        card.base = {options.model.base.string(), task::base_hash(*prepared.engine, hashes.hasher())};
    card.types = prepared.domain.types;
    card.training = {options.data, std::ssize(prepared.examples), SAMNER_VERSION, prepared.settings};
    if (prepared.domain.texts.empty()) return card;
    card.prompt = options.text.prompt();
    if (options.encoder.empty()) return card;
    card.domain = task::domain_of(options.encoder, options.model.device, prepared.domain.texts, hashes.hasher());
    return card;
}

void train_on_ranks(Options const& options, comm::Comm const& ranks) {
    bool const leads = ranks.rank() == 0;
    auto const team = task::team_of(ranks);
    Prepared prepared;
    std::optional<StepEvents> events;
    train::gather_from_team(team, [&] {
        prepared = prepare(options, leads);
        if (leads && !options.tensorboard.empty()) events.emplace(options.tensorboard);
        return std::string{};
    });
    auto const& [settings, engine, examples, domain] = prepared;
    if (ranks.size() > 1) engine->load_together(ranks, true);
    Progress progress{"training", static_cast<std::size_t>(train::count_steps(settings, examples.size()))};
    std::string metrics;
    task::Engine::Training training;
    training.base_name = options.model.base.string();
    training.init = options.init;
    training.checkpoint = without_slash(options.out.path).string() + ".checkpoint";
    training.team = &team;
    training.on_step = [&](train::Step const& step) {
        metrics += step.to_json().dump() + "\n";
        if (events) events->add(step);
        progress.update(static_cast<std::size_t>(step.step),
                        fmt::format("loss {:.4f}, {:.0f} tokens/s, MFU {:.0f} %", step.loss,
                                    static_cast<double>(step.tokens) / step.seconds, 100 * step.mfu));
    };
    auto const trained = engine->train(settings, examples, training);
    if (!leads) return;
    write_folder_atomically(
        options.out.path,
        [&](fs::path const& folder) {
            weights::write_adapter(folder, trained, {}, true);
            write_atomically(folder / "metrics.jsonl", metrics);
            work::write_card(folder, card_of(options, prepared, folder));
        },
        options.out.overwrite);
    fs::remove(training.checkpoint);
    say_written(options.out.path,
                fmt::format("an adapter of {}, trained on {}", counted(trained.modules.size(), "module"),
                            counted(examples.size(), "example")));
}

ExitCode train_verb(Options options) {
    return on_ranks(options.ranks, Alone::with_mpi, [&](comm::Session* session) {
        use_threads(options.model.threads, session->local_size());
        options.model.device = comm::device_of_rank(options.model.device, session->local_rank());
        train_on_ranks(options, session->teams());
        return ExitCode::done;
    });
}

void generate_verb(Options const& options) {
    infer::check(options.infer.sampling);
    options.out.check_file();
    bool const sampled = options.infer.sampling.temperature > 0;
    if (options.samples > 1 && !sampled)
        throw InputError{fmt::format("{} samples at temperature 0 are all the same", options.samples),
                         "set --temperature"};
    std::vector<Json> ids;
    std::vector<task::Engine::Prompt> prompts;
    std::map<std::string, Distinct> distinct;  // by adapter: the same prompt may go to several
    for_each_input(options.in, [&](Json const& line, std::string const& place) {
        auto const text = member<std::string>(line, "prompt", place);
        auto const adapter =
            line.contains("adapter") ? member<std::string>(line, "adapter", place) : options.model.adapter.string();
        auto const id = member<Json>(line, "id", place);
        distinct[adapter].add(id_of(line, place), place);
        for (std::uint64_t sample = 0; sample < options.samples; ++sample) {
            ids.push_back(id);
            prompts.push_back({text, {.folder = adapter}, sample, to_text(id)});
        }
    });
    task::Engine engine{options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
    Progress progress{"generating", prompts.size()};
    auto const completions = engine.generate(prompts, options.infer, [&](std::size_t done) { progress.update(done); });
    std::string lines;
    for (std::size_t i = 0; i < completions.size(); ++i) {
        Json line{{"id", ids[i]},
                  {"completion", completions[i].text},
                  {"tokens", completions[i].tokens},
                  {"finish", completions[i].stopped ? "stop" : "length"}};
        if (sampled) line["sample"] = prompts[i].sample;
        lines += to_text(line) + "\n";
    }
    write_atomically(options.out.path, lines);
    say_written(options.out.path, counted(completions.size(), "completion"));
}

void encode_verb(Options const& options) {
    options.out.check_file();
    std::vector<std::string> texts;
    Distinct distinct;
    for_each_input(options.in, [&](Json const& line, std::string const& place) {
        if (line.contains("id")) distinct.add(id_of(line, place), place);
        texts.push_back(member<std::string>(line, "text", place));
    });
    task::TextEncoder const encoder{options.encoder, options.model.device};
    task::write_embeddings(options.out.path, encoder.encode(texts), encoder.dimension());
    say_written(options.out.path, fmt::format("embeddings of {}", counted(texts.size(), "text")));
}

}  // namespace

void add_engine_verbs(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<Options>();

    auto* const train = app.add_subcommand("train", "Train a LoRA adapter");
    add_base_options(*train, options->model);
    train
        ->add_option("--data", options->data,
                     "DATASET[:SPLIT[+SPLIT]], or JSONL files of {\"prompt\", \"answer\"} or {\"ids\", \"labels\"}")
        ->required();
    add_text_options(*train, options->text);
    train->add_option("--encoder", options->encoder,
                      "sentence-transformers folder: the adapter's card, samner.json, then has the domain of --data");
    train->add_option("--init", options->init, "adapter to start from");
    add_output_options(*train, options->out, "PEFT folder to write");
    train->add_option("SETTING", options->settings,
                      "key=value: r, lora_alpha, learning_rate, max_steps, batch_size, dtype …");
    train->add_option("--tensorboard", options->tensorboard, "folder for TensorBoard events, written step by step");
    train
        ->add_option("-n", options->ranks,
                     "start this many ranks with mpirun, each for a share of the micro-batches of a step")
        ->check(at_least(1));
    add_examples(*train, "samner train --model M --data crossner-politics:train --out adapter r=16 max_steps=20");
    train->callback([options, &code] { code = train_verb(*options); });

    auto* const generate = app.add_subcommand("generate", "Complete prompts, greedily or sampled");
    add_model_options(*generate, options->model);
    add_dtype_option(*generate, options->model);
    generate
        ->add_option("--in", options->in,
                     "PROMPTS.jsonl: {\"id\", \"prompt\"} a line, and \"adapter\" where it is another one")
        ->required();
    add_output_options(*generate, options->out, "COMPLETIONS.jsonl");
    generate->add_option("--max-new-tokens", options->infer.max_new_tokens, "hard stop")
        ->capture_default_str()
        ->check(at_least(1));
    generate->add_option("--num-slots", options->infer.num_slots, "sequences decoded together")
        ->capture_default_str()
        ->check(at_least(1));
    generate
        ->add_option("--max-cached-tokens", options->infer.max_cached_tokens,
                     "keys and values kept at a time beside shared prefixes; 0: what all slots can need")
        ->capture_default_str()
        ->check(at_least(0));
    generate
        ->add_option("--draft-tokens", options->infer.draft_tokens,
                     "guessed by prompt lookup and verified; 0: none. Changes no result")
        ->capture_default_str()
        ->check(at_least(0));
    generate
        ->add_option(
            "--fold", options->fold,
            "add the adapter of all prompts to the base's weights first: never, auto (from 32 prompts on) or always")
        ->capture_default_str();
    generate->add_option("--temperature", options->infer.sampling.temperature, "0: greedy")->capture_default_str();
    generate->add_option("--top-p", options->infer.sampling.top_p, "draw among the most likely tokens of this sum")
        ->capture_default_str();
    generate->add_option("--samples", options->samples, "completions of each prompt, a line each")
        ->capture_default_str()
        ->check(at_least(1));
    generate->add_option("--seed", options->infer.sampling.seed, "of the drawn tokens")->capture_default_str();
    add_examples(*generate, "samner generate --model M --in prompts.jsonl --out completions.jsonl");
    generate->callback([options] {
        options->infer.fold = value_named<infer::Fold>(options->fold, "--fold", "command line");
        use_threads(options->model.threads);
        generate_verb(*options);
    });

    auto* const encode = app.add_subcommand("encode", "Embed texts");
    encode->add_option("--encoder", options->encoder, "sentence-transformers folder")->required();
    encode->add_option("--device", options->model.device, "cpu, cuda or cuda:INDEX")->capture_default_str();
    encode->add_option("--threads", options->model.threads, "threads to compute with; 0: one a processor")
        ->capture_default_str();
    encode->add_option("--in", options->in, "TEXTS.jsonl: {\"id\", \"text\"} a line")->required();
    add_output_options(*encode, options->out, "EMBEDDINGS.safetensors: embeddings [texts, dim] and mean [dim]");
    add_examples(*encode, "samner encode --encoder E --in texts.jsonl --out embeddings.safetensors");
    encode->callback([options] {
        use_threads(options->model.threads);
        encode_verb(*options);
    });
}

}  // namespace samner::app
