#include "app/library.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
#include "weights/adapter.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

/// @throws InputError for an adapter that cannot be read or does not fit
void look_at(LibraryExpert& expert, std::optional<LibraryBase> const& base, FileHash const& hash) {
    weights::AdapterFile const adapter{expert.folder};
    expert.rank = adapter.settings().r;
    expert.modules = std::ssize(adapter.modules());
    expert.base_name = adapter.settings().base_model_name_or_path;
    if (base) weights::check_fits(adapter, base->config);
    auto [card, missing] = work::card_of_weights(expert.folder, weights::adapter_hash(expert.folder, hash));
    if (!card) {
        expert.remarks.push_back(std::move(missing));
        return;
    }
    if (base && card->base && card->base->sha256 != base->sha256)
        expert.remarks.push_back(fmt::format("trained for another base of the same shape ({})", card->base->name));
    if (!card->domain) expert.remarks.emplace_back("its card has no centroid");
    expert.card = std::move(card);
}

}  // namespace

std::vector<fs::path> adapters_in(fs::path const& library) {
    if (!fs::is_directory(library))
        throw InputError{fmt::format("the library '{}' is no folder", library.string()),
                         "name a folder that has PEFT folders in it"};
    std::vector<fs::path> folders;
    for (auto const& entry : fs::directory_iterator{library})
        if (fs::exists(entry.path() / "adapter_config.json")) folders.push_back(entry.path());
    if (folders.empty())
        throw InputError{fmt::format("'{}' has no folder with an adapter_config.json", library.string()),
                         "name the folder whose folders are adapters"};
    std::ranges::sort(folders);
    return folders;
}

std::vector<LibraryExpert> read_library(fs::path const& library, std::optional<LibraryBase> const& base,
                                        FileHash const& hash) {
    std::vector<LibraryExpert> experts;
    for (auto const& folder : adapters_in(library)) experts.push_back({folder.filename().string(), folder, {}, {}, {}});
    for (auto& expert : experts) {
        try {
            look_at(expert, base, hash);
        } catch (InputError const& error) {
            expert.refused = error.what();
        }
    }
    return experts;
}

fs::path encoder_of(fs::path const& given, std::vector<work::Card> const& cards) {
    if (!given.empty()) return given;
    std::set<std::string> named;
    std::set<std::string> hashes;
    for (auto const& card : cards) {
        if (!card.domain) continue;
        named.insert(card.domain->encoder);
        hashes.insert(card.domain->encoder_sha256);
    }
    if (named.empty()) throw InputError{"no card names an encoder", "name its folder with --encoder"};
    if (hashes.size() > 1)
        throw InputError{fmt::format("the cards are of different encoders ({})", fmt::join(named, ", ")),
                         "make all of them with one encoder, by samner card"};
    // One encoder may lie in several places, as where cards come from several machines.
    auto const at_hand = std::ranges::find_if(named, [](std::string const& path) { return fs::is_directory(path); });
    if (at_hand != named.end()) return *at_hand;
    throw InputError{fmt::format("the cards' encoder is not at hand ({})", fmt::join(named, ", ")),
                     "name its folder with --encoder"};
}

prompt::Options prompt_of(std::string const& layout, std::string const& format, std::vector<work::Card> const& cards) {
    std::set<std::pair<prompt::Layout, prompt::Format>> named;
    for (auto const& card : cards)
        if (card.prompt) named.emplace(card.prompt->layout, card.prompt->format);
    if (named.size() > 1 && (layout.empty() || format.empty()))
        throw InputError{"the experts' cards name different prompts", "choose one with --layout and --format"};
    prompt::Options prompt;
    if (!named.empty()) prompt = {named.begin()->first, named.begin()->second};
    if (!layout.empty()) prompt.layout = prompt::parse_layout(layout);
    if (!format.empty()) prompt.format = prompt::parse_format(format);
    return prompt;
}

std::vector<work::Card> cards_of(std::vector<fs::path> const& adapters, FileHash const& hash) {
    std::vector<work::Card> cards;
    for (auto const& folder : adapters) {
        if (!fs::exists(folder / work::Card::file)) continue;
        if (auto found = work::card_of_weights(folder, weights::adapter_hash(folder, hash)); found.card)
            cards.push_back(std::move(*found.card));
        else
            spdlog::warn("'{}': {}, and is not used", folder.string(), found.missing);
    }
    return cards;
}

}  // namespace samner::app
