#include "plan/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/yaml.h"

namespace samner::plan {
namespace {

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
    auto lets = map.map("let");
    for (auto const& name : lets.keys()) {
        auto const node = lets.node(name);
        auto const file = map.place().substr(0, map.place().rfind(':', map.place().rfind(':') - 1));
        auto const place = place_of(node, file);
        definitions.add(name, parse_definition(scalar(node, file), place), place);
    }
}

void include(YamlMap& map, std::filesystem::path const& path, Definitions& definitions,
             std::vector<std::filesystem::path>& open, std::set<std::filesystem::path>& done) {
    for (auto const& name : map.get<std::vector<std::string>>("include", {})) {
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
    auto const values = combinations(map.map("for"));
    auto rows = map.map("rows");
    std::set<std::string> names;
    for (auto const& key : rows.keys()) {
        auto const node = rows.node(key);
        std::set<std::string> own;  // a row without the variables stands once
        for (auto const& value : values) {
            auto name = key;
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
    if (experiment.rows.empty()) throw InputError{fmt::format("the experiment has no rows ({})", map.place())};
}

}  // namespace

Experiment load_experiment(std::filesystem::path const& path) {
    auto const file = path.string();
    YamlMap map{read_yaml(path), file};
    Experiment experiment;
    experiment.name = map.require<std::string>("experiment");
    auto const& name = experiment.name;
    if (name.empty() || name.front() == '.' || name.find_first_of(std::string_view{"/\0", 2}) != std::string::npos)
        throw InputError{fmt::format("the experiment is named '{}' ({})", name, map.place(map.node("experiment"))),
                         "its results stand under its name: leave out / and do not begin with a dot"};
    experiment.title = map.get<std::string>("title", "");
    for (auto const* later : {"paper", "published", "exclude"})
        if (map.has(later))
            throw InputError{fmt::format("'{}' is not there yet ({})", later, map.place(map.node(later))),
                             "leave it out for now"};
    auto const targets = map.node("targets");
    if (!targets || !targets.IsSequence())
        throw InputError{fmt::format("targets is not a list of ids ({})", map.place()),
                         "other kinds of targets are not there yet"};
    experiment.targets = map.require<std::vector<std::string>>("targets");
    std::set<std::string> seen;
    for (auto const& target : experiment.targets)
        if (!seen.insert(target).second)
            throw InputError{fmt::format("target '{}' is named twice ({})", target, map.place(targets))};
    if (auto const average = map.get<std::string>("average", "none"); average != "none" && average != "mean")
        throw InputError{fmt::format("average is '{}' ({})", average, map.place(map.node("average"))),
                         "use mean or none"};
    else
        experiment.average = average == "mean";

    Definitions definitions;
    std::vector open{std::filesystem::weakly_canonical(path)};
    std::set<std::filesystem::path> done{open.front()};
    include(map, path, definitions, open, done);
    add_lets(map, definitions);
    add_rows(map, file, definitions, experiment);
    map.finish();
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
