#include "core/input_lines.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core/error.h"

namespace samner {

void for_each_input(std::filesystem::path const& path,
                    std::function<void(Json const&, std::string const&)> const& visit) {
    bool empty = true;
    for_each_jsonl(path, [&](Json const& line, std::string const& place) {
        empty = false;
        visit(line, place);
    });
    if (empty) spdlog::warn("'{}' has no lines, so there is nothing to do with it — check the path", path.string());
}

void Distinct::add(std::string const& id, std::string const& place) {
    auto const [known, added] = places_.emplace(id, place);
    if (!added) {
        throw InputError{fmt::format("id {} stands twice ({}, first {})", id, place, known->second),
                         "give each line an id of its own"};
    }
}

}  // namespace samner
