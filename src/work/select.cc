#include "work/select.h"

#include <fmt/format.h>

#include <algorithm>

namespace samner::work {

std::int64_t Selection::rank_of(std::string const& name) const {
    auto const found = std::ranges::find(chosen, name);
    return found == chosen.end() ? 0 : found - chosen.begin() + 1;
}

std::string Select::label() const {
    auto const many = rule ? fmt::format(", as many as the {} says", name_of_value(*rule)) : "";
    return fmt::format("select for {} by {}{}", target.name(), name_of_value(metric), many);
}

}  // namespace samner::work
