#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <optional>

#include "app/command_line.h"
#include "app/library.h"
#include "app/output.h"
#include "app/shared_options.h"
#include "app/text_options.h"
#include "app/verbs.h"
#include "core/fields.h"
#include "core/hash_memory.h"
#include "task/engine.h"
#include "task/inputs.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "work/card.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    fs::path adapter;
    fs::path library;
    fs::path encoder;
    TextOptions text;
    TargetOptions target;
    bool json = false;
};

/// The model that --model names and its hash; nothing where it is not given.
struct Base {
    std::unique_ptr<task::Engine> engine;
    std::string sha256;
};

Base base_of(Options const& options, HashMemory& hashes) {
    if (options.model.base.empty()) return {};
    auto engine = std::make_unique<task::Engine>(options.model.base, options.model.device, Precision::fp32);
    auto hash = task::base_hash(*engine, hashes.hasher());
    return {std::move(engine), std::move(hash)};
}

work::Card::Domain domain_of(Options const& options, work::TextReader& reader, work::Texts const& texts,
                             HashMemory& hashes) {
    std::vector<std::string> lines;
    for (auto const& text : reader.read(texts)) lines.push_back(text.sentence->text);
    if (lines.empty())
        throw InputError{fmt::format("no texts of the expert's domain ({})", options.target.name()),
                         "give those that it was trained on"};
    return task::domain_of(options.encoder, options.model.device, lines, hashes.hasher());
}

void make_card(Options const& options) {
    options.target.check(false);
    HashMemory hashes{HashMemory::default_file()};
    weights::AdapterFile const adapter{options.adapter};
    auto const base = base_of(options, hashes);
    if (base.engine) weights::check_fits(adapter, base.engine->checkpoint().config());
    auto card = work::read_card(options.adapter).value_or(work::Card{});
    auto const hash = weights::adapter_hash(options.adapter, hashes.hasher());
    if (card.adapter != hash) card = {};
    card.adapter = hash;
    if (base.engine) card.base = {options.model.base.string(), base.sha256};
    auto reader = options.text.reader(options.target.described());
    work::Texts const texts = options.target.described() ? work::Texts{{reader.hashed(work::parse_dataset_ref(
                                                               options.target.data, "train", "command line: --data"))}}
                                                         : options.target.texts(reader);
    card.domain = domain_of(options, reader, texts, hashes);
    if (options.target.described() || !options.target.types.empty()) {
        card.types.clear();
        work::add_types(card.types, reader.dataset(texts.sources.front()));
    }
    if (!card.training) card.prompt = options.text.prompt();
    work::write_card(options.adapter, card);
    say_written(options.adapter / work::Card::file,
                fmt::format("centroid of {} texts, {} types{}", card.domain->texts, card.types.size(),
                            card.base ? ", base " + card.base->name : ""));
}

Json json_of(LibraryExpert const& expert) {
    Json json{{"name", expert.name},       {"folder", expert.folder.string()}, {"rank", expert.rank},
              {"modules", expert.modules}, {"base", expert.base_name},         {"usable", expert.refused.empty()},
              {"refused", expert.refused}, {"remarks", expert.remarks}};
    if (expert.card) {
        json["types"] = Json::array();
        for (auto const& type : expert.card->types) json["types"].push_back(type.name);
        if (expert.card->domain) json["texts"] = expert.card->domain->texts;
    }
    return json;
}

std::string line_of(LibraryExpert const& expert, std::size_t width) {
    if (!expert.refused.empty()) return fmt::format("{:<{}}  cannot be used: {}\n", expert.name, width, expert.refused);
    auto text = fmt::format("{:<{}}  rank {}, {} modules", expert.name, width, expert.rank, expert.modules);
    if (!expert.base_name.empty()) text += ", base " + expert.base_name;
    if (expert.card && expert.card->domain) text += fmt::format(", {} texts", expert.card->domain->texts);
    if (expert.card && !expert.card->types.empty()) {
        std::vector<std::string> names;
        for (auto const& type : expert.card->types) names.push_back(type.name);
        text += fmt::format(", types {}", fmt::join(names, ", "));
    }
    if (!expert.remarks.empty()) text += fmt::format(" ({})", fmt::join(expert.remarks, "; "));
    return text + "\n";
}

void list_experts(Options const& options) {
    HashMemory hashes{HashMemory::default_file()};
    auto const base = base_of(options, hashes);
    std::optional<LibraryBase> wanted;
    if (base.engine) wanted.emplace(LibraryBase{base.engine->checkpoint().config(), base.sha256});
    auto const experts = read_library(options.library, wanted, hashes.hasher());
    if (options.json) {
        auto list = Json::array();
        for (auto const& expert : experts) list.push_back(json_of(expert));
        fmt::print("{}\n", to_text(list, 1));
        return;
    }
    std::size_t width = 0;
    for (auto const& expert : experts) width = std::max(width, expert.name.size());
    for (auto const& expert : experts) fmt::print("{}", line_of(expert, width));
}

}  // namespace

void add_expert_verbs(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const card =
        app.add_subcommand("card", "Write what selections ask of an adapter beside it: ADAPTER/samner.json");
    card->add_option("ADAPTER", options->adapter, "PEFT folder")->required();
    card->add_option("--encoder", options->encoder, "sentence-transformers folder")->required();
    card->add_option("--model", options->model.base, "the base that it was trained for, a folder or .gguf file");
    card->add_option("--device", options->model.device, "cpu, cuda or cuda:INDEX")->capture_default_str();
    card->add_option("--threads", options->model.threads, "threads to compute with; 0: one a processor")
        ->capture_default_str();
    add_target_options(*card, options->target);
    card->get_option("--data")->description("DATASET[:SPLIT[+SPLIT]] that it was trained on; default split train");
    card->get_option("--in")->description("TEXTS.jsonl that it was trained on: {\"id\", \"text\"} a line");
    card->get_option("--types")->description("entity types that it finds in --in; they may be left out");
    add_text_options(*card, options->text);
    add_examples(*card, "samner card LIBRARY/news --encoder E --in texts.jsonl --types person,place");
    card->callback([options] {
        use_threads(options->model.threads);
        make_card(*options);
    });

    auto* const experts = app.add_subcommand("experts", "List a folder of adapters, and which fit a base model");
    experts->add_option("LIBRARY", options->library, "folder of PEFT folders")->required();
    experts->add_option("--model", options->model.base, "Hugging Face folder or .gguf file that they are to fit");
    experts->add_flag("--json", options->json, "one JSON document");
    add_examples(*experts, "samner experts LIBRARY --model M");
    experts->callback([options] { list_experts(*options); });
}

}  // namespace samner::app
