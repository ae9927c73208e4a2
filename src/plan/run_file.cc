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

Json json_of(merge::Settings const& settings) {
    auto json = settings.to_json();
    json["space"] = "factor";
    return json;
}

Json json_of(std::vector<Repeat> const& repeats) {
    auto list = Json::array();
    for (auto const& repeat : repeats)
        list.push_back(repeat.seeds.uniform() ? Json(repeat.seeds.train) : to_wire(repeat.seeds));
    return list;
}

/// Everything, defaults too.
Json json_of(RunFile const& run) {
    Json result{{"base", run.base},
                {"encoder", run.encoder},
                {"data", run.data},
                {"datasets", run.datasets},
                {"train", run.train.settings()},
                {"prompt", to_wire(run.prompt)},
                {"infer", {{"max_new_tokens", run.infer.max_new_tokens}, {"num_slots", run.infer.num_slots}}},
                {"merge", json_of(run.merge)},
                {"samples_between", run.samples_between},
                {"keep_empty", run.keep_empty},
                {"seeds", json_of(run.repeats)},
                {"threads", run.threads},
                {"device", run.device},
                {"dtype", to_string(run.dtype)}};
    if (!run.prompt.parts) result["prompt"]["parts"] = "none";
    if (!run.store.empty()) result["store"] = run.store;
    RunFile const defaults;  // newer settings are left out where they have their default: earlier runs go on
    if (run.infer.max_kept_tokens != defaults.infer.max_kept_tokens)
        result["infer"]["max_kept_tokens"] = run.infer.max_kept_tokens;
    if (run.infer.fold != defaults.infer.fold) result["infer"]["fold"] = name_of_value(run.infer.fold);
    for (auto const& [name, expert] : run.experts) {
        if (!expert.adapter.empty()) {
            result["experts"][name] = {{"adapter", expert.adapter}, {"texts", expert.texts}};
            continue;
        }
        result["experts"][name] = {{"datasets", expert.datasets},
                                   {"samples", expert.samples > 0 ? Json(expert.samples) : Json("auto")}};
    }
    for (auto const& [name, target] : run.targets) {
        result["targets"][name] = {
            {"dataset", target.dataset}, {"split", target.split}, {"sentences", target.sentences}};
    }
    return result;
}

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
    return to_yaml(json_of(run));
}

RunFile parse_run_file(std::string const& text, std::string const& place, std::vector<std::string> const& overrides) {
    auto root = parse_yaml(text, place);
    for (auto const& assignment : overrides) set_yaml(root, assignment);
    YamlMap map{root, place};
    RunFile run;
    run.base = map.require<std::string>("base");
    run.encoder = map.require<std::string>("encoder");
    run.data = map.get("data", run.data);
    run.store = map.get("store", run.store);
    run.datasets = map.get("datasets", run.datasets);

    auto experts = map.map("experts");
    for (auto const& name : experts.keys()) {
        auto expert = experts.map(name);
        auto& recipe = run.experts[name];
        if (expert.has("adapter")) {
            recipe.adapter = expert.require<std::string>("adapter");
            recipe.texts = expert.get("texts", recipe.texts);
            demand(!expert.has("datasets") && !expert.has("samples"), expert,
                   fmt::format("expert '{}' has an adapter, and data to train on", name),
                   "leave out one of them; the texts of an adapter's domain are its `texts`");
            demand(!recipe.adapter.empty(), expert, fmt::format("experts.{}.adapter is empty", name),
                   "name a PEFT folder");
            for (auto const& dataset : recipe.texts) work::parse_dataset_ref(dataset, "train", expert.place());
            expert.finish();
            continue;
        }
        recipe.datasets = expert.require<std::vector<std::string>>("datasets");
        auto const automatic =
            expert.has("samples") && expert.node("samples").IsScalar() && expert.node("samples").Scalar() == "auto";
        recipe.samples = automatic ? 0 : expert.get("samples", recipe.samples);
        expert.finish();
        demand(!recipe.datasets.empty(), expert, fmt::format("expert '{}' has no data sets", name),
               "name at least one");
        std::set<std::string> distinct;
        for (auto const& dataset : recipe.datasets)
            distinct.insert(work::parse_dataset_ref(dataset, "train", expert.place()).id);
        demand(distinct.size() == recipe.datasets.size(), expert,
               fmt::format("expert '{}' names a data set twice", name), "name each once");
        demand(automatic || recipe.samples > 0, expert, fmt::format("experts.{}.samples is {}", name, recipe.samples),
               "give it 1 or more, or auto");
    }
    auto targets = map.map("targets");
    for (auto const& name : targets.keys()) {
        auto entry = targets.map(name);
        auto& target = run.targets[name];
        target.dataset = entry.require<std::string>("dataset");
        target.split = entry.get("split", target.split);
        target.sentences = entry.get("sentences", target.sentences);
        entry.finish();
        demand(target.sentences >= 0, entry, fmt::format("targets.{}.sentences is {}", name, target.sentences),
               "give it 0 (all) or more");
    }
    run.device = map.get("device", run.device);
    run.dtype = parse_precision(map.get<std::string>("dtype", std::string{to_string(run.dtype)}), map.place());
    auto given = map.has("train") ? to_json(map.node("train")) : Json::object();
    auto const train_place = map.has("train") ? map.place(map.node("train")) : map.place();
    demand(given.is_object(), map, "train is no map", "write key: value");
    if (!given.contains("dtype")) given["dtype"] = to_string(run.dtype);
    run.train = train::Options::from_json(given, "train, " + train_place);
    demand(run.train.dtype == run.dtype, map,
           fmt::format("train.dtype is {} and dtype is {}", to_string(run.train.dtype), to_string(run.dtype)),
           "leave train.dtype out: a run computes in one");

    auto prompt = map.map("prompt");
    auto& fixed = run.prompt.fixed;
    fixed.layout = value_named<prompt::Layout>(
        prompt.get<std::string>("layout", std::string{name_of_value(fixed.layout)}), "prompt.layout", prompt.place());
    fixed.format = value_named<prompt::Format>(
        prompt.get<std::string>("format", std::string{name_of_value(fixed.format)}), "prompt.format", prompt.place());
    if (prompt.has("parts"))
        run.prompt.parts = prompt::Rates::from_json(to_json(prompt.node("parts")), "prompt.parts, " + prompt.place());
    prompt.finish();
    auto infer = map.map("infer");
    run.infer.max_new_tokens = infer.get("max_new_tokens", run.infer.max_new_tokens);
    run.infer.num_slots = infer.get("num_slots", run.infer.num_slots);
    run.infer.max_kept_tokens = infer.get("max_kept_tokens", run.infer.max_kept_tokens);
    run.infer.fold = value_named<infer::Fold>(
        infer.get<std::string>("fold", std::string{name_of_value(run.infer.fold)}), "infer.fold", infer.place());
    infer.finish();
    demand(run.infer.max_new_tokens > 0, infer, fmt::format("infer.max_new_tokens is {}", run.infer.max_new_tokens),
           "give it 1 or more");
    demand(run.infer.max_kept_tokens >= 0, infer, fmt::format("infer.max_kept_tokens is {}", run.infer.max_kept_tokens),
           "give it 0 (none) or more");
    demand(run.infer.num_slots > 0, infer, fmt::format("infer.num_slots is {}", run.infer.num_slots),
           "give it 1 or more");
    auto settings = map.map("merge");
    auto const space = settings.get<std::string>("space", "factor");
    demand(space == "factor", settings, fmt::format("merge.space is '{}'", space), "only factor is there yet");
    merge::for_each_setting([&](auto const& setting) {
        std::string const name{setting.name};
        if (!settings.has(name)) return;
        auto const node = settings.node(name);
        run.merge.set(name, to_json(node), "merge, " + settings.place(node));
    });
    settings.finish();
    try {
        // For TIES; another method's own limits are looked at where it is used.
        merge::of_method(run.merge, merge::Method::ties, 0).options();
    } catch (InputError const& error) {
        throw InputError{fmt::format("{} ({})", error.what(), settings.place()), error.remedy()};
    }

    run.samples_between = map.get("samples_between", run.samples_between);
    run.keep_empty = map.get("keep_empty", run.keep_empty);
    if (map.has("seeds")) run.repeats = repeats_of(to_json(map.node("seeds")), map.place(map.node("seeds")));
    run.threads = map.get("threads", run.threads);
    map.finish();
    auto const& between = run.samples_between;
    demand(between.size() == 2 && between[0] >= 1 && between[0] <= between[1], map,
           fmt::format("samples_between is {}", between), "give it two numbers, 1 or more and rising");
    demand(run.keep_empty >= 0 && run.keep_empty <= 1, map, fmt::format("keep_empty is {}", run.keep_empty),
           "give it 0 to 1");
    demand(run.threads >= 0, map, fmt::format("threads is {}", run.threads), "give it 0 (automatic) or more");
    return run;
}

std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run, RunArithmetic const& arithmetic) {
    auto settings = json_of(run);
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
