#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>

#include "app/verbs.h"
#include "core/hash.h"
#include "core/json.h"
#include "corpus/dataset.h"
#include "plan/run_file.h"
#include "prompt/prompt.h"
#include "score/score.h"
#include "task/executor.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct DataOptions {
    fs::path root;
    std::vector<std::string> folders{"configs/data"};
    bool json = false;

    corpus::Catalogue catalogue() const { return corpus::Catalogue{{folders.begin(), folders.end()}}; }
    fs::path data() const { return root.empty() ? task::data_root({}) : root; }
};

void list_datasets(DataOptions const& options) {
    auto const catalogue = options.catalogue();
    for (auto const& [id, dataset] : catalogue.all()) {
        std::vector<std::string> splits;
        for (auto const& [split, files] : dataset.splits) splits.push_back(split);
        fmt::print("{:<22} {:<14} {:>2} types  {:<16} {}\n", id, dataset.domain, dataset.types.size(),
                   fmt::format("{}", fmt::join(splits, ", ")), dataset.licence);
    }
}

void verify(DataOptions const& options, ExitCode& code) {
    auto const root = options.data();
    int different = 0;
    int missing = 0;
    int good = 0;
    auto const catalogue = options.catalogue();
    for (auto const& [id, dataset] : catalogue.all()) {
        for (auto const& [split, files] : dataset.splits) {
            for (auto const& file : files) {
                if (dataset.user_supplied && !fs::exists(root / file.path)) {
                    fmt::print("yours     {}\n", file.path);  // nobody has to have it
                } else if (!fs::exists(root / file.path)) {
                    fmt::print("missing   {}\n", file.path);
                    ++missing;
                } else if (!file.sha256.empty() && sha256_file(root / file.path) != file.sha256) {
                    fmt::print("different {}\n", file.path);
                    ++different;
                } else {
                    ++good;
                }
            }
        }
    }
    fmt::print("{} files as described, {} different, {} missing ({})\n", good, different, missing, root.string());
    if (different + missing > 0) code = ExitCode::task_failed;
}

void stats(DataOptions const& options) {
    auto const root = options.data();
    auto list = Json::array();
    auto const catalogue = options.catalogue();
    for (auto const& [id, dataset] : catalogue.all()) {
        for (auto const& [split, files] : dataset.splits) {
            for (auto const& file : files) {
                if (!fs::exists(root / file.path)) continue;
                auto one = dataset;
                one.splits = {{split, {file}}};
                auto const sentences = corpus::read(one, split, root);
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
}

struct ScoreOptions {
    fs::path gold;
    fs::path predictions;
    std::string metric = "entity";
    std::vector<std::string> types;
    bool json = false;
};

score::Mentions mentions_of(Json const& line, std::string const& place) {
    score::Mentions mentions;
    for (auto const& entity : member<Json>(line, "entities", place)) {
        mentions.insert(
            {score::normalise(member<std::string>(entity, "text", place)), member<std::string>(entity, "type", place)});
    }
    return mentions;
}

std::string id_of(Json const& line, std::string const& place) {
    auto const id = member<Json>(line, "id", place);
    return id.is_string() ? id.get<std::string>() : id.dump();
}

Json counts_json(score::Counts const& counts) {
    return {{"tp", counts.true_positive},      {"fp", counts.false_positive}, {"fn", counts.false_negative},
            {"precision", counts.precision()}, {"recall", counts.recall()},   {"f1", counts.f1()}};
}

void score_files(ScoreOptions const& options) {
    if (options.metric != "entity") {
        throw InputError{fmt::format("--metric is '{}'", options.metric), "only entity is there yet"};
    }
    std::map<std::string, Json> predictions;
    for_each_jsonl(options.predictions, [&](Json const& line, std::string const& place) {
        if (!predictions.emplace(id_of(line, place), line).second)
            throw InputError{fmt::format("id {} stands twice ({})", id_of(line, place), place)};
    });
    std::vector<score::Mentions> gold;
    std::vector<score::Mentions> predicted;
    std::int64_t unparsable = 0;
    for_each_jsonl(options.gold, [&](Json const& line, std::string const& place) {
        auto const id = id_of(line, place);
        auto const found = predictions.find(id);
        if (found == predictions.end())
            throw InputError{fmt::format("no prediction for id {} ({})", id, place),
                             "predict every sentence of the gold file"};
        auto const types =
            line.contains("types") ? member<std::vector<std::string>>(line, "types", place) : options.types;
        // What was not asked for is not scored, where it is known what was.
        auto const asked = [&](score::Mentions mentions) {
            std::erase_if(mentions, [&](score::Mention const& mention) {
                return !types.empty() && std::ranges::find(types, mention.type) == types.end();
            });
            return mentions;
        };
        gold.push_back(asked(mentions_of(line, place)));
        auto const& prediction = found->second;
        if (prediction.contains("entities")) {
            predicted.push_back(asked(mentions_of(prediction, options.predictions.string())));
        } else {
            if (types.empty())
                throw InputError{fmt::format("a completion cannot be read without its types (id {})", id),
                                 "give --types, or `types` in the gold line"};
            auto const parsed =
                prompt::parse(member<std::string>(prediction, "completion", options.predictions.string()), types,
                              member<std::string>(line, "text", place), prompt::Format::json);
            unparsable += parsed.unparsable;
            predicted.push_back(parsed.mentions);
        }
        predictions.erase(found);
    });
    if (!predictions.empty())
        throw InputError{fmt::format("{} predictions have no gold, the first is id {}", predictions.size(),
                                     predictions.begin()->first)};
    auto const counts = score::count(gold, predicted);
    auto const per_type = score::count_per_type(gold, predicted);
    if (options.json) {
        Json document{
            {"metric", {{"entity", counts_json(counts)}}}, {"per_type", Json::object()}, {"unparsable", unparsable}};
        for (auto const& [type, of_type] : per_type) document["per_type"][type] = counts_json(of_type);
        fmt::print("{}\n", document.dump(1));
        return;
    }
    auto const print = [](std::string const& name, score::Counts const& c) {
        fmt::print("{:<24} precision {:6.2f}  recall {:6.2f}  F1 {:6.2f}  (tp {}, fp {}, fn {})\n", name,
                   100 * c.precision(), 100 * c.recall(), 100 * c.f1(), c.true_positive, c.false_positive,
                   c.false_negative);
    };
    print("entity", counts);
    for (auto const& [type, of_type] : per_type) print(type, of_type);
    if (unparsable) fmt::print("{} unparsable completions\n", unparsable);
}

}  // namespace

void add_score_verb(CLI::App& app) {
    auto options = std::make_shared<ScoreOptions>();
    auto* const verb = app.add_subcommand("score", "Score predictions against gold");
    verb->add_option("--gold", options->gold, "GOLD.jsonl: {\"id\", \"text\", \"entities\"} a line")->required();
    verb->add_option("--pred", options->predictions,
                     "PREDICTIONS.jsonl: {\"id\", \"entities\"} or {\"id\", \"completion\"} a line")
        ->required();
    verb->add_option("--metric", options->metric, "entity")->capture_default_str();
    verb->add_option("--types", options->types, "type names, to read completions")->delimiter(',');
    verb->add_flag("--json", options->json, "one JSON document");
    verb->callback([options] { score_files(*options); });
}

void add_data_verbs(CLI::App& app, ExitCode& code) {
    auto options = std::make_shared<DataOptions>();
    auto* const data = app.add_subcommand("data", "The corpora: list, verify, stats");
    data->require_subcommand(1);
    auto const add = [&](char const* name, char const* description, std::function<void()> action) {
        auto* const verb = data->add_subcommand(name, description);
        verb->add_option("--root", options->root, "data root; default SAMNER_DATA");
        verb->add_option("--configs", options->folders, "folders of data set descriptions")->capture_default_str();
        verb->add_flag("--json", options->json, "one JSON document");
        verb->callback(std::move(action));
    };
    add("list", "What is described", [options] { list_datasets(*options); });
    add("verify", "Compare files with their SHA-256", [options, &code] { verify(*options, code); });
    add("stats", "Sentences and entities a file", [options] { stats(*options); });
    add("fetch", "(not there yet)", [] {
        throw InputError{"samner data fetch is not there yet",
                         "put the files under the data root yourself; samner data list names their sources"};
    });
}

}  // namespace samner::app
