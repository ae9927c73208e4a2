#include "plan/paper_values.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "core/error.h"
#include "core/yaml.h"

namespace samner::plan {
namespace {

std::string text_in(Json const& row, std::string const& key, std::string const& place) {
    if (row.contains(key) && row.at(key).is_string()) return row.at(key).get<std::string>();
    throw InputError{fmt::format("a row of printed values has no {} ({})", key, place), "give it a text"};
}

double number_in(Json const& value, std::string const& what, std::string const& place) {
    if (value.is_number() && value >= 0 && value <= 100) return value.get<double>();
    throw InputError{fmt::format("the printed value of {} is {} ({})", what, to_text(value).substr(0, 60), place),
                     "give it a number in percent, 0 to 100, or null"};
}

}  // namespace

PaperRow const* PaperValues::published(std::string const& system) const {
    for (auto const& row : rows)
        if (row.system == system && row.base == "n/a") return &row;
    return nullptr;
}

PaperValues read_paper_values(std::filesystem::path const& path, std::string place) {
    auto const file = path.string();
    auto const all = to_json(read_yaml(path));
    PaperValues values{std::move(place)};
    if (!all.is_object()) throw InputError{fmt::format("printed values are no map ({})", file), "name another file"};
    std::set<std::pair<std::string, std::string>> seen;
    for (auto const& row : all.value("rows", Json::array())) {
        if (!row.is_object()) throw InputError{fmt::format("a row of printed values is no map ({})", file)};
        auto const has = [&](std::string const& key) { return row.contains(key) && !row.at(key).is_null(); };
        if (!has("cells") && !has("average")) continue;
        auto& read = values.rows.emplace_back();
        read.system = text_in(row, "system", file);
        read.base = text_in(row, "base", file);
        if (!seen.emplace(read.system, read.base).second)
            throw InputError{fmt::format("{} on the base {} is printed twice ({})", read.system, read.base, file),
                             "leave one of them out"};
        if (has("average")) read.average = number_in(row.at("average"), read.system, file);
        if (has("cells")) {
            if (!row.at("cells").is_object())
                throw InputError{fmt::format("the cells of {} are no map ({})", read.system, file)};
            for (auto const& [target, cell] : row.at("cells").items())
                if (!cell.is_null()) read.cells[target] = number_in(cell, read.system + " on " + target, file);
        }
        for (auto const& column : row.value("doubtful_columns", Json::array()))
            if (column.is_string()) read.doubtful.push_back(column.get<std::string>());
    }
    return values;
}

}  // namespace samner::plan
