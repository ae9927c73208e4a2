#include "work/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace samner::work {

int Merge::revision() const {
    auto const& settings = recipe.settings;
    auto const peer = settings.given.follow;
    bool const as_peft = peer == merge::Compatibility::peft || peer == merge::Compatibility::peft_0_18;
    return as_peft && merge::is_svd(settings.method) && settings.given.rank == 0 ? 2 : 1;
}

Json MergeRecipe::key() const {
    auto key = key_of_fields(*this);
    key.update(settings.key());
    return key;
}

std::string MergeRecipe::label() const {
    return fmt::format("merge {}", fmt::join(names, "+"));
}

}  // namespace samner::work
