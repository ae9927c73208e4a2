#include "plan/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/yaml.h"

namespace samner::plan {
namespace {

constexpr auto keys = std::to_array<Key>({
    {.name = "experiment",
     .help = "The name under which its results stand: without `/`, and not beginning with a dot.",
     .required = true},
    {.name = "title", .help = "A line for people, above its table."},
    {.name = "include",
     .help = "List of files whose `let` counts here, too; relative to this file. They hold `include` and `let` only."},
    {.name = "let", .help = "Map of names to expressions and functions."},
    {.name = "targets", .help = "List of targets of the run file: the columns.", .required = true},
    {.name = "for", .help = "Map of variables to lists of values, which the rows go through in every combination."},
    {.name = "rows",
     .help = "Map of names to expressions that give a model or predictions.",
     .required = true,
     .aliases = "systems"},
    {.name = "average", .help = "mean adds a column of unweighted means; none does not.", .range = "mean or none"},
    {.name = "paper", .help = "Not there yet: printed values to show beside those of the run."},
    {.name = "published", .help = "Not there yet: rows of values that are taken from the literature."},
    {.name = "exclude", .help = "Not there yet: a condition for cells that are left out."},
});

/// A key of the table: one that docs/experiments.md does not have cannot be read.
consteval char const* key(std::string_view name) {
    for (auto const& known : keys)
        if (known.name == name) return known.name.data();
    throw "not in the table";
}

Place place_of(YAML::Node const& node, std::string const& file) {
    auto const mark = node.Mark();
    // yaml-cpp gives quoted scalars the tag "!"; their text starts one column later.
    return {file, mark.line + 1, mark.column + 1 + (node.Tag() == "!" ? 1 : 0)};
}

std::string scalar(YAML::Node const& node, std::string const& file) {
    if (node.IsScalar()) return node.Scalar();
    throw InputError{fmt::format("an expression should stand here ({})", place_of(node, file).text())};
}

void add_lets(YamlMap& map, Definitions& definitions) {
    auto lets = map.map(key("let"));
    for (auto const& name : lets.keys()) {
        auto const node = lets.node(name);
        auto const file = map.place().substr(0, map.place().rfind(':', map.place().rfind(':') - 1));
        auto const place = place_of(node, file);
        definitions.add(name, parse_definition(scalar(node, file), place), place);
    }
}

void include(YamlMap& map, std::filesystem::path const& path, Definitions& definitions,
             std::vector<std::filesystem::path>& open, std::set<std::filesystem::path>& done) {
    for (auto const& name : map.get<std::vector<std::string>>(key("include"), {})) {
        auto const file = (path.parent_path() / name).lexically_normal();
        auto const real = std::filesystem::weakly_canonical(file);
        if (std::ranges::find(open, real) != open.end())
            throw InputError{fmt::format("'{}' includes itself ({})", file.string(), map.place()), "break the cycle"};
        if (!done.insert(real).second) continue;
        open.push_back(real);
        YamlMap inner{read_yaml(file), file.string()};
        include(inner, file, definitions, open, done);
        add_lets(inner, definitions);
        inner.finish();
        open.pop_back();
    }
}

std::string replace_all(std::string text, std::string const& from, std::string const& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

/// The variables of `for` with the values they take together: every combination, the last varying fastest.
std::vector<std::map<std::string, std::string>> combinations(YamlMap loops) {
    std::vector<std::map<std::string, std::string>> result{{}};
    for (auto const& name : loops.keys()) {
        std::vector<std::map<std::string, std::string>> next;
        auto const values = loops.require<std::vector<std::string>>(name);
        for (auto const& before : result)
            for (auto const& value : values) {
                next.push_back(before);
                next.back()[name] = value;
            }
        result = std::move(next);
    }
    return result;
}

void add_rows(YamlMap& map, std::string const& file, Definitions const& definitions, Experiment& experiment) {
    auto const values = combinations(map.map(key("for")));
    auto rows = map.map(key("rows"));
    std::set<std::string> names;
    for (auto const& row : rows.keys()) {
        auto const node = rows.node(row);
        std::set<std::string> own;  // a row without the variables stands once
        for (auto const& value : values) {
            auto name = row;
            auto text = scalar(node, file);
            for (auto const& [variable, replacement] : value) {
                name = replace_all(name, "{" + variable + "}", replacement);
                text = replace_all(text, "{" + variable + "}", replacement);
            }
            if (!own.insert(name + '\n' + text).second) continue;
            if (!names.insert(name).second)
                throw InputError{fmt::format("row '{}' is named twice ({})", name, rows.place(node)),
                                 "let the name hold the variables that the expression holds"};
            experiment.rows.push_back({name, definitions.check_row(parse_expression(text, place_of(node, file)))});
        }
    }
    if (experiment.rows.empty())
        throw InputError{fmt::format("the experiment has no rows ({})", map.place()),
                         "name one and give it an expression, as in {base: base}"};
}

}  // namespace

std::span<Key const> experiment_keys() {
    return keys;
}

Experiment load_experiment(std::filesystem::path const& path) {
    auto const file = path.string();
    YamlMap map{read_yaml(path), file};
    for (auto const& known : keys) map.has(std::string{known.name});
    map.finish(keys);  // first of all: a key that is missing may be one that is misspelt
    Experiment experiment;
    experiment.name = map.require<std::string>(key("experiment"), key_named(keys, "experiment").help);
    auto const& name = experiment.name;
    if (name.empty() || name.front() == '.' || name.find_first_of(std::string_view{"/\0", 2}) != std::string::npos)
        throw InputError{fmt::format("the experiment is named '{}' ({})", name, map.place(map.node(key("experiment")))),
                         "its results stand under its name: leave out / and do not begin with a dot"};
    experiment.title = map.get<std::string>(key("title"), "");
    for (auto const* later : {key("paper"), key("published"), key("exclude")})
        if (map.has(later))
            throw InputError{fmt::format("'{}' is not there yet ({})", later, map.place(map.node(later))),
                             "leave it out for now"};
    auto const targets = map.node(key("targets"));
    if (!targets.IsDefined())
        throw InputError{fmt::format("targets is missing ({})", map.place()),
                         "name targets of the run file, as in [science, politics]"};
    if (!targets.IsSequence())
        throw InputError{fmt::format("targets is not a list of ids ({})", map.place(targets)),
                         "name targets of the run file, as in [science, politics]; other kinds are not there yet"};
    experiment.targets = map.require<std::vector<std::string>>(key("targets"));
    std::set<std::string> seen;
    for (auto const& target : experiment.targets)
        if (!seen.insert(target).second)
            throw InputError{fmt::format("target '{}' is named twice ({})", target, map.place(targets))};
    if (auto const average = map.get<std::string>(key("average"), "none"); average != "none" && average != "mean")
        throw InputError{fmt::format("average is '{}' ({})", average, map.place(map.node(key("average")))),
                         "use mean or none"};
    else
        experiment.average = average == "mean";

    Definitions definitions;
    std::vector open{std::filesystem::weakly_canonical(path)};
    std::set<std::filesystem::path> done{open.front()};
    include(map, path, definitions, open, done);
    add_lets(map, definitions);
    add_rows(map, file, definitions, experiment);
    return experiment;
}

std::vector<Experiment> load_experiments(std::vector<std::filesystem::path> const& paths) {
    std::vector<Experiment> result;
    std::map<std::string, std::string> names;
    for (auto const& path : paths) {
        result.push_back(load_experiment(path));
        auto const [other, fresh] = names.emplace(result.back().name, path.string());
        if (!fresh)
            throw InputError{
                fmt::format("two experiments are named '{}' ({} and {})", other->first, other->second, path.string()),
                "give each its own name"};
    }
    return result;
}

}  // namespace samner::plan
