#include "work/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace samner::work {

Json Merge::key() const {
    auto key = key_of_fields(*this);
    key.update(settings.key());
    return key;
}

std::string Merge::label() const {
    return fmt::format("merge {}", fmt::join(names, "+"));
}

}  // namespace samner::work
