#include "work/select.h"

#include <fmt/format.h>

#include <algorithm>

namespace samner::work {

std::int64_t Selection::rank_of(std::string const& name) const {
    auto const found = std::ranges::find(chosen, name);
    return found == chosen.end() ? 0 : found - chosen.begin() + 1;
}

std::vector<Input> Select::Candidate::answers() const {
    std::vector<Input> all;
    if (predictions) all.push_back(*predictions);
    all.insert(all.end(), more_predictions.begin(), more_predictions.end());
    return all;
}

std::string Select::label() const {
    auto const many = rule ? fmt::format(", as many as the {} says", name_of_value(*rule)) : "";
    return fmt::format("select for {} by {}{}", target.name(), name_of_value(metric), many);
}

}  // namespace samner::work
