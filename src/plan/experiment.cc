#include "plan/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/home.h"
#include "core/yaml.h"
#include "corpus/tags.h"

namespace samner::plan {
namespace {

constexpr auto keys = std::to_array<Key>({
    {.name = "experiment",
     .help = "The name under which its results stand: without `/`, and not beginning with a dot.",
     .required = true},
    {.name = "experiments",
     .help = "In place of all other keys: a list of experiment files, which this one stands for."},
    {.name = "title", .help = "A line for people, above its table."},
    {.name = "include",
     .help = "List of files whose `let` counts here, too; relative to this file. They hold `include` and `let` only."},
    {.name = "let", .help = "Map of names to expressions and functions."},
    {.name = "targets",
     .help = "The columns: a list of targets of the run file, or one of `{one_sentence: {of: […], trials: 5}}` (of "
             "each of them one sentence, drawn anew in every trial; the mean over trials), `{pooled: […]}` (all of "
             "them as one data set, with a column of its own), `{domains: […]}` and `{languages: […]}` (the test sets "
             "of experts of the run file).",
     .required = true},
    {.name = "for", .help = "Map of variables to lists of values, which the rows go through in every combination."},
    {.name = "rows",
     .help = "Map of names to expressions that give a model or predictions.",
     .required = true,
     .aliases = "systems"},
    {.name = "exclude",
     .help = "A condition for cells that are left out, as `l == target`: variables of `for`, `target` and names, "
             "compared by == or !=, joined by `and`. It counts for rows with all its variables."},
    {.name = "average",
     .help = "mean adds a column of unweighted means; none does not. That of pooled targets leaves out the column of "
             "all of them.",
     .range = {"mean or none"}},
    {.name = "paper",
     .help = "Printed values to show beside those of the run: `{table: 2, values: FILE}` or `{figure: 3, values: "
             "FILE}`, relative to this file."},
    {.name = "published",
     .help = "List of systems whose values the file of `paper` copies from the literature: they stand above the rows "
             "and are never computed."},
    {.name = "shows",
     .help = "`{data: POOL}`: no systems, and neither targets nor rows, but the data that the experts of a pool are "
             "trained on (/data of results.h5). Nothing is trained for it."},
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

/// The file that a file names. @throws InputError where it is not there
std::filesystem::path file_in(std::filesystem::path const& path, std::string const& name, std::string_view what,
                              std::string const& place) {
    auto const folder = std::filesystem::absolute(path).parent_path();
    auto const file = path_in_file(folder, name, what, place);
    if (std::filesystem::is_regular_file(file)) return (path.parent_path() / name).lexically_normal();
    throw InputError{fmt::format("there is no file '{}' ({})", file.string(), place),
                     "names of files are relative to the file that names them"};
}

void include(YamlMap& map, std::filesystem::path const& path, Definitions& definitions,
             std::vector<std::filesystem::path>& open, std::set<std::filesystem::path>& done) {
    for (auto const& name : map.get<std::vector<std::string>>(key("include"), {})) {
        auto const file = file_in(path, name, "include", map.place(std::string{key("include")}));
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
    constexpr std::size_t most = 10'000;
    std::vector<std::map<std::string, std::string>> result{{}};
    for (auto const& name : loops.keys()) {
        std::vector<std::map<std::string, std::string>> next;
        auto const values = loops.require<std::vector<std::string>>(name);
        if (values.empty() || result.size() > most / values.size())
            throw InputError{fmt::format("`for` has {} combinations ({})",
                                         values.empty() ? "no" : fmt::format("more than {}", most), loops.place(name)),
                             values.empty() ? "give each variable a value" : "give its variables fewer values"};
        for (auto const& before : result)
            for (auto const& value : values) {
                next.push_back(before);
                next.back()[name] = value;
            }
        result = std::move(next);
    }
    return result;
}

/// `l == target and l != de`: each comparison has two operands.
class Condition {
public:
    /// @throws InputError for another form
    Condition(std::string const& text, std::string place) : place_{std::move(place)} {
        std::istringstream words{text};
        for (std::string joint = "and"; !joint.empty();) {
            Comparison one;
            std::string sign;
            words >> one.left >> sign >> one.right;
            if (joint != "and" || one.right.empty() || (sign != "==" && sign != "!="))
                throw InputError{fmt::format("exclude is '{}' ({})", text, place_),
                                 "write a condition such as l == target, joined by `and`"};
            one.equal = sign == "==";
            comparisons_.push_back(std::move(one));
            joint.clear();
            words >> joint;
        }
    }

    /// The variables that it names.
    std::set<std::string> variables(std::map<std::string, std::string> const& all) const {
        std::set<std::string> named;
        for (auto const& one : comparisons_)
            for (auto const& word : {one.left, one.right})
                if (all.contains(word)) named.insert(word);
        return named;
    }
    bool holds(std::map<std::string, std::string> const& values) const {
        auto const value = [&](std::string const& word) {
            auto const found = values.find(word);
            return found == values.end() ? word : found->second;
        };
        return std::ranges::all_of(
            comparisons_, [&](Comparison const& one) { return (value(one.left) == value(one.right)) == one.equal; });
    }
    /// @param values   of `for`, every combination
    /// @param columns  that a target can be
    /// @throws InputError when it compares nothing that varies, or with a word that nothing is
    void require_sense(std::vector<std::map<std::string, std::string>> const& values,
                       std::vector<std::string> const& columns) const {
        std::set<std::string> variables{"target"};
        std::set<std::string> known{columns.begin(), columns.end()};
        for (auto const& combination : values) {
            for (auto const& [variable, value] : combination) {
                variables.insert(variable);
                known.insert(value);
            }
        }
        for (auto const& one : comparisons_) {
            bool const varies = variables.contains(one.left) || variables.contains(one.right);
            if (!varies || one.left == one.right)
                throw InputError{fmt::format("exclude compares '{}' with '{}' ({})", one.left, one.right, place_),
                                 "compare a variable of `for`, or target, with another or with a value"};
            for (auto const& word : {one.left, one.right}) {
                if (variables.contains(word) || known.contains(word)) continue;
                auto all = known;
                all.insert(variables.begin(), variables.end());
                refuse_name(word, {all.begin(), all.end()}, "exclude", place_);
            }
        }
    }

private:
    struct Comparison {
        std::string left, right;
        bool equal = true;
    };
    std::vector<Comparison> comparisons_;
    std::string place_;
};

/// @throws InputError for a name that HDF5, a terminal or a folder could not show
void check_name(std::string const& name, std::string_view what, std::string const& place) {
    constexpr std::size_t longest = 200;
    auto const refuse = [&](std::string_view why) {
        throw InputError{fmt::format("the name of {} {} ({})", what, why, place), "give it another name"};
    };
    if (name.empty()) refuse("is empty");
    if (name.size() > longest) refuse(fmt::format("has {} bytes", name.size()));
    if (!corpus::code_points(name)) refuse("is no valid UTF-8");
    if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        refuse("has control characters");
}

void add_rows(YamlMap& map, std::string const& file, Definitions const& definitions, Experiment& experiment) {
    auto const values = combinations(map.map(key("for")));
    std::optional<Condition> exclude;
    if (map.has(key("exclude"))) {
        exclude.emplace(map.get<std::string>(key("exclude"), ""), map.place(std::string{key("exclude")}));
        exclude->require_sense(values, experiment.targets.columns());
    }
    auto rows = map.map(key("rows"));
    std::set<std::string> names;
    std::set<std::string> used_by_any;
    for (auto const& row : rows.keys()) {
        auto const node = rows.node(row);
        auto const written = scalar(node, file);
        check_name(row, "a row", rows.place(node));
        std::set<std::string> own;  // a row without the variables stands once
        for (auto const& value : values) {
            auto name = row;
            auto text = written;
            std::set<std::string> used;
            for (auto const& [variable, replacement] : value) {
                auto const braced = "{" + variable + "}";
                if (row.find(braced) != std::string::npos || written.find(braced) != std::string::npos)
                    used.insert(variable);
                used_by_any.insert(used.begin(), used.end());
                name = replace_all(name, braced, replacement);
                text = replace_all(text, braced, replacement);
            }
            if (!own.insert(name + '\n' + text).second) continue;
            check_name(name, "a row", rows.place(node));
            if (!names.insert(name).second)
                throw InputError{fmt::format("row '{}' is named twice ({})", name, rows.place(node)),
                                 "let the name hold the variables that the expression holds"};
            auto& made = experiment.rows.emplace_back();
            made.name = name;
            made.term = definitions.check_row(parse_expression(text, place_of(node, file)));
            if (!exclude || !std::ranges::includes(used, exclude->variables(value))) continue;
            for (auto const& column : experiment.targets.columns()) {
                auto bound = value;
                bound["target"] = column;
                if (exclude->holds(bound)) made.excluded.insert(column);
            }
        }
    }
    for (auto const& [variable, value] : values.front())
        if (!used_by_any.contains(variable))
            throw InputError{fmt::format("no row uses the variable '{}' of `for` ({})", variable,
                                         map.place(std::string{key("for")})),
                             fmt::format("write {{{}}} in a row, or leave it out", variable)};
    if (experiment.rows.empty())
        throw InputError{fmt::format("the experiment has no rows ({})", map.place()),
                         "name one and give it an expression, as in {base: base}"};
}

/// What `paper` names.
PaperValues paper_of(YamlMap paper, std::filesystem::path const& path) {
    std::string place;
    for (auto const& [what, printed] : {std::pair{"table", "Table"}, std::pair{"figure", "Figure"}}) {
        if (!paper.has(what)) continue;
        if (!place.empty())
            throw InputError{fmt::format("paper names a table and a figure ({})", paper.place()), "name one of them"};
        auto const number = paper.get<std::int64_t>(what, 0);
        if (number < 1)
            throw InputError{fmt::format("paper.{} is {} ({})", what, number, paper.place(what)),
                             "give it a number from 1"};
        place = fmt::format("{} {}", printed, number);
    }
    bool const named = paper.has("values");
    paper.finish();  // first of all: a key that is missing may be one that is misspelt
    if (place.empty())
        throw InputError{fmt::format("paper names neither a table nor a figure ({})", paper.place()),
                         "write {table: 2, values: FILE}"};
    if (!named) paper.require<std::string>("values", "the file of printed values");
    auto const values = paper.get<std::string>("values", "");
    return read_paper_values(file_in(path, values, "paper.values", paper.place("values")), place);
}

void add_published(YamlMap& map, Experiment& experiment) {
    auto const place = map.place(std::string{key("published")});
    for (auto const& name : map.get<std::vector<std::string>>(key("published"), {})) {
        if (!experiment.paper || !experiment.paper->published(name))
            throw InputError{fmt::format("'{}' has no printed values ({})", name, place),
                             "the file of `paper` needs a row with this system and the base n/a"};
        if (std::ranges::find(experiment.published, name) != experiment.published.end() ||
            std::ranges::find(experiment.rows, name, &Row::name) != experiment.rows.end())
            throw InputError{fmt::format("row '{}' is named twice ({})", name, place), "choose another name"};
        experiment.published.push_back(name);
    }
}

Targets targets_of(YamlMap& map) {
    auto const node = map.node(key("targets"));
    if (!node.IsDefined())
        throw InputError{fmt::format("targets is missing ({})", map.place()),
                         "name targets of the run file, as in [science, politics]"};
    try {
        return Targets::from_json(to_json(node));
    } catch (InputError const& error) {
        throw InputError{fmt::format("{} ({})", error.what(), map.place(node)), error.remedy()};
    }
}

/// The experiment files that a file stands for: itself, or those that it lists.
void expand(std::filesystem::path const& path, std::vector<std::filesystem::path>& open,
            std::vector<std::filesystem::path>& files) {
    auto const real = std::filesystem::weakly_canonical(path);
    if (std::ranges::find(open, real) != open.end())
        throw InputError{fmt::format("'{}' lists itself", path.string()), "break the cycle"};
    YamlMap map{read_yaml(path), path.string()};
    if (!map.has(key("experiments"))) {
        files.push_back(path);
        return;
    }
    auto const listed = map.get<std::vector<std::string>>(key("experiments"), {});
    for (auto const& other : map.keys())
        if (other != key("experiments"))
            throw InputError{fmt::format("'{}' of a file that lists experiments ({})", other, map.place(other)),
                             "leave it out, or `experiments`"};
    auto const place = map.place(std::string{key("experiments")});
    if (listed.empty()) throw InputError{fmt::format("experiments is empty ({})", place), "list experiment files"};
    open.push_back(real);
    std::vector<std::filesystem::path> named;
    for (auto const& name : listed) named.push_back(file_in(path, name, "experiments", place));
    for (auto const& file : named) expand(file, open, files);
    open.pop_back();
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
    check_name(name, "an experiment", map.place(map.node(key("experiment"))));
    experiment.title = map.get<std::string>(key("title"), "");
    if (map.has(key("experiments")))
        throw InputError{fmt::format("a file that lists experiments is no experiment ({})",
                                     map.place(std::string{key("experiments")})),
                         "name one of those that it lists"};
    if (map.has(key("paper"))) experiment.paper = paper_of(map.map(key("paper")), path);
    Definitions definitions;
    std::vector open{std::filesystem::weakly_canonical(path)};
    std::set<std::filesystem::path> done{open.front()};
    include(map, path, definitions, open, done);
    add_lets(map, definitions);
    if (map.has(key("shows"))) {
        for (auto const* other : {key("targets"), key("rows"), key("for"), key("exclude"), key("published")})
            if (map.has(other))
                throw InputError{
                    fmt::format("'{}' of an experiment that shows data ({})", other, map.place(std::string{other})),
                    "leave it out"};
        auto shows = map.map(key("shows"));
        auto const node = shows.node("data");
        if (!node.IsDefined())
            throw InputError{fmt::format("shows has no data ({})", shows.place()), "write {data: POOL}"};
        experiment.data = definitions.check(parse_expression(scalar(node, file), place_of(node, file)));
        shows.finish();
        if (experiment.data->type != Type::pool)
            throw InputError{fmt::format("data of a {} ({})", type_name(experiment.data->type), shows.place(node)),
                             "name a pool, as in {data: six}"};
        return experiment;
    }
    experiment.targets = targets_of(map);
    experiment.place = map.place(std::string{key("targets")});
    if (auto const average = map.get<std::string>(key("average"), "none"); average != "none" && average != "mean")
        throw InputError{fmt::format("average is '{}' ({})", average, map.place(map.node(key("average")))),
                         "use mean or none"};
    else
        experiment.average = average == "mean";

    add_rows(map, file, definitions, experiment);
    add_published(map, experiment);
    return experiment;
}

std::vector<Experiment> load_experiments(std::vector<std::filesystem::path> const& paths) {
    std::vector<Experiment> result;
    std::map<std::string, std::string> names;
    std::vector<std::filesystem::path> files;
    std::vector<std::filesystem::path> open;
    for (auto const& path : paths) expand(path, open, files);
    for (auto const& path : files) {
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
