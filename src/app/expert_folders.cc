#include "app/expert_folders.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/by_name.h"
#include "core/file.h"
#include "core/hash_memory.h"
#include "corpus/dataset.h"
#include "weights/adapter.h"
#include "weights/safetensors.h"
#include "work/card.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

constexpr std::array files_of_adapter{"adapter_config.json", "adapter_model.safetensors"};

/// The centroid of what a training was done on, where the run has it.
std::optional<work::Card::Domain> domain_of(work::Train const& task, plan::Plan const& plan,
                                            report::Records const& records, store::Artifacts const& artifacts) {
    for (auto const& [key, planned] : plan.tasks()) {
        auto const* const encode = std::get_if<work::Encode>(&planned.task);
        auto const* const recipe = encode ? std::get_if<work::Recipe>(&encode->of) : nullptr;
        if (!recipe || *recipe != task.recipe || !plan.is_done(key)) continue;
        auto const record = records.find(key);
        auto const* const result = record == records.end() ? nullptr : record->second.result_as<work::Encoded>();
        if (!result) continue;
        return work::Card::Domain{fs::absolute(plan.run().encoder).lexically_normal().string(), encode->encoder,
                                  result->texts, weights::SafetensorsFile{artifacts.path(key)}.floats("mean")};
    }
    return std::nullopt;
}

work::Card card_of(work::Train const& task, std::string const& key, plan::Plan const& plan,
                   report::Records const& records, store::Artifacts const& artifacts,
                   corpus::Catalogue const& catalogue, FileHash const& hash) {
    work::Card card;
    card.adapter = weights::adapter_hash(artifacts.path(key), hash);
    card.base = {fs::path{plan.run().base}.filename().string(), task.base};
    card.domain = domain_of(task, plan, records, artifacts);
    work::Card::Training training{{}, 0, SAMNER_VERSION, task.options};
    for (auto const& data : task.recipe.parts.front().data) {
        work::add_types(card.types, catalogue.at(data.dataset));
        auto& name = training.data.emplace_back(data.dataset);
        for (auto const& split : data.splits) name += (&split == &data.splits.front() ? ":" : "+") + split.name;
    }
    auto const record = records.find(key);
    if (auto const* const trained = record == records.end() ? nullptr : record->second.result_as<work::Trained>())
        training.samples = trained->samples;
    training.options.seed = task.recipe.seed;
    card.prompt = task.prompt.fixed;
    card.training = std::move(training);
    return card;
}

/// Whether a folder was made here: users may have put adapters of their own beside them.
bool is_ours(fs::path const& folder) {
    auto const link = folder / files_of_adapter.front();
    return fs::is_symlink(link) && fs::read_symlink(link).native().starts_with("../../artifacts/");
}

void write_folder(fs::path const& folder, fs::path const& artifact, work::Card const& card) {
    fs::create_directories(folder);
    for (auto const* const file : files_of_adapter) {
        auto const leads_to = fs::path{"../.."} / "artifacts" / artifact.filename() / file;
        auto const link = folder / file;
        if (fs::is_symlink(link) && fs::read_symlink(link) == leads_to) continue;
        fs::remove(link);
        fs::create_symlink(leads_to, link);
    }
    work::write_card(folder, card);
}

}  // namespace

void write_expert_folders(fs::path const& run, plan::Plan const& plan, report::Records const& records,
                          store::Artifacts const& artifacts) {
    std::map<std::string, std::vector<std::string>> keys;  // by expert
    for (auto const& [key, planned] : plan.tasks()) {
        auto const* const train = std::get_if<work::Train>(&planned.task);
        if (!train || !plan.is_done(key)) continue;
        auto const& parts = train->recipe.parts;
        if (parts.size() == 1 && !parts.front().cluster) keys[parts.front().expert].push_back(key);
    }
    auto const root = run / "experts";
    try {
        std::set<fs::path> kept;
        if (!keys.empty()) {
            auto const catalogue =
                corpus::Catalogue::with_shipped({plan.run().datasets.begin(), plan.run().datasets.end()});
            HashMemory hashes{HashMemory::default_file()};
            for (auto const& [expert, of_expert] : keys) {
                for (auto const& key : of_expert) {
                    auto const& task = std::get<work::Train>(plan.task(key).task);
                    auto name = folder_name(expert);
                    if (of_expert.size() > 1) name += fmt::format(".seed-{}", task.recipe.seed);
                    if (!kept.insert(root / name).second) continue;
                    write_folder(root / name, artifacts.path(key),
                                 card_of(task, key, plan, records, artifacts, catalogue, hashes.hasher()));
                }
            }
        }
        if (!fs::is_directory(root)) return;
        for (auto const& entry : std::vector<fs::path>{fs::directory_iterator{root}, fs::directory_iterator{}})
            if (!kept.contains(entry) && is_ours(entry)) fs::remove_all(entry);
    } catch (fs::filesystem_error const& error) {
        throw StorageError{fmt::format("cannot write '{}': {}", root.string(), error.what()),
                           "check free space and permissions"};
    }
}

}  // namespace samner::app
