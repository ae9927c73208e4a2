#include "plan/targets.h"

#include <fmt/format.h>

#include <set>

#include "core/error.h"
#include "core/fields.h"

namespace samner::plan {
namespace {

constexpr auto how =
    "name targets of the run file, as in [science, politics], or give one of {one_sentence: {of: […], trials: 5}}, "
    "{pooled: […]}, {domains: […]} and {languages: […]}";

std::vector<std::string> names_of(Json const& value) {
    std::vector<std::string> names;
    std::set<std::string> seen;
    if (!value.is_array()) throw InputError{fmt::format("targets are {}", to_text(value).substr(0, 60)), how};
    for (auto const& item : value) {
        // YAML reads an unquoted 7 as a number; names are texts.
        auto name = item.is_string() ? item.get<std::string>() : item.is_structured() ? "" : to_text(item);
        if (name.empty()) throw InputError{fmt::format("a target is {}", to_text(item).substr(0, 60)), how};
        if (!seen.insert(name).second) throw InputError{fmt::format("target '{}' is named twice", name)};
        names.push_back(std::move(name));
    }
    if (names.empty()) throw InputError{"targets has no names", "name at least one"};
    return names;
}

}  // namespace

std::vector<std::string> Targets::columns() const {
    auto all = names;
    if (kind == Kind::pooled) all.emplace_back(pooled_column);
    return all;
}

std::vector<std::int64_t> Targets::trial_numbers() const {
    if (kind != Kind::one_sentence) return {0};
    std::vector<std::int64_t> numbers;
    for (std::int64_t trial = 1; trial <= trials; ++trial) numbers.push_back(trial);
    return numbers;
}

Json Targets::to_json() const {
    if (kind == Kind::listed) return names;
    Json value = names;
    if (kind == Kind::one_sentence) value = {{"of", names}, {"trials", trials}};
    return {{std::string{name_of_value(kind)}, value}};
}

Targets Targets::from_json(Json const& value) {
    if (!value.is_object()) return {Kind::listed, names_of(value)};
    if (value.size() != 1) throw InputError{fmt::format("targets has {} keys", value.size()), how};
    auto const& word = value.begin().key();
    auto const& inside = value.begin().value();
    Targets targets;
    targets.kind = value_named<Kind>(word, "the kind of targets", "targets");
    if (targets.kind != Kind::one_sentence) {
        targets.names = names_of(inside);
    } else {
        targets.trials = 5;
        auto const map = inside.is_array() ? Json{{"of", inside}} : inside;
        if (!map.is_object() || !map.contains("of")) throw InputError{"one_sentence names no targets", how};
        for (auto const& [key, given] : map.items()) {
            if (key == "trials") {
                auto const number = given.is_number_integer() ? given.get<std::int64_t>() : 0;
                if (number < 1 || number > most_trials)
                    throw InputError{fmt::format("trials is {}", to_text(given).substr(0, 60)),
                                     fmt::format("give it a whole number from 1 to {}", most_trials)};
                targets.trials = number;
            } else if (key != "of") {
                throw InputError{fmt::format("unknown key '{}' of one_sentence", key), "give it `of` and `trials`"};
            }
        }
        targets.names = names_of(map.at("of"));
    }
    for (auto const& name : targets.names)
        if (targets.kind == Kind::pooled && name == pooled_column)
            throw InputError{"a pooled target is named 'pooled'", "the column of all of them has that name"};
    return targets;
}

}  // namespace samner::plan
