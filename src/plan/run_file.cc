#include "plan/run_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/file.h"
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

void demand(bool holds, YamlMap const& map, std::string const& what, std::string const& remedy) {
    if (!holds) throw InputError{fmt::format("{} ({})", what, map.place()), remedy};
}

void flatten(Json const& value, std::string const& path, std::map<std::string, std::string>& out) {
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
    template <HasKeys T>
    static Json of(T const& value) {
        Json object;
        T::keys(value, Writer{object});
        T const usual{};
        T::keys(usual, [&](Key const& key, auto const& other, auto&&...) {
            if (key.newer && object.at(std::string{key.name}) == of(other)) object.erase(std::string{key.name});
        });
        return object;
    }
    template <class T>
    static Json of(std::map<std::string, T> const& entries) {
        Json object;
        for (auto const& [name, entry] : entries) object[name] = of(entry);
        return object;
    }
    static Json of(ExpertRecipe const& expert) {
        Json object;
        if (expert.adapter.empty()) {
            ExpertRecipe::keys(expert, Writer{object});
        } else {
            ExpertRecipe::existing_keys(expert, Writer{object});
        }
        return object;
    }
    static Json of(work::TrainingPrompt const& prompt) {
        Json object;
        prompt_keys(prompt, Writer{object});
        return object;
    }
    static Json of(std::optional<prompt::Rates> const& parts) { return parts ? parts->to_json() : Json("none"); }
    static Json of(train::Options const& options) { return options.settings(); }
    static Json of(merge::Settings const& settings) {
        auto json = settings.to_json();
        json[std::string{merge_space.name}] = "factor";
        return json;
    }
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

/// Reads the keys of one map.
class Reader {
public:
    /// @param run  what is read so far: a training computes in the run's precision
    Reader(YamlMap& map, RunFile const& run) : map_{map}, run_{run} {}

    template <class T>
    void operator()(Key const& key, T& value) {
        read(key, std::string{key.name}, value);
    }
    template <class T, class Fits>
    void operator()(Key const& key, T& value, Fits const& fits) {
        std::string const name{key.name};
        if (key.automatic && map_.has(name) && map_.node(name).IsScalar() && map_.node(name).Scalar() == "auto") {
            value = T{};
            return;
        }
        read(key, name, value);
        if (!refused_ && !fits(value)) {
            refused_ = InputError{fmt::format("{} is {} ({})", path(name), value, map_.place()),
                                  fmt::format("give it {}", key.range)};
        }
    }
    /// @throws InputError for a value out of its range, the first of them
    void check() const {
        if (refused_) throw InputError{*refused_};
    }

private:
    std::string path(std::string const& name) const { return map_.path().empty() ? name : map_.path() + "." + name; }

    template <class T>
    void read(Key const& key, std::string const& name, T& value) {
        value = key.required ? map_.require<T>(name) : map_.get(name, value);
    }
    template <NamedEnum T>
    void read(Key const&, std::string const& name, T& value) {
        value =
            value_named<T>(map_.get<std::string>(name, std::string{name_of_value(value)}), path(name), map_.place());
    }
    void read(Key const&, std::string const& name, Precision& value) {
        value = parse_precision(map_.get<std::string>(name, std::string{to_string(value)}), map_.place());
    }
    template <HasKeys T>
    void read(Key const&, std::string const& name, T& value) {
        auto map = map_.map(name);
        Reader reader{map, run_};
        T::keys(value, reader);
        map.finish();
        reader.check();
    }
    template <class T>
    void read(Key const&, std::string const& name, std::map<std::string, T>& entries) {
        auto map = map_.map(name);
        Reader reader{map, run_};
        for (auto const& entry : map.keys()) reader.read({}, entry, entries[entry]);
    }
    void read(Key const&, std::string const& name, ExpertRecipe& recipe) {
        auto map = map_.map(name);
        Reader reader{map, run_};
        if (map.has("adapter")) {
            ExpertRecipe::existing_keys(recipe, reader);
            demand(!map.has("datasets") && !map.has("samples"), map,
                   fmt::format("expert '{}' has an adapter, and data to train on", name),
                   "leave out one of them; the texts of an adapter's domain are its `texts`");
            demand(!recipe.adapter.empty(), map, fmt::format("{}.adapter is empty", map.path()), "name a PEFT folder");
            for (auto const& dataset : recipe.texts) work::parse_dataset_ref(dataset, "train", map.place());
            map.finish();
            return;
        }
        ExpertRecipe::keys(recipe, reader);
        map.finish();
        demand(!recipe.datasets.empty(), map, fmt::format("expert '{}' has no data sets", name), "name at least one");
        std::set<std::string> distinct;
        for (auto const& dataset : recipe.datasets)
            distinct.insert(work::parse_dataset_ref(dataset, "train", map.place()).id);
        demand(distinct.size() == recipe.datasets.size(), map, fmt::format("expert '{}' names a data set twice", name),
               "name each once");
        reader.check();
    }
    void read(Key const&, std::string const& name, train::Options& options) {
        auto given = map_.has(name) ? to_json(map_.node(name)) : Json::object();
        auto const place = map_.has(name) ? map_.place(map_.node(name)) : map_.place();
        demand(given.is_object(), map_, "train is no map", "write key: value");
        if (!given.contains("dtype")) given["dtype"] = to_string(run_.dtype);
        options = train::Options::from_json(given, "train, " + place);
        demand(options.dtype == run_.dtype, map_,
               fmt::format("train.dtype is {} and dtype is {}", to_string(options.dtype), to_string(run_.dtype)),
               "leave train.dtype out: a run computes in one");
    }
    void read(Key const&, std::string const& name, work::TrainingPrompt& prompt) {
        auto map = map_.map(name);
        prompt_keys(prompt, Reader{map, run_});
        map.finish();
    }
    void read(Key const&, std::string const& name, std::optional<prompt::Rates>& parts) {
        if (map_.has(name))
            parts = prompt::Rates::from_json(to_json(map_.node(name)), path(name) + ", " + map_.place());
    }
    void read(Key const&, std::string const& name, merge::Settings& given) {
        auto settings = map_.map(name);
        auto const space = settings.get<std::string>(std::string{merge_space.name}, "factor");
        demand(space == "factor", settings, fmt::format("merge.space is '{}'", space), "only factor is there yet");
        merge::for_each_setting([&](auto const& setting) {
            std::string const key{setting.name};
            if (!settings.has(key)) return;
            auto const node = settings.node(key);
            given.set(key, to_json(node), "merge, " + settings.place(node));
        });
        settings.finish();
        try {
            // For TIES; another method's own limits are looked at where it is used.
            merge::of_method(given, merge::Method::ties, 0).options();
        } catch (InputError const& error) {
            throw InputError{fmt::format("{} ({})", error.what(), settings.place()), error.remedy()};
        }
    }
    void read(Key const&, std::string const& name, std::vector<Repeat>& repeats) {
        if (map_.has(name)) repeats = repeats_of(to_json(map_.node(name)), map_.place(map_.node(name)));
    }

    YamlMap& map_;
    RunFile const& run_;
    std::optional<InputError> refused_;
};

}  // namespace

std::vector<work::DatasetRef> ExpertRecipe::refs() const {
    std::vector<work::DatasetRef> refs;
    for (auto const& dataset : adapter.empty() ? datasets : texts)
        refs.push_back(work::parse_dataset_ref(dataset, "train", "run file"));
    return refs;
}

RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides) {
    return parse_run_file(read_text(path), path.string(), overrides);
}

std::string to_yaml(RunFile const& run) {
    return to_yaml(Writer::of(run));
}

RunFile parse_run_file(std::string const& text, std::string const& place, std::vector<std::string> const& overrides) {
    auto root = parse_yaml(text, place);
    for (auto const& assignment : overrides) set_yaml(root, assignment);
    YamlMap map{root, place};
    RunFile run;
    Reader reader{map, run};
    RunFile::keys(run, reader);
    map.finish();
    reader.check();
    return run;
}

std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run, RunArithmetic const& arithmetic) {
    auto settings = Writer::of(run);
    settings.erase("threads");
    settings.erase("store");
    if (run.exact()) settings["infer"].erase("num_slots");
    settings["infer"].erase("max_kept_tokens");
    settings["train"].erase("checkpoint_every");
    auto tables = Json::object();
    for (auto const& experiment : experiments) {
        auto& table = tables[experiment.name];
        table["title"] = experiment.title;
        table["targets"] = experiment.targets;
        table["average"] = experiment.average;
        for (auto const& row : experiment.rows) table["rows"].push_back(Json{{row.name, row.term->text()}});
    }
    Json all{{"run", settings}, {"experiments", tables}};
    if (!arithmetic.model.exact() || !arithmetic.encoder.exact()) all["arithmetic"] = to_wire(arithmetic);
    return to_yaml(all);
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
        experiment.targets = table.require<std::vector<std::string>>("targets");
        experiment.average = table.require<bool>("average");
        for (auto const& row : table.node("rows")) {
            for (auto const& entry : row) {
                auto const expression = parse_expression(entry.second.Scalar(), {path.string(), 1, 1});
                experiment.rows.push_back({entry.first.Scalar(), Definitions{}.check_row(expression)});
            }
        }
        table.finish();
    }
    map.finish();
    return result;
}

std::vector<std::string> differences(std::string const& frozen, std::string const& other) {
    std::map<std::string, std::string> ours;
    std::map<std::string, std::string> theirs;
    flatten(to_json(parse_yaml(frozen, "frozen configuration")), "", ours);
    flatten(to_json(parse_yaml(other, "frozen configuration")), "", theirs);
    std::vector<std::string> names;
    auto const compare = [&](auto const& a, auto const& b) {
        for (auto const& [key, value] : a) {
            auto const found = b.find(key);
            bool const differs = found == b.end() || found->second != value;
            if (differs && std::ranges::find(names, key) == names.end()) names.push_back(key);
        }
    };
    compare(ours, theirs);
    compare(theirs, ours);
    if (constexpr std::size_t shown = 5; names.size() > shown) {
        auto const more = names.size() - shown;
        names.resize(shown);
        names.push_back(fmt::format("{} more", more));
    }
    return names;
}

void check_names(std::vector<Experiment> const& experiments, RunFile const& run) {
    for (auto const& experiment : experiments) {
        for (auto const& target : experiment.targets) {
            if (run.targets.contains(target)) continue;
            throw InputError{
                fmt::format("experiment {} has the target '{}', which the run file does not", experiment.name, target),
                name_suggestion(target, keys_of(run.targets))};
        }
        for (auto const& row : experiment.rows) {
            visit_experts(*row.term, [&](Term const& name) {
                if (run.experts.contains(name.name)) return;
                throw InputError{
                    fmt::format("row {} of {} names the expert '{}', which the run file does not have ({})", row.name,
                                experiment.name, name.name, name.place.text()),
                    name_suggestion(name.name, keys_of(run.experts))};
            });
        }
    }
}

}  // namespace samner::plan
