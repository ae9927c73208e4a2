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

}  // namespace

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
