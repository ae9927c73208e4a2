#include "core/differences.h"

#include <fmt/format.h>

namespace samner {

std::vector<std::string> differing_members(Json const& one, Json const& other) {
    std::vector<std::string> names;
    for (auto const& [name, value] : one.items()) {
        auto const found = other.find(name);
        if (found == other.end() || *found != value) names.push_back(name);
    }
    for (auto const& [name, value] : other.items()) {
        if (!one.contains(name)) names.push_back(name);
    }
    return names;
}

std::vector<std::string> first_of(std::vector<std::string> names, std::size_t shown) {
    if (names.size() <= shown) return names;
    auto const more = names.size() - shown;
    names.resize(shown);
    names.push_back(fmt::format("{} more", more));
    return names;
}

}  // namespace samner
