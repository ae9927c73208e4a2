#include "app/library.h"

#include <fmt/format.h>

#include <algorithm>

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
    auto card = work::read_card(expert.folder);
    if (!card) {
        expert.remarks.emplace_back("no card");
        return;
    }
    if (card->adapter != weights::adapter_hash(expert.folder, hash)) {
        expert.remarks.emplace_back("its card is of other weights");
        return;
    }
    if (base && card->base && card->base->sha256 != base->sha256)
        expert.remarks.push_back(fmt::format("trained for another base of the same shape ({})", card->base->name));
    if (!card->domain) expert.remarks.emplace_back("its card has no centroid");
    expert.card = std::move(card);
}

}  // namespace

std::vector<LibraryExpert> read_library(fs::path const& library, std::optional<LibraryBase> const& base,
                                        FileHash const& hash) {
    if (!fs::is_directory(library))
        throw InputError{fmt::format("the library '{}' is no folder", library.string()),
                         "name a folder that has PEFT folders in it"};
    std::vector<LibraryExpert> experts;
    for (auto const& entry : fs::directory_iterator{library}) {
        if (!fs::exists(entry.path() / "adapter_config.json")) continue;
        experts.push_back({entry.path().filename().string(), entry.path(), {}, {}, {}});
    }
    if (experts.empty())
        throw InputError{fmt::format("'{}' has no folder with an adapter_config.json", library.string()),
                         "name the folder whose folders are adapters"};
    std::ranges::sort(experts, {}, &LibraryExpert::name);
    for (auto& expert : experts) {
        try {
            look_at(expert, base, hash);
        } catch (InputError const& error) {
            expert.refused = error.what();
        }
    }
    return experts;
}

}  // namespace samner::app
