#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "app/command_line.h"
#include "app/data_options.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/home.h"
#include "core/json.h"
#include "corpus/dataset.h"
#include "corpus/table11.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

void list_datasets(DataOptions const& options) {
    auto list = Json::array();
    auto const catalogue = options.catalogue();
    for (auto const& [id, dataset] : catalogue.all()) {
        std::vector<std::string> splits;
        for (auto const& [split, files] : dataset.splits) splits.push_back(split);
        list.push_back({{"id", id},
                        {"domain", dataset.domain},
                        {"types", dataset.types.size()},
                        {"splits", splits},
                        {"substitutes", dataset.substitutes},
                        {"user_supplied", dataset.user_supplied},
                        {"licence", dataset.licence},
                        {"source", dataset.source}});
        if (options.json) continue;
        std::vector<std::string> notes;
        if (dataset.user_supplied) {
            notes.emplace_back("bring your own");
        } else if (!dataset.substitutes.empty()) {
            notes.push_back(fmt::format("in place of {}", fmt::join(dataset.substitutes, ", ")));
        }
        auto const from = dataset.source.empty() ? "" : fmt::format("({})", dataset.source);
        auto const origin =
            fmt::format("{}{}{}", dataset.licence, dataset.licence.empty() || from.empty() ? "" : " ", from);
        if (!origin.empty()) notes.push_back(origin);
        fmt::print("{:<20} {:<14} {:>2} types  {:<16} {}\n", id, dataset.domain, dataset.types.size(),
                   fmt::format("{}", fmt::join(splits, ", ")), fmt::join(notes, "; "));
    }
    if (options.json) fmt::print("{}\n", list.dump(1));
}

/// The paper's Table 11 beside the corpora that are there. One that stands in for several has its numbers once.
void print_table11(corpus::PrintedTable const& table, std::vector<corpus::PresentCounts> const& rows) {
    fmt::print("\n{:<61}   here\n", "Table 11 of the paper");
    fmt::print("{:<13} {:<11} {:>3} {:>7} {:>7} {:>7} {:>7}   {:<14} {:>3} {:>7} {:>7} {:>7} {:>7} {:>7}\n", "domain",
               "corpus", "ty", "train", "dev", "test", "sampled", "corpus", "ty", "train", "dev", "test", "all",
               "sampled");
    std::set<std::string> shown;
    std::int64_t sampled = 0;
    std::int64_t sampled_here = 0;
    for (auto const& printed : table.rows) {
        sampled += printed.sampled;
        auto left = fmt::format("{:<13} {:<11} {:>3} {:>7} {:>7} {:>7} {:>7}", printed.domain, printed.id,
                                printed.types, printed.train, printed.dev, printed.test, printed.sampled);
        for (auto const& row : rows) {
            if (std::ranges::find(row.stands_for, printed.id) == row.stands_for.end()) continue;
            if (!shown.insert(row.id).second) {
                fmt::print("{:<61}   {:<14} (above)\n", std::exchange(left, ""), row.id);
                continue;
            }
            sampled_here += row.sampled;
            fmt::print("{:<61}   {:<14} {:>3}", std::exchange(left, ""), row.id, row.types);
            for (auto const* const split : {"train", "dev", "test", "all"}) {
                auto const found = row.sentences.find(split);
                fmt::print(" {:>7}", found == row.sentences.end() ? "-" : std::to_string(found->second));
            }
            fmt::print(" {:>7}\n", row.sampled);
        }
        if (!left.empty()) fmt::print("{}\n", left);
    }
    fmt::print("{:<53} {:>7}   {:<50} {:>7}\n", "all", sampled, "", sampled_here);
}

void stats(DataOptions const& options) {
    auto const root = options.data();
    auto list = Json::array();
    auto const catalogue = options.catalogue();
    std::map<std::pair<std::string, std::string>, std::int64_t> sizes;  // sentences by data set and split
    auto const table = options.json ? corpus::PrintedTable{}
                                    : corpus::read_printed_table(options.table.empty()
                                                                     ? shipped("experiments/paper/values/table11.yaml")
                                                                     : options.table);
    for (auto const& [id, dataset] : catalogue.all()) {
        for (auto const& [split, files] : dataset.splits) {
            for (auto const& file : files) {
                if (!fs::exists(root / file.path)) continue;
                auto one = dataset;
                one.splits = {{split, {file}}};
                auto const sentences = corpus::read(one, split, root);
                sizes[{id, split}] += std::ssize(sentences);
                std::map<std::string, std::int64_t> types;
                std::int64_t with_entities = 0;
                for (auto const& sentence : sentences) {
                    with_entities += !sentence.entities.empty();
                    for (auto const& entity : sentence.entities) ++types[entity.type];
                }
                list.push_back({{"id", id},
                                {"file", file.path},
                                {"sentences", sentences.size()},
                                {"sentences_with_entities", with_entities},
                                {"entity_types", types}});
            }
        }
    }
    if (options.json) {
        fmt::print("{}\n", list.dump(1));
        return;
    }
    for (auto const& entry : list) {
        fmt::print("{:<22} {:<34} {:>6} sentences, {:>6} with entities, {:>2} types\n", entry["id"].get<std::string>(),
                   entry["file"].get<std::string>(), entry["sentences"].get<int>(),
                   entry["sentences_with_entities"].get<int>(), entry["entity_types"].size());
    }
    print_table11(table, corpus::present_table(catalogue, root, table, [&](auto const& dataset, auto const& split) {
                      return sizes.at({dataset.id, split});
                  }));
}

}  // namespace

void add_data_verbs(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<DataOptions>();
    auto exported = std::make_shared<ExportOptions>();
    auto* const data = app.add_subcommand("data", "The corpora: list, verify, stats, fetch, export");
    data->require_subcommand(1);
    auto const add = [&](char const* name, char const* description, std::function<void()> action) -> CLI::App* {
        auto* const verb = data->add_subcommand(name, description);
        verb->add_option("--root", options->root, "data root; default SAMNER_DATA");
        verb->add_option("--configs", options->folders,
                         "folders of data set descriptions, beside those that come with samner");
        verb->callback(std::move(action));
        return verb;
    };
    auto* const list = add("list", "What is described", [options] { list_datasets(*options); });
    auto* const statistics =
        add("stats", "Sentences and entities a file, and the paper's Table 11", [options] { stats(*options); });
    auto* const verifying =
        add("verify", "Compare files with their SHA-256", [options, &code] { verify(*options, code); });
    auto* const fetching =
        add("fetch", "Download files that are not there", [options, &code] { fetch(*options, code); });
    auto* const exporting =
        add("export", "Write texts or gold of data sets, or the prompts that an expert of them is trained on", {});
    exporting->add_option("DATASET", options->datasets, "DATASET[:SPLIT[+SPLIT]]; default split test, of prompts train")
        ->required();
    exporting
        ->add_option(
            "--as", exported->as,
            "texts: {\"id\", \"text\"} a line; gold: \"entities\" and \"types\" beside these; prompts: {\"id\", "
            "\"prompt\", \"answer\", \"parts\"}")
        ->required()
        ->check(CLI::IsMember({"texts", "gold", "prompts"}));
    exporting
        ->add_option("--samples", exported->samples,
                     "of the data sets together, or auto; as experts.X.samples of a run file")
        ->capture_default_str();
    exporting->add_option("--keep-empty", exported->keep_empty, "share of the sentences without entities that is kept")
        ->capture_default_str();
    exporting->add_option("--count", exported->count, "write only the first so many; 0: all")
        ->capture_default_str()
        ->check(at_least(0));
    exporting->add_option("--seed", exported->seed, "as seeds.train of a run")->capture_default_str();
    exporting
        ->add_option("--parts", exported->parts,
                     "none, paper, or a map of rates as prompt.parts of a run file, as {source: 1}")
        ->capture_default_str();
    exporting->add_option("--layout", exported->layout, "of prompts without parts: full (default) or short");
    exporting->add_option("--format", exported->format,
                          "of prompts without parts: json (default), json_map, enumeration or sentences");
    std::vector<CLI::Option const*> of_prompts;
    for (auto const* name : {"--samples", "--keep-empty", "--seed", "--parts", "--layout", "--format"})
        of_prompts.push_back(exporting->get_option(name));
    add_output_options(*exporting, exported->out,
                       "JSONL file; predict takes texts as --in, score gold as --gold, train prompts as --data");
    add_examples(*list, "samner data list");
    add_examples(*statistics, "samner data stats --root corpora");
    add_examples(*verifying, "samner data verify --root corpora");
    add_examples(*fetching, "samner data fetch crossner-politics --root corpora");
    add_examples(*exporting,
                 "samner data export crossner-politics:test --as texts --out politics.jsonl\n"
                 "samner data export crossner-politics:test --as gold --out politics-gold.jsonl");
    exporting->callback([=] {
        exported->data = *options;
        exported->has_prompt_options =
            std::ranges::any_of(of_prompts, [](CLI::Option const* option) { return option->count() > 0; });
        export_data(*exported);
    });
    statistics->add_option("--table", options->table,
                           "the paper's Table 11 as printed; default the one that comes with samner");
    for (auto* const verb : {list, statistics, verifying}) verb->add_flag("--json", options->json, "one JSON document");
    for (auto* const verb : {verifying, fetching})
        verb->add_option("DATASET", options->datasets,
                         "ids; default all that are described, with --configs those there");
    fetching->add_option("--mirror", options->fetch.mirror, "folder or address laid out as a data root");
    fetching->add_flag("--overwrite,--replace", options->fetch.replace,
                       "replace files that are not the ones described");
    fetching->add_option("--attempts", options->fetch.attempts, "in a row that bring nothing, before a file fails")
        ->capture_default_str()
        ->check(at_least(1));
}

}  // namespace samner::app
