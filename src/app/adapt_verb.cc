#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>

#include "app/command_line.h"
#include "app/library.h"
#include "app/output.h"
#include "app/prediction_file.h"
#include "app/run.h"
#include "app/shared_options.h"
#include "app/text_options.h"
#include "app/verbs.h"
#include "core/fields.h"
#include "core/file.h"
#include "core/hash_memory.h"
#include "task/engine.h"
#include "task/inputs.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "work/answer.h"
#include "work/predictions.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    fs::path library;
    fs::path encoder;
    fs::path gold;
    TargetOptions target;
    std::string layout;
    std::string format;
    std::int64_t m = 3;
    std::int64_t k = 10;
    bool eco = false;
    std::vector<std::string> settings;
    RunOptions run;
};

constexpr auto experiment_name = "adapt";
constexpr auto target_name = "target";

/// An expert's name in expressions: letters, digits, - and _, beginning with a letter.
std::string word_of(std::string const& folder) {
    std::string word;
    for (auto const c : folder) {
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        word += plain ? c : '_';
    }
    bool const letter = !word.empty() && ((word[0] >= 'a' && word[0] <= 'z') || (word[0] >= 'A' && word[0] <= 'Z'));
    return letter ? word : "expert_" + word;
}

/// The experts of the library that fit, by their names in expressions.
std::map<std::string, LibraryExpert> usable_experts(Options const& options) {
    HashMemory hashes{HashMemory::default_file()};  // written at its end: the run then reads nothing again
    task::Engine const engine{options.model.base, options.model.device,
                              parse_precision(options.model.dtype, "--dtype")};
    LibraryBase const base{engine.checkpoint().config(), task::base_hash(engine, hashes.hasher())};
    std::map<std::string, LibraryExpert> usable;
    for (auto& expert : read_library(options.library, base, hashes.hasher())) {
        if (!expert.refused.empty()) {
            spdlog::warn("the expert '{}' is left out: {}", expert.name, expert.refused);
            continue;
        }
        if (!expert.card || !expert.card->domain)
            throw InputError{fmt::format("the expert '{}' cannot be compared with the texts: {}", expert.name,
                                         fmt::join(expert.remarks, "; ")),
                             fmt::format("make its card with samner card {} --encoder E --data … (or --in …), or move "
                                         "it out of '{}'",
                                         expert.folder.string(), options.library.string())};
        for (auto const& remark : expert.remarks) spdlog::warn("expert '{}': {}", expert.name, remark);
        auto word = word_of(expert.name);
        while (usable.contains(word)) word += "_";
        usable.emplace(std::move(word), std::move(expert));
    }
    if (usable.empty())
        throw InputError{
            fmt::format("no expert of '{}' fits '{}'", options.library.string(), options.model.base.string()),
            "samner experts LIBRARY --model M says why"};
    return usable;
}

plan::Experiment experiment_of(Options const& options, std::vector<std::string> const& experts) {
    auto const pool = fmt::format("pool({})", fmt::join(experts, ", "));
    auto const similarity = fmt::format("select({}, similarity, {})", pool, options.m);
    auto const sampling = fmt::format("select({}, sampling, {}, k={})", pool, options.m, options.k);
    std::vector<std::pair<std::string, std::string>> rows;
    if (options.eco) {
        rows.emplace_back("sam_eco", fmt::format("merge(unite({}, {}, cut={}))", similarity, sampling, options.m));
    } else {
        rows.emplace_back("similarity", fmt::format("merge({})", similarity));
        rows.emplace_back("sampling", fmt::format("merge({})", sampling));
        rows.emplace_back("sam", fmt::format("union(merge({}), merge({}))", similarity, sampling));
    }
    plan::Experiment experiment;
    experiment.name = experiment_name;
    experiment.title = options.eco ? "SaM with one merged model" : "SaM";
    experiment.targets.names = {target_name};
    plan::Definitions const definitions;
    for (auto const& [name, expression] : rows) {
        auto const parsed = plan::parse_expression(expression, {"samner adapt", 1, 1});
        experiment.rows.push_back({name, definitions.check_row(parsed)});
    }
    return experiment;
}

void check_options(Options const& options) {
    options.target.check();
    if (options.m < 1 || options.k < 1)
        throw InputError{fmt::format("-m is {}, -k is {} (command line)", options.m, options.k), "give 1 or more"};
}

Setup set_up(Options const& options) {
    check_options(options);
    auto const experts = usable_experts(options);
    if (std::cmp_greater(options.m, experts.size()))
        throw InputError{fmt::format("-m is {} with {} experts that fit (command line)", options.m, experts.size()),
                         "choose no more than there are"};
    std::vector<work::Card> cards;
    for (auto const& [word, expert] : experts) cards.push_back(*expert.card);
    auto const prompt = prompt_of(options.layout, options.format, cards);
    // Everything that a run file may say goes through its own reader, and so does what the command line sets.
    Json settings{{"base", options.model.base.string()}, {"encoder", encoder_of(options.encoder, cards).string()},
                  {"datasets", Json::array()},           {"device", options.model.device},
                  {"dtype", options.model.dtype},        {"prompt", to_wire(prompt)}};
    std::vector<std::string> words;
    for (auto const& [word, expert] : experts) {
        words.push_back(word);
        settings["experts"][word]["adapter"] = fs::absolute(expert.folder).lexically_normal().string();
    }
    auto& target = settings["targets"][target_name];
    target["texts"] = fs::absolute(options.target.in).lexically_normal().string();
    target["types"] = to_wire(options.target.wanted_types());
    if (!options.gold.empty()) target["gold"] = fs::absolute(options.gold).lexically_normal().string();
    auto run = plan::parse_run_file(to_text(settings), "samner adapt", options.settings);
    if (!options.run.store.empty()) run.store = options.run.store.string();
    run.threads = options.model.threads;
    return examine({experiment_of(options, words)}, std::move(run));
}

/// The cell of a row; null where there is no such row.
plan::Cell const* cell_of(plan::Plan const& plan, std::string const& row) {
    auto const found = std::ranges::find(plan.cells(), row, &plan::Cell::system);
    return found == plan.cells().end() ? nullptr : &*found;
}

/// Copies the adapter that a row decodes with to a folder of OUT, where it is not there yet.
/// @return whether there is one: what is merged in delta space has none
bool copy_adapter(RunFolder const& folder, plan::Cell const& cell, fs::path const& to) {
    auto const& pass = std::get<work::Infer>(folder.plan().task(cell.answer.key).task);
    if (!pass.adapter) return false;
    auto const from = folder.artifacts().path(pass.adapter->key);
    if (!fs::exists(to) || weights::adapter_hash(to) != weights::adapter_hash(from))
        write_folder_atomically(
            to, [&](fs::path const& partial) { weights::copy_adapter(from, partial); }, true);
    return true;
}

/// Entities of the texts by an answer, as samner combine writes them.
struct Entities {
    std::string lines;
    std::size_t texts = 0;
    std::size_t entities = 0;
};

Entities entities_of(RunFolder const& folder, plan::Cell const& cell) {
    std::map<std::string, std::vector<score::Mentions>> mentions;
    std::vector<work::Prediction> predictions;
    for (auto const& key : cell.answer.passes()) {
        auto pass = work::read_predictions(folder.artifacts().path(key));
        for (auto const& prediction : pass) mentions[key].push_back(prediction.mentions);
        predictions = std::move(pass);
    }
    std::vector<score::Mentions> const gold(predictions.size());
    auto const stored = [&](std::string const& key) -> std::vector<score::Mentions> const& { return mentions.at(key); };
    std::vector<std::string> names;
    for (auto const& type : folder.plan().run().targets.at(target_name).types) names.push_back(type.name);
    std::vector<std::vector<std::string> const*> const types(predictions.size(), &names);
    auto answers = work::evaluate(cell.answer, {stored, {}, gold, types});
    Entities all;
    all.texts = predictions.size();
    for (std::size_t i = 0; i < predictions.size(); ++i) {
        auto const& text = predictions[i].text;
        std::int64_t missing = 0;  // none: a pass keeps what is in its text
        auto const entities = entities_in(text, answers[i], missing);
        all.entities += entities.size();
        all.lines += to_text(Json{{"id", predictions[i].id}, {"text", text}, {"entities", entities}}) + "\n";
    }
    return all;
}

/// What the selections found, by strategy.
Json selections_of(RunFolder const& folder, plan::Cell const& cell) {
    auto json = Json::object();
    for (auto const& key : cell.selections) {
        auto const& task = std::get<work::Select>(folder.plan().task(key).task);
        auto const result = work::open_result(read_text(folder.artifacts().path(key)));
        auto entry = to_wire(std::get<work::Selection>(result));
        for (auto const& [name, recipe] : folder.plan().run().experts)
            if (std::ranges::find(task.experts, name, &work::Select::Candidate::name) != task.experts.end())
                entry["folders"][name] = recipe.adapter;
        json[std::string{name_of_value(task.metric)}] = std::move(entry);
    }
    return json;
}

std::string deliver(Options const& options, RunFolder const& folder) {
    auto const& plan = folder.plan();
    auto const* const sam = cell_of(plan, options.eco ? "sam_eco" : "sam");
    if (sam->status != plan::Cell::Status::done) return {};
    auto const& out = options.run.out;
    auto const found = entities_of(folder, *sam);
    write_atomically(out / "predictions.jsonl", found.lines);
    auto const selections = selections_of(folder, *sam);
    write_atomically(out / "selection.json", to_text(selections, 1) + "\n");
    std::string text;
    for (auto const& [strategy, selection] : selections.items())
        text += fmt::format("chosen by {}: {}\n", strategy,
                            fmt::join(selection.at("chosen").get<std::vector<std::string>>(), ", "));
    text += fmt::format("predictions: {} ({}, {} entities)\n", (out / "predictions.jsonl").string(),
                        counted(found.texts, "text"), found.entities);
    std::vector<std::string> adapters;
    for (auto const* const row : {"similarity", "sampling", "sam_eco"}) {
        auto const* const cell = cell_of(plan, row);
        if (cell && copy_adapter(folder, *cell, out / row)) adapters.push_back((out / row).string());
    }
    return text + fmt::format("adapters:    {}\n", adapters.empty() ? "none: delta space has no factors"
                                                                    : fmt::format("{}", fmt::join(adapters, ", ")));
}

}  // namespace

void add_adapt_verb(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<Options>();
    auto* const adapt =
        app.add_subcommand("adapt", "Select-and-Merge on a library of experts, for texts without labels");
    add_base_options(*adapt, options->model);
    add_dtype_option(*adapt, options->model);
    adapt->add_option("--experts", options->library, "folder of PEFT folders with cards (samner card)")->required();
    adapt->add_option("--in", options->target.in, "TEXTS.jsonl of the domain: {\"id\", \"text\"} a line")->required();
    adapt
        ->add_option("--types", options->target.types,
                     "entity types to find, separated by commas, or a .yaml file of them with definitions")
        ->delimiter(',')
        ->required();
    adapt->add_option("--gold", options->gold, "GOLD.jsonl of these texts, to score the answers by");
    adapt->add_option("--out", options->run.out, "run folder; the same command goes on with it")->required();
    adapt->add_option("--store", options->run.store,
                      "folder of results that several runs share; default OUT/artifacts");
    adapt->add_option("--encoder", options->encoder, "sentence-transformers folder; default that of the cards");
    adapt->add_option("-m", options->m, "experts to choose by each strategy")->capture_default_str();
    adapt->add_option("-k", options->k, "sentences of the sampling evaluation")->capture_default_str();
    adapt->add_flag("--eco", options->eco, "decode once, with one merged model of both choices (SaM-eco)");
    adapt->add_option("--layout", options->layout, "short or full; default that of the cards");
    adapt->add_option("--format", options->format,
                      "json, json_map, enumeration or sentences; default that of the cards");
    adapt->add_option("SETTING", options->settings, "key=value of a run file: infer.max_new_tokens, merge.density …");
    adapt->add_option("-n", options->run.ranks, "start this many ranks with mpirun")->check(at_least(1));
    adapt->add_flag("--dry-run", options->run.dry_run, "check everything, say what it costs, run nothing");
    add_examples(*adapt,
                 "samner adapt --model M --experts LIBRARY --in texts.jsonl --types a,b --out adapted --dry-run\n"
                 "samner adapt --model M --experts LIBRARY --in texts.jsonl --types a,b --out adapted -m 2");
    adapt->callback([options, &code] {
        code = run(options->run, {.set_up = [options] { return set_up(*options); },
                                  .deliver = [options](RunFolder const& folder) { return deliver(*options, folder); }});
    });
}

}  // namespace samner::app
