#include "plan/run_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <set>

#include "core/differences.h"
#include "core/error.h"
#include "core/file.h"
#include "core/home.h"
#include "core/precision.h"
#include "core/yaml.h"

namespace samner::plan {
namespace {

void emit(YAML::Emitter& out, Json const& value) {
    if (value.is_object()) {
        out << YAML::BeginMap;
        for (auto const& [key, item] : value.items()) {
            out << YAML::Key << key << YAML::Value;
            emit(out, item);
        }
        out << YAML::EndMap;
    } else if (value.is_array()) {
        out << YAML::Flow << YAML::BeginSeq;
        for (auto const& item : value) emit(out, item);
        out << YAML::EndSeq;
    } else if (value.is_string()) {
        out << YAML::DoubleQuoted << value.get<std::string>();
    } else {
        out << value.dump();
    }
}

std::string to_yaml(Json const& value) {
    YAML::Emitter out;
    emit(out, value);
    return std::string{out.c_str()} + "\n";
}

void demand(bool holds, std::string const& place, std::string const& what, std::string const& remedy) {
    if (!holds) throw InputError{fmt::format("{} ({})", what, place), remedy};
}

/// Asks for a struct's keys and refuses others: a key that is missing may be one that is misspelt.
/// @param visit_keys  calls what it is given with each key
template <class VisitKeys>
void refuse_unknown_keys(YamlMap& map, VisitKeys const& visit_keys, std::vector<Key> also = {}) {
    visit_keys([&](Key const& key, auto const&...) {
        map.has(std::string{key.name});
        also.insert(also.begin(), key);
    });
    map.finish(also);
}

/// Keys of the sections under their full names, which who leaves out the section means.
/// @param names  keeps the names
std::vector<Key> keys_of_sections(std::deque<std::string>& names) {
    std::vector<Key> keys;
    auto const add = [&](std::string_view section, std::string_view name, std::string_view aliases = {}) {
        auto const& full = names.emplace_back(fmt::format("{}.{}", section, name));
        keys.push_back({.name = full, .help = {}, .aliases = names.emplace_back(fmt::format("{} {}", name, aliases))});
    };
    for (auto const& key : train::Options::help()) add("train", key.name, key.aliases);
    auto const add_key = [&](std::string_view section) {
        return [&add, section](Key const& key, auto const&...) { add(section, key.name, key.aliases); };
    };
    RunFile::Infer const infer;
    RunFile::Infer::keys(infer, add_key("infer"));
    work::TrainingPrompt const prompt;
    prompt_keys(prompt, add_key("prompt"));
    merge::for_each_setting([&](auto const& setting) { add("merge", setting.name); });
    return keys;
}

void flatten(Json const& value, std::string const& path, Json& out) {
    if (value.is_object()) {
        for (auto const& [key, item] : value.items()) flatten(item, path.empty() ? key : path + "." + key, out);
    } else {
        out[path] = value.dump();
    }
}

/// Calls visit with every name of an expert in a term.
void visit_experts(Term const& term, std::function<void(Term const&)> const& visit) {
    for (auto const& [parameter, argument] : term.arguments) {
        if (parameter == "experts" && argument->type == Type::name) visit(*argument);
        visit_experts(*argument, visit);
    }
}

template <class Map>
std::vector<std::string> keys_of(Map const& map) {
    std::vector<std::string> keys;
    for (auto const& [key, value] : map) keys.push_back(key);
    return keys;
}

std::string name_suggestion(std::string const& word, std::vector<std::string> const& known) {
    if (auto const near = did_you_mean(word, known)) return fmt::format("did you mean '{}'?", *near);
    return fmt::format("the run file has {}", fmt::join(known, ", "));
}

/// Writes the values of keys, defaults too, as JSON that Reader reads back.
class Writer {
public:
    explicit Writer(Json& object) : object_{object} {}

    template <class T, class... Fits>
    void operator()(Key const& key, T const& value, Fits const&...) const {
        auto json = of(value);
        if (key.automatic && json == 0) json = "auto";
        if (!json.is_null()) object_[std::string{key.name}] = std::move(json);
    }

    template <class T>
    static Json of(T const& value) {
        return to_wire(value);
    }
    /// Takes newer keys out of an object that have their usual values.
    static auto leave_out_usual(Json& object) {
        return [&object](Key const& key, auto const& usual, auto&&...) {
            if (key.newer && object.at(std::string{key.name}) == of(usual)) object.erase(std::string{key.name});
        };
    }
    /// @param keys  one of the type's lists of keys: keys(value, visit)
    template <class T, class Keys>
    static Json written(T const& value, Keys const& keys) {
        Json object;
        keys(value, Writer{object});
        T const usual{};
        keys(usual, leave_out_usual(object));
        return object;
    }
    template <HasKeys T>
    static Json of(T const& value) {
        return written(value, [](T const& of, auto const& visit) { T::keys(of, visit); });
    }
    template <class T>
    static Json of(std::map<std::string, T> const& entries) {
        Json object;
        for (auto const& [name, entry] : entries) object[name] = of(entry);
        return object;
    }
    static Json of(ExpertRecipe const& expert) {
        return written(expert, [exists = !expert.adapter.empty()](ExpertRecipe const& of, auto const& visit) {
            exists ? ExpertRecipe::existing_keys(of, visit) : ExpertRecipe::keys(of, visit);
        });
    }
    static Json of(Target const& target) {
        return written(target, [own = !target.texts.empty()](Target const& of, auto const& visit) {
            own ? Target::texts_keys(of, visit) : Target::keys(of, visit);
        });
    }
    static Json of(work::TrainingPrompt const& prompt) {
        Json object;
        prompt_keys(prompt, Writer{object});
        return object;
    }
    static Json of(std::optional<prompt::Rates> const& parts) { return parts ? parts->to_json() : Json("none"); }
    static Json of(train::Options const& options) { return options.settings(); }
    static Json of(merge::Settings const& settings) { return settings.to_json(); }
    static Json of(std::vector<Repeat> const& repeats) {
        auto list = Json::array();
        for (auto const& repeat : repeats)
            list.push_back(repeat.seeds.uniform() ? Json(repeat.seeds.train) : to_wire(repeat.seeds));
        return list;
    }

private:
    Json& object_;
};

std::uint64_t seed_of(Json const& value, std::string const& place) {
    if (auto const seed = detail::to_integer<std::uint64_t>(value)) return *seed;
    throw InputError{fmt::format("a seed is {} ({})", value.dump().substr(0, 60), place), "give it 0 or more"};
}

/// Every combination of a map's values, of which each is a number or a list of numbers; the last varies fastest.
std::vector<Seeds> combinations(Json const& map, std::string const& place) {
    std::vector<Seeds> all{{}};
    std::set<std::string> known;
    Seeds::fields(all.front(), [&](std::string const& name, auto&) { known.insert(name); });
    refuse_unknown(map, known, "seed", place);
    for (auto const* const name : {"train", "cluster", "merge", "sample"}) {
        if (!map.contains(name)) continue;
        auto const& given = map.at(name);
        std::vector<Seeds> next;
        for (auto const& before : all) {
            for (auto const& value : given.is_array() ? given : Json::array({given})) {
                auto& seeds = next.emplace_back(before);
                Seeds::fields(seeds, [&](std::string_view field, std::uint64_t& seed) {
                    if (field == name) seed = seed_of(value, place);
                });
            }
        }
        all = std::move(next);
    }
    return all;
}

std::vector<Repeat> repeats_of(Json const& value, std::string const& place) {
    std::vector<Seeds> all;
    for (auto const& item : value.is_array() ? value : Json::array({value})) {
        if (item.is_object()) {
            std::ranges::move(combinations(item, place), std::back_inserter(all));
        } else {
            all.push_back(Seeds::all(seed_of(item, place)));
        }
    }
    if (all.empty()) throw InputError{fmt::format("seeds is empty ({})", place), "give at least one"};
    if (std::set(all.begin(), all.end()).size() != all.size())
        throw InputError{fmt::format("a seed stands twice ({})", place), "name each once"};
    // A number stands for itself; where one is a map, all are numbered.
    bool const numbers = std::ranges::all_of(all, &Seeds::uniform);
    std::vector<Repeat> repeats;
    for (auto const& seeds : all)
        repeats.push_back({numbers ? static_cast<std::int64_t>(seeds.train) : std::ssize(repeats), seeds});
    return repeats;
}

/// A list of names and of `name: definition`, or a map of such, in the order of the file.
std::vector<work::WantedType> types_of(YAML::Node const& node, std::string const& place) {
    std::vector<work::WantedType> types;
    if (node.IsMap()) {
        for (auto const& entry : node)
            types.push_back(work::WantedType::from_json(
                Json{{entry.first.Scalar(), entry.second.IsScalar() ? Json(entry.second.Scalar()) : Json{}}}, place));
    } else if (node.IsSequence()) {
        for (auto const& item : node) types.push_back(work::WantedType::from_json(to_json(item), place));
    } else {
        throw InputError{fmt::format("types is no list ({})", place),
                         "write [name, name: definition, …], or a map of definitions"};
    }
    work::check_types(types, place);
    return types;
}

/// Reads the keys of one map.
class Reader {
public:
    /// @param run     what is read so far: a training computes in the run's precision
    /// @param folder  that paths in the file are relative to
    Reader(YamlMap& map, RunFile const& run, std::filesystem::path const& folder)
        : map_{map}, run_{run}, folder_{folder} {}

    template <class T>
    void operator()(Key const& key, T& value) {
        (*this)(key, value, [](T const&) { return true; });
    }
    template <class T, class Fits>
    void operator()(Key const& key, T& value, Fits const& fits) {
        std::string const name{key.name};
        if (key.automatic && map_.has(name) && map_.node(name).IsScalar() && map_.node(name).Scalar() == "auto") {
            value = T{};
            return;
        }
        read(key, name, value);
        if constexpr (std::is_same_v<T, std::string>) {
            if (key.path) value = located(name, value);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            if (key.path)
                for (auto& item : value) item = located(name, item);
        } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, Numbers>) {
            if (!refused_ && !(is_in(key.range, value) && fits(value))) {
                refused_ = InputError{fmt::format("{} is {} ({})", path(name), value, map_.place(name)),
                                      fmt::format("give it {}", key.range.words)};
            }
        }
    }
    /// @throws InputError for a value out of its range, the first of them
    void check() const {
        if (refused_) throw InputError{*refused_};
    }

private:
    std::string path(std::string const& name) const { return map_.path().empty() ? name : map_.path() + "." + name; }

    using Numbers = std::vector<std::int64_t>;
    template <class T>
    static bool is_in(Range const& range, T value) {
        return range.has(static_cast<double>(value));
    }
    static bool is_in(Range const& range, Numbers const& values) {
        return std::ranges::all_of(values, [&](std::int64_t value) { return is_in(range, value); });
    }
    /// The absolute path that a value of a key is; an empty one stays empty.
    std::string located(std::string const& name, std::string const& value) const {
        if (value.empty()) return value;
        auto const& folder = map_.word_of(name) ? std::filesystem::path{} : folder_;
        if (name == "store") return path_in_file({}, folder / value, path(name), map_.place(name)).string();  // made
        return path_in_file(folder, value, path(name), map_.place(name)).string();
    }

    template <class T>
    void read(Key const& key, std::string const& name, T& value) {
        value = key.required ? map_.require<T>(name, key.help) : map_.get(name, value);
    }
    template <NamedEnum T>
    void read(Key const&, std::string const& name, T& value) {
        value = value_named<T>(map_.get<std::string>(name, std::string{name_of_value(value)}), path(name),
                               map_.place(name));
    }
    void read(Key const&, std::string const& name, Precision& value) {
        value = parse_precision(map_.get<std::string>(name, std::string{to_string(value)}), map_.place(name));
    }
    template <HasKeys T>
    void read(Key const&, std::string const& name, T& value) {
        auto map = map_.map(name);
        refuse_unknown_keys(map, [&](auto const& visit) { T::keys(value, visit); });
        Reader reader{map, run_, folder_};
        T::keys(value, reader);
        reader.check();
    }
    template <class T>
    void read(Key const&, std::string const& name, std::map<std::string, T>& entries) {
        auto map = map_.map(name);
        Reader reader{map, run_, folder_};
        for (auto const& entry : map.keys()) reader.read({}, entry, entries[entry]);
    }
    void read(Key const&, std::string const& name, ExpertRecipe& recipe) {
        auto map = map_.map(name);
        Reader reader{map, run_, folder_};
        if (map.has("adapter")) {
            ExpertRecipe::existing_keys(recipe, reader);
            demand(!map.has("datasets") && !map.has("samples"), map.place(),
                   fmt::format("expert '{}' has an adapter, and data to train on", name),
                   "leave out one of them; the texts of an adapter's domain are its `texts`");
            demand(!recipe.adapter.empty(), map.place("adapter"), fmt::format("{}.adapter is empty", map.path()),
                   "name a PEFT folder");
            for (auto const& dataset : recipe.texts) work::parse_dataset_ref(dataset, "train", map.place("texts"));
            for (auto const& dataset : recipe.test) work::parse_dataset_ref(dataset, "test", map.place("test"));
            map.finish();
            return;
        }
        refuse_unknown_keys(map, [&](auto const& visit) { ExpertRecipe::keys(recipe, visit); });
        demand(map.has("datasets"), map.place(), fmt::format("expert '{}' has neither datasets nor adapter", name),
               "name the data sets that it is trained on, as in {datasets: [ncbi]}, or the PEFT folder that it is");
        ExpertRecipe::keys(recipe, reader);
        auto const place = map.place("datasets");
        demand(!recipe.datasets.empty(), place, fmt::format("expert '{}' has no data sets", name), "name at least one");
        std::set<std::string> distinct;
        for (auto const& dataset : recipe.datasets)
            distinct.insert(work::parse_dataset_ref(dataset, "train", place).id);
        demand(distinct.size() == recipe.datasets.size(), place,
               fmt::format("expert '{}' names a data set twice", name), "name each once");
        for (auto const& dataset : recipe.test) work::parse_dataset_ref(dataset, "test", map.place("test"));
        reader.check();
    }
    void read(Key const&, std::string const& name, Target& target) {
        auto map = map_.map(name);
        Reader reader{map, run_, folder_};
        if (!map.has("texts")) {
            refuse_unknown_keys(map, [&](auto const& visit) { Target::keys(target, visit); });
            Target::keys(target, reader);
        } else {
            demand(!map.has("dataset") && !map.has("split"), map.place(),
                   fmt::format("target '{}' has texts, and a data set", name), "leave out one of them");
            refuse_unknown_keys(map, [&](auto const& visit) { Target::texts_keys(target, visit); });
            Target::texts_keys(target, reader);
            demand(!target.texts.empty(), map.place("texts"), fmt::format("{}.texts is empty", map.path()),
                   "name a file of texts");
        }
        reader.check();
    }
    void read(Key const& key, std::string const& name, std::vector<work::WantedType>& types) {
        auto const place = map_.place(name);
        if (!map_.has(name)) map_.require<std::string>(name, key.help);  // throws
        types = types_of(map_.node(name), place);
    }
    void read(Key const&, std::string const& name, train::Options& options) {
        auto const map = map_.map(name);
        auto given = map_.has(name) ? to_json(map_.node(name)) : Json::object();
        if (given.is_null()) given = Json::object();  // `train:` with nothing behind it
        if (!given.contains("dtype")) given["dtype"] = to_string(run_.dtype);
        options = train::Options::from_json(given, map.places());
        demand(options.dtype == run_.dtype, map.place("dtype"),
               fmt::format("train.dtype is {} and dtype is {}", to_string(options.dtype), to_string(run_.dtype)),
               "leave train.dtype out: a run computes in one");
    }
    void read(Key const&, std::string const& name, work::TrainingPrompt& prompt) {
        auto map = map_.map(name);
        refuse_unknown_keys(map, [&](auto const& visit) { prompt_keys(prompt, visit); });
        prompt_keys(prompt, Reader{map, run_, folder_});
    }
    void read(Key const&, std::string const& name, std::optional<prompt::Rates>& parts) {
        if (!map_.has(name)) return;
        auto const node = map_.node(name);
        parts =
            prompt::Rates::from_json(to_json(node), node.IsMap() ? map_.map(name).places() : Places{map_.place(name)});
    }
    void read(Key const&, std::string const& name, merge::Settings& given) {
        auto settings = map_.map(name);
        merge::for_each_setting([&](auto const& setting) {
            std::string const key{setting.name};
            if (!settings.has(key)) return;
            auto const node = settings.node(key);
            given.set(key, to_json(node), settings.place(node));
        });
        settings.finish();
        try {
            // For TIES; another method's own limits are looked at where it is used.
            merge::of_method(given, merge::Method::ties, 0).options();
        } catch (InputError const& error) {
            throw InputError{fmt::format("{} ({})", error.what(), place_of_fault(settings, given)), error.remedy()};
        }
    }
    void read(Key const&, std::string const& name, std::vector<Repeat>& repeats) {
        if (map_.has(name)) repeats = repeats_of(to_json(map_.node(name)), map_.place(name));
    }
    /// The place of the setting without which the others would do; of all of them where there is none.
    static std::string place_of_fault(YamlMap const& settings, merge::Settings const& given) {
        auto place = settings.place();
        merge::for_each_setting([&](auto const& setting) {
            auto without = given;
            without.*setting.member = merge::Settings{}.*setting.member;
            try {
                merge::of_method(without, merge::Method::ties, 0).options();
                if (without != given) place = settings.place(std::string{setting.name});
            } catch (InputError const&) {  // it is not this one alone
            }
        });
        return place;
    }

    YamlMap& map_;
    RunFile const& run_;
    std::filesystem::path const& folder_;
    std::optional<InputError> refused_;
};

}  // namespace

std::vector<work::DatasetRef> ExpertRecipe::refs() const {
    std::vector<work::DatasetRef> refs;
    for (auto const& dataset : adapter.empty() ? datasets : texts)
        refs.push_back(work::parse_dataset_ref(dataset, "train", "run file"));
    return refs;
}

std::vector<work::DatasetRef> ExpertRecipe::test_refs() const {
    std::vector<work::DatasetRef> all;
    for (auto const& dataset : test) all.push_back(work::parse_dataset_ref(dataset, "test", "run file"));
    if (!all.empty()) return all;
    for (auto const& ref : refs()) all.push_back({ref.id, {"test"}});
    return all;
}

std::string Target::name() const {
    return texts.empty() ? fmt::format("{}:{}", dataset, split) : texts;
}

RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides) {
    return parse_run_file(read_text(path), path.string(), overrides, std::filesystem::absolute(path).parent_path());
}

std::vector<work::WantedType> load_types(std::filesystem::path const& path) {
    auto const root = read_yaml(path);
    YamlMap const map{root, path.string()};
    bool const named = root.IsMap() && root.size() == 1 && root["types"] && !root["types"].IsScalar();
    auto const node = named ? root["types"] : root;
    return types_of(node, map.place(node));
}

std::string to_yaml(RunFile const& run) {
    return to_yaml(Writer::of(run));
}

RunFile parse_run_file(std::string const& text, std::string const& place, std::vector<std::string> const& overrides,
                       std::filesystem::path const& folder) {
    auto root = parse_yaml(text, place);
    std::vector<YamlSetting> settings;
    for (auto const& assignment : overrides) settings.push_back(set_yaml(root, assignment));
    YamlMap map{root, place, {}, settings};
    RunFile run;
    std::deque<std::string> names;
    refuse_unknown_keys(
        map, [&](auto const& visit) { RunFile::keys(run, visit); }, keys_of_sections(names));
    Reader reader{map, run, folder};
    RunFile::keys(run, reader);
    reader.check();
    return run;
}

namespace {

/// YAML has no way to write null that is read as one here.
Json without_nulls(Json value) {
    if (value.is_object())
        std::erase_if(value.get_ref<Json::object_t&>(), [](auto const& entry) { return entry.second.is_null(); });
    if (value.is_structured())
        for (auto& item : value) item = without_nulls(std::move(item));
    return value;
}

}  // namespace

std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run, RunArithmetic const& arithmetic) {
    auto settings = Writer::of(run);
    settings.erase("threads");
    settings.erase("store");
    if (run.exact()) settings["infer"].erase("num_slots");
    settings["infer"].erase("max_kept_tokens");
    settings["train"].erase("checkpoint_every");
    std::vector<std::pair<std::string, Json>> tables;  // in the order of the experiments, in which they are shown
    for (auto const& experiment : experiments) {
        auto& table = tables.emplace_back(experiment.name, Json::object()).second;
        table["title"] = experiment.title;
        if (experiment.paper) table["paper"] = without_nulls(to_wire(*experiment.paper));
        if (experiment.shows_data()) {
            table["data"] = experiment.data->text();
            continue;
        }
        table["targets"] = experiment.targets.to_json();
        table["average"] = experiment.average;
        if (!experiment.published.empty()) table["published"] = experiment.published;
        for (auto const& row : experiment.rows) {
            table["rows"].push_back(Json{{row.name, row.term->text()}});
            if (!row.excluded.empty()) table["excluded"][row.name] = row.excluded;
        }
    }
    YAML::Emitter out;
    out << YAML::BeginMap;
    auto const put = [&](std::string const& key, Json const& value) {
        out << YAML::Key << key << YAML::Value;
        emit(out, value);
    };
    if (!arithmetic.model.exact() || !arithmetic.encoder.exact()) put("arithmetic", to_wire(arithmetic));
    out << YAML::Key << "experiments" << YAML::Value << YAML::BeginMap;
    for (auto const& [name, table] : tables) put(name, table);
    out << YAML::EndMap;
    put("run", settings);
    out << YAML::EndMap;
    return std::string{out.c_str()} + "\n";
}

Frozen load_frozen(std::filesystem::path const& path) {
    auto const root = read_yaml(path);
    YamlMap map{root, path.string()};
    Frozen result;
    result.run = parse_run_file(to_yaml(to_json(map.node("run"))), path.string());
    if (map.has("arithmetic"))
        result.arithmetic = from_wire<RunArithmetic>(to_json(map.node("arithmetic")), "arithmetic", path.string());
    auto experiments = map.map("experiments");
    for (auto const& name : experiments.keys()) {
        auto table = experiments.map(name);
        auto& experiment = result.experiments.emplace_back();
        experiment.name = name;
        experiment.title = table.require<std::string>("title");
        if (table.has("paper"))
            experiment.paper = from_wire<PaperValues>(to_json(table.node("paper")), "paper", path.string());
        if (table.has("data")) {
            auto const expression = parse_expression(table.require<std::string>("data"), {path.string(), 1, 1});
            experiment.data = Definitions{}.check(expression);
            table.finish();
            continue;
        }
        experiment.targets = Targets::from_json(to_json(table.node("targets")));
        experiment.average = table.require<bool>("average");
        experiment.published = table.get<std::vector<std::string>>("published", {});
        auto excluded = table.map("excluded");
        for (auto const& row : table.node("rows")) {
            for (auto const& entry : row) {
                auto const expression = parse_expression(entry.second.Scalar(), {path.string(), 1, 1});
                auto& made = experiment.rows.emplace_back();
                made.name = entry.first.Scalar();
                made.term = Definitions{}.check_row(expression);
                auto const columns = excluded.get<std::vector<std::string>>(made.name, {});
                made.excluded = {columns.begin(), columns.end()};
            }
        }
        table.finish();
    }
    map.finish();
    return result;
}

std::vector<SettingDifference> setting_differences(std::string const& frozen, std::string const& other) {
    auto const settings = [](std::string const& text) {
        auto flat = Json::object();
        flatten(to_json(parse_yaml(text, "frozen configuration")), "", flat);
        return flat;
    };
    auto const first = settings(frozen);
    auto const second = settings(other);
    std::vector<SettingDifference> found;
    for (auto& name : differing_members(first, second)) {
        auto one = first.value(name, std::string{});
        auto another = second.value(name, std::string{});
        found.push_back({std::move(name), std::move(one), std::move(another)});
    }
    return found;
}

std::vector<std::string> differences(std::string const& frozen, std::string const& other) {
    std::vector<std::string> names;
    for (auto& difference : setting_differences(frozen, other)) names.push_back(std::move(difference.name));
    constexpr std::size_t shown = 5;
    return first_of(std::move(names), shown);
}

Named names_in(std::vector<Experiment> const& experiments) {
    Named named;
    for (auto const& experiment : experiments) {
        auto& of_targets = experiment.targets.of_experts() ? named.experts : named.targets;
        of_targets.insert(experiment.targets.names.begin(), experiment.targets.names.end());
        auto const add = [&](Term const& name) { named.experts.insert(name.name); };
        for (auto const& row : experiment.rows) visit_experts(*row.term, add);
        if (experiment.shows_data()) visit_experts(*experiment.data, add);
    }
    return named;
}

namespace {

void check_targets(Experiment const& experiment, RunFile const& run) {
    auto const& targets = experiment.targets;
    auto const place = experiment.place.empty() ? "" : fmt::format(" ({})", experiment.place);
    for (auto const& name : targets.names) {
        if (targets.of_experts()) {
            if (!run.experts.contains(name))
                throw InputError{fmt::format("experiment {} has the domain '{}', which the run file has no expert of{}",
                                             experiment.name, name, place),
                                 name_suggestion(name, keys_of(run.experts))};
            continue;
        }
        if (!run.targets.contains(name))
            throw InputError{
                fmt::format("experiment {} has the target '{}', which the run file does not{}", experiment.name, name,
                            place),
                name_suggestion(name, keys_of(run.targets))};
        auto const& first = targets.names.front();
        if (targets.kind == Targets::Kind::pooled && run.targets.at(name).sentences != run.targets.at(first).sentences)
            throw InputError{fmt::format("experiment {} pools the targets '{}' and '{}', which have other `sentences`{}",
                                         experiment.name, first, name, place),
                             "give all pooled targets the same number in the run file, or none"};
    }
}

}  // namespace

void check_names(std::vector<Experiment> const& experiments, RunFile const& run) {
    for (auto const& experiment : experiments) {
        check_targets(experiment, run);
        auto const check = [&](Term const& term, std::string const& what) {
            visit_experts(term, [&](Term const& name) {
                if (run.experts.contains(name.name)) return;
                throw InputError{fmt::format("{} of {} names the expert '{}', which the run file does not have ({})",
                                             what, experiment.name, name.name, name.place.text()),
                                 name_suggestion(name.name, keys_of(run.experts))};
            });
        };
        for (auto const& row : experiment.rows) check(*row.term, "row " + row.name);
        if (experiment.shows_data()) check(*experiment.data, "data");
    }
}

}  // namespace samner::plan
