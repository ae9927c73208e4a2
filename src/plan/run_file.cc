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

/// Calls visit with every pool's expert name in a term.
void visit_experts(Term const& term, std::function<void(Term const&)> const& visit) {
    for (auto const& [parameter, argument] : term.arguments) {
        if (term.op == "pool" && argument->type == Type::name) visit(*argument);
        visit_experts(*argument, visit);
    }
}

template <class Map>
std::vector<std::string> keys_of(Map const& map) {
    std::vector<std::string> keys;
    for (auto const& [key, value] : map) keys.push_back(key);
    return keys;
}

std::string suggestion(std::string const& word, std::vector<std::string> const& known) {
    if (auto const near = did_you_mean(word, known)) return fmt::format("did you mean '{}'?", *near);
    return fmt::format("the run file has {}", fmt::join(known, ", "));
}

}  // namespace

DataRef parse_data_ref(std::string const& text, std::string_view place) {
    auto const colon = text.find(':');
    DataRef ref{text.substr(0, colon), {}};
    if (colon == std::string::npos) {
        ref.splits = {"train"};
    } else {
        for (auto begin = colon + 1; begin <= text.size();) {
            auto const end = std::min(text.find('+', begin), text.size());
            ref.splits.push_back(text.substr(begin, end - begin));
            begin = end + 1;
        }
    }
    std::set<std::string> const distinct{ref.splits.begin(), ref.splits.end()};
    if (ref.id.empty() || distinct.contains("") || distinct.size() != ref.splits.size()) {
        throw InputError{fmt::format("'{}' names no data set ({})", text, place),
                         "write its id, or id:split, or id:split+split with each split once"};
    }
    return ref;
}

Json RunFile::json() const {
    Json result{{"base", base},
                {"encoder", encoder},
                {"data", data},
                {"datasets", datasets},
                {"train", train},
                {"prompt", {{"layout", prompt.layout}, {"format", prompt.format}, {"parts", prompt.parts}}},
                {"infer", {{"max_new_tokens", infer.max_new_tokens}, {"num_slots", infer.num_slots}}},
                {"merge", merge.json()},
                {"samples_between", samples_between},
                {"keep_empty", keep_empty},
                {"seeds", seeds},
                {"threads", threads},
                {"device", device},
                {"dtype", dtype}};
    RunFile const defaults;  // newer settings are left out where they have their default: earlier runs go on
    if (infer.max_kept_tokens != defaults.infer.max_kept_tokens)
        result["infer"]["max_kept_tokens"] = infer.max_kept_tokens;
    if (infer.fold != defaults.infer.fold) result["infer"]["fold"] = infer.fold;
    for (auto const& [name, expert] : experts) {
        result["experts"][name] = {{"datasets", expert.datasets},
                                   {"samples", expert.samples > 0 ? Json(expert.samples) : Json("auto")}};
    }
    for (auto const& [name, target] : targets) {
        result["targets"][name] = {
            {"dataset", target.dataset}, {"split", target.split}, {"sentences", target.sentences}};
    }
    return result;
}

Json RunFile::Merge::json() const {
    return {{"space", space},         {"density", density}, {"sign", sign},     {"follow", follow},
            {"trim_over", trim_over}, {"rescale", rescale}, {"lambda", lambda}, {"normalize", normalize},
            {"gamma", gamma},         {"epsilon", epsilon}, {"rank", rank}};
}

Json merge_settings(RunFile::Merge const& merge, std::string const& method, std::int64_t seed) {
    bool const random = method.starts_with("dare") || method.starts_with("della");
    Json settings{{"method", method}, {"density", merge.density}, {"sign", merge.sign}, {"seed", random ? seed : 0}};
    auto const given = merge.json();
    auto const usual = RunFile::Merge{}.json();
    for (auto const* key : {"follow", "trim_over", "rescale", "normalize", "lambda"})
        if (given[key] != usual[key]) settings[key] = given[key];
    if (method.starts_with("breadcrumbs")) settings["gamma"] = merge.gamma;
    if (method.starts_with("della")) settings["epsilon"] = merge.epsilon;
    if (merge.rank != 0 && merge::is_svd(merge::parse_method(method))) settings["rank"] = merge.rank;
    return settings;
}

merge::MergeOptions merge_options(Json const& settings) {
    merge::OptionNames names;
    for (auto const& [key, name] : {std::pair{"method", &names.method}, std::pair{"sign", &names.sign},
                                    std::pair{"follow", &names.follow}, std::pair{"trim_over", &names.trim_over},
                                    std::pair{"rescale", &names.rescale}, std::pair{"normalize", &names.normalize}})
        *name = settings.value(key, *name);
    merge::MergeOptions options;
    options.density = settings.value("density", options.density);
    options.seed = settings.value("seed", options.seed);
    options.lambda = settings.value("lambda", options.lambda);
    options.gamma = settings.value("gamma", options.gamma);
    options.epsilon = settings.value("epsilon", options.epsilon);
    options.rank = settings.value("rank", options.rank);
    options = merge::with_names(names, options);
    merge::validate(options);
    return options;
}

RunFile load_run_file(std::filesystem::path const& path, std::vector<std::string> const& overrides) {
    return parse_run_file(read_text(path), path.string(), overrides);
}

std::string to_yaml(RunFile const& run) {
    return to_yaml(run.json());
}

RunFile parse_run_file(std::string const& text, std::string const& place, std::vector<std::string> const& overrides) {
    auto root = parse_yaml(text, place);
    for (auto const& assignment : overrides) set_yaml(root, assignment);
    YamlMap map{root, place};
    RunFile run;
    run.base = map.require<std::string>("base");
    run.encoder = map.require<std::string>("encoder");
    run.data = map.get("data", run.data);
    run.datasets = map.get("datasets", run.datasets);

    auto experts = map.map("experts");
    for (auto const& name : experts.keys()) {
        auto expert = experts.map(name);
        auto& recipe = run.experts[name];
        recipe.datasets = expert.require<std::vector<std::string>>("datasets");
        auto const automatic =
            expert.has("samples") && expert.node("samples").IsScalar() && expert.node("samples").Scalar() == "auto";
        recipe.samples = automatic ? 0 : expert.get("samples", recipe.samples);
        expert.finish();
        demand(!recipe.datasets.empty(), expert, fmt::format("expert '{}' has no data sets", name),
               "name at least one");
        std::set<std::string> distinct;
        for (auto const& dataset : recipe.datasets) distinct.insert(parse_data_ref(dataset, expert.place()).id);
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
    if (map.has("train")) run.train = to_json(map.node("train"));

    auto prompt = map.map("prompt");
    run.prompt.layout = prompt.get("layout", run.prompt.layout);
    run.prompt.format = prompt.get("format", run.prompt.format);
    if (prompt.has("parts")) run.prompt.parts = to_json(prompt.node("parts"));
    prompt.finish();
    auto infer = map.map("infer");
    run.infer.max_new_tokens = infer.get("max_new_tokens", run.infer.max_new_tokens);
    run.infer.num_slots = infer.get("num_slots", run.infer.num_slots);
    run.infer.max_kept_tokens = infer.get("max_kept_tokens", run.infer.max_kept_tokens);
    run.infer.fold = infer.get("fold", run.infer.fold);
    infer.finish();
    demand(run.infer.max_new_tokens > 0, infer, fmt::format("infer.max_new_tokens is {}", run.infer.max_new_tokens),
           "give it 1 or more");
    demand(run.infer.max_kept_tokens >= 0, infer, fmt::format("infer.max_kept_tokens is {}", run.infer.max_kept_tokens),
           "give it 0 (none) or more");
    demand(run.infer.fold == "never" || run.infer.fold == "auto" || run.infer.fold == "always", infer,
           fmt::format("infer.fold is '{}'", run.infer.fold), "use never, auto or always");
    demand(run.infer.num_slots > 0, infer, fmt::format("infer.num_slots is {}", run.infer.num_slots),
           "give it 1 or more");
    auto merge = map.map("merge");
    run.merge.space = merge.get("space", run.merge.space);
    run.merge.density = merge.get("density", run.merge.density);
    run.merge.sign = merge.get("sign", run.merge.sign);
    run.merge.follow = merge.get("follow", run.merge.follow);
    run.merge.trim_over = merge.get("trim_over", run.merge.trim_over);
    run.merge.rescale = merge.get("rescale", run.merge.rescale);
    run.merge.normalize = merge.get("normalize", run.merge.normalize);
    run.merge.lambda = merge.get("lambda", run.merge.lambda);
    run.merge.gamma = merge.get("gamma", run.merge.gamma);
    run.merge.epsilon = merge.get("epsilon", run.merge.epsilon);
    run.merge.rank = merge.get("rank", run.merge.rank);
    merge.finish();
    try {
        merge_options(run.merge.json());  // for TIES; another method's own limits are looked at where it is used
    } catch (InputError const& error) {
        throw InputError{fmt::format("{} ({})", error.what(), merge.place()), error.remedy()};
    }
    demand(run.merge.space == "factor", merge, fmt::format("merge.space is '{}'", run.merge.space),
           "only factor is there yet");

    run.samples_between = map.get("samples_between", run.samples_between);
    run.keep_empty = map.get("keep_empty", run.keep_empty);
    run.seeds = map.get("seeds", run.seeds);
    run.threads = map.get("threads", run.threads);
    run.device = map.get("device", run.device);
    run.dtype = map.get("dtype", run.dtype);
    map.finish();
    auto const& between = run.samples_between;
    demand(between.size() == 2 && between[0] >= 1 && between[0] <= between[1], map,
           fmt::format("samples_between is {}", between), "give it two numbers, 1 or more and rising");
    demand(run.keep_empty >= 0 && run.keep_empty <= 1, map, fmt::format("keep_empty is {}", run.keep_empty),
           "give it 0 to 1");
    demand(!run.seeds.empty() && run.seeds.front() >= 0, map, "seeds is empty or negative",
           "give at least one, 0 or more");
    demand(std::set(run.seeds.begin(), run.seeds.end()).size() == run.seeds.size(), map, "a seed stands twice",
           "name each once");
    demand(run.threads >= 0, map, fmt::format("threads is {}", run.threads), "give it 0 (automatic) or more");
    parse_precision(run.dtype, map.place());
    return run;
}

std::string frozen(std::vector<Experiment> const& experiments, RunFile const& run) {
    auto settings = run.json();
    settings.erase("threads");
    settings["infer"].erase("num_slots");
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
    return to_yaml(Json{{"run", settings}, {"experiments", tables}});
}

Frozen load_frozen(std::filesystem::path const& path) {
    auto const root = read_yaml(path);
    YamlMap map{root, path.string()};
    Frozen result;
    result.run = parse_run_file(to_yaml(to_json(map.node("run"))), path.string());
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
            if (differs && std::ranges::find(names, key) == names.end() && names.size() < 5) names.push_back(key);
        }
    };
    compare(ours, theirs);
    compare(theirs, ours);
    return names;
}

void check_names(std::vector<Experiment> const& experiments, RunFile const& run) {
    for (auto const& experiment : experiments) {
        for (auto const& target : experiment.targets) {
            if (run.targets.contains(target)) continue;
            throw InputError{
                fmt::format("experiment {} has the target '{}', which the run file does not", experiment.name, target),
                suggestion(target, keys_of(run.targets))};
        }
        for (auto const& row : experiment.rows) {
            visit_experts(*row.term, [&](Term const& name) {
                if (run.experts.contains(name.name)) return;
                throw InputError{
                    fmt::format("row {} of {} names the expert '{}', which the run file does not have ({})", row.name,
                                experiment.name, name.name, name.place.text()),
                    suggestion(name.name, keys_of(run.experts))};
            });
        }
    }
}

}  // namespace samner::plan
