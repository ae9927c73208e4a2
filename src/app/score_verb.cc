#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "app/command_line.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/json.h"
#include "corpus/dataset.h"
#include "corpus/encoding.h"
#include "prompt/score_files.h"
#include "prompt/type_names.h"
#include "score/bootstrap.h"
#include "score/metric.h"
#include "work/texts.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;
using score::Metric;
using score::Tally;

struct ScoreOptions {
    fs::path gold;
    std::string data;  ///< DATASET[:SPLIT], instead
    fs::path root;
    std::vector<fs::path> predictions;
    std::vector<fs::path> against;
    std::string metric;
    std::string combine;
    std::string format = "json";
    std::vector<std::string> types;
    std::vector<fs::path> folders;  ///< of data set descriptions
    score::BootstrapOptions bootstrap;
    bool json = false;
};

/// The gold of a corpus, under the ids that predict gives its sentences.
std::vector<prompt::GoldLine> gold_of(work::TextReader& reader, work::DatasetSource const& source) {
    auto const& dataset = reader.dataset(source);
    auto types = dataset.type_names();
    for (auto& type : types) type = corpus::composed(type);
    std::vector<prompt::GoldLine> gold;
    for (auto const& sentence : reader.sentences(source)) {
        auto& line = gold.emplace_back();
        line.id = sentence.id;
        line.text = sentence.text;
        line.types = types;
        line.place = dataset.id;
        for (auto const& [text, label, span] : sentence.entities) {
            auto const* const type = dataset.type(label);
            if (type == nullptr) continue;
            score::Entity entity{{score::normalise(text), corpus::composed(type->name)}, span};
            if (entity.mention.text.empty()) {
                ++line.without_text;
            } else {
                line.entities.push_back(std::move(entity));
            }
        }
    }
    return gold;
}

/// The names of types that a data set's labels stand for. A label that is another type's name is taken as that name.
std::map<std::string, std::string> names_of_labels(corpus::Dataset const& dataset) {
    std::map<std::string, std::string> names;
    for (auto const& type : dataset.types) {
        bool const is_name =
            std::ranges::find(dataset.types, type.label, &corpus::EntityType::name) != dataset.types.end();
        if (!is_name) names[corpus::composed(type.label)] = corpus::composed(type.name);
    }
    return names;
}

/// What predictions are compared with.
struct Gold {
    std::vector<prompt::GoldLine> lines;
    std::map<std::string, std::string> names = {};  ///< of types, by their labels
    std::optional<corpus::Catalogue> descriptions = {};
};

Gold read_gold(ScoreOptions const& options) {
    if (options.gold.empty() == options.data.empty())
        throw InputError{options.gold.empty() ? "neither --gold nor --data is given (command line)"
                                              : "both --gold and --data are given (command line)",
                         "give --gold GOLD.jsonl, or --data DATASET[:SPLIT]"};
    Gold gold;
    if (options.data.empty()) {
        gold.lines = prompt::read_gold(options.gold, options.types);
        if (!options.folders.empty()) gold.descriptions = corpus::Catalogue::with_shipped(options.folders);
        return gold;
    }
    if (!options.types.empty())
        throw InputError{"--types is given with --data, whose description says what its types are (command line)",
                         "leave --types out"};
    work::TextReader reader{options.folders, options.root, "give --root DIR"};
    reader.catalogue().warn_of_replaced();
    auto const source = reader.hashed(work::parse_dataset_ref(options.data, "test", "command line: --data"));
    gold.lines = gold_of(reader, source);
    gold.names = names_of_labels(reader.dataset(source));
    gold.descriptions = reader.catalogue();
    return gold;
}

/// Everything that stands in the reports of one system.
struct System {
    std::vector<score::Sentence> sentences;
    std::vector<score::Sentence> unfiltered;  ///< with spans that are not in the sentence; empty: nothing was parsed
    std::int64_t unparsable = 0;
    std::int64_t without_text = 0;  ///< predicted entities that were left out
};

/// The answers of all files to a sentence, as one when a combination is asked for.
System read_system(std::vector<fs::path> const& paths, Gold const& given, ScoreOptions const& options) {
    auto const& gold = given.lines;
    std::vector<std::vector<prompt::Answer>> answers(gold.size());
    for (auto const& path : paths) {
        auto of_file = prompt::read_answers(path, gold, prompt::parse_format_or_auto(options.format));
        for (auto& of_sentence : of_file)
            for (auto& answer : of_sentence)
                for (auto& entity : answer.entities) {
                    auto const name = given.names.find(entity.mention.type);
                    if (name != given.names.end()) entity.mention.type = name->second;
                }
        for (std::size_t i = 0; i < gold.size(); ++i) std::ranges::move(of_file[i], std::back_inserter(answers[i]));
    }
    System system;
    bool parsed = false;
    for (std::size_t i = 0; i < gold.size(); ++i) {
        auto const& line = gold[i];
        system.sentences.push_back({line.id, line.target, line.types, line.entities});
        auto& sentence = system.sentences.back();
        for (auto const& answer : answers[i]) {
            system.unparsable += answer.unparsable;
            system.without_text += answer.without_text;
            parsed = parsed || answer.from_completion;
        }
        if (options.combine.empty()) {
            if (answers[i].size() > 1)
                throw InputError{fmt::format("{} answers for id {}", answers[i].size(), line.id),
                                 "say how they become one: --combine union, intersection or vote"};
            sentence.predicted = answers[i][0].entities;
            system.unfiltered.push_back(sentence);
            std::ranges::copy(answers[i][0].not_in_sentence, std::back_inserter(system.unfiltered.back().predicted));
            continue;
        }
        std::vector<score::Mentions> mentions;
        for (auto const& answer : answers[i]) {
            auto& of_answer = mentions.emplace_back();
            for (auto const& entity : answer.entities) of_answer.insert(entity.mention);
        }
        for (auto const& mention : score::combine(score::parse_combination(options.combine), mentions, line.types))
            sentence.predicted.push_back({mention});
    }
    if (!parsed || !options.combine.empty()) system.unfiltered.clear();
    return system;
}

std::string with_counts(std::map<std::string, std::int64_t> const& types) {
    std::vector<std::string> texts;
    for (auto const& [type, count] : types) texts.push_back(fmt::format("'{}' ({})", type, count));
    return fmt::format("{}", fmt::join(texts, ", "));
}

void warn_of_types(System const& system, std::string const& files, corpus::Catalogue const* descriptions) {
    auto const types = prompt::suspicious_types(system.sentences);
    std::vector<std::string> sides;
    if (!types.gold.empty()) sides.push_back("only the gold has the types " + with_counts(types.gold));
    if (!types.predicted.empty())
        sides.push_back("only the predictions have the types " + with_counts(types.predicted));
    if (sides.empty()) return;
    auto const names = prompt::likely_names(types, descriptions);
    spdlog::warn("{}: none of them can be right ({}) — name types alike on both sides{}{}", fmt::join(sides, ", "),
                 files, names.empty() ? "" : ": ", names);
}

/// @param paths  of the system's predictions
void warn_of_system(System const& system, std::vector<fs::path> const& paths, corpus::Catalogue const* descriptions) {
    std::vector<std::string> files;
    for (auto const& path : paths) files.push_back(path.string());
    auto const names = fmt::format("{}", fmt::join(files, ", "));
    if (system.without_text > 0)
        spdlog::warn("{} predicted entities have no text and are left out ({})", system.without_text, names);
    warn_of_types(system, names, descriptions);
}

void warn_of_gold(prompt::Misplaced const& misplaced) {
    if (misplaced.entities == 0) return;
    spdlog::warn(
        "{} gold entities are not in their text, the first: {} — mend them: they can hardly be found, and count as "
        "missed",
        misplaced.entities, misplaced.first);
}

Json counts_json(score::Counts const& counts) {
    return {{"tp", counts.true_positive},      {"fp", counts.false_positive}, {"fn", counts.false_negative},
            {"precision", counts.precision()}, {"recall", counts.recall()},   {"f1", counts.f1()}};
}

Json interval_json(score::TargetCounts const& targets, ScoreOptions const& options) {
    if (options.bootstrap.resamples == 0) return Json::object();
    auto const interval = score::f1_interval(targets, options.bootstrap);
    return {{"low", interval.low}, {"high", interval.high}};
}

Json tally_json(Tally const& tally, ScoreOptions const& options) {
    auto document = counts_json(tally.counts);
    document.update(interval_json({tally.per_sentence}, options));
    return document;
}

Json per_type_json(Tally const& tally) {
    auto document = Json::object();
    for (auto const& [type, counts] : tally.per_type) document[type] = counts_json(counts);
    return document;
}

/// One member for what is asked, or for all that the files allow.
std::vector<Metric> metrics_of(ScoreOptions const& options, std::initializer_list<System const*> systems) {
    if (!options.metric.empty()) return {score::parse_metric(options.metric)};
    std::vector<Metric> metrics;
    for (auto const metric : score::all_metrics) {
        bool const possible = metric != Metric::offsets || std::ranges::all_of(systems, [](System const* system) {
                                  return !system || std::ranges::all_of(system->sentences, score::has_offsets);
                              });
        if (possible) metrics.push_back(metric);
    }
    return metrics;
}

score::TargetCounts sentence_counts(std::map<std::string, Tally> const& targets) {
    score::TargetCounts counts;
    for (auto const& [name, tally] : targets) counts.push_back(tally.per_sentence);
    return counts;
}

Json system_json(System const& system, std::vector<Metric> const& metrics, ScoreOptions const& options) {
    auto const one_sided = prompt::one_sided_types(system.sentences);
    Json document{{"metric", Json::object()},
                  {"unparsable", system.unparsable},
                  {"sentences", system.sentences.size()},
                  {"predictions_without_text", system.without_text},
                  {"types_only_in_gold", one_sided.gold},
                  {"types_only_in_predictions", one_sided.predicted}};
    bool const targets_named =
        std::ranges::any_of(system.sentences, [](auto const& sentence) { return !sentence.target.empty(); });
    for (auto const metric : metrics) {
        std::string const name{score::name_of(metric)};
        auto const tally = score::tally(metric, system.sentences);
        document["metric"][name] = tally_json(tally, options);
        if (metric == metrics.front()) document["per_type"] = per_type_json(tally);
        if (!targets_named) continue;
        auto const targets = score::tally_per_target(metric, system.sentences);
        for (auto const& [target, of_target] : targets) {
            document["per_target"][target]["metric"][name] = tally_json(of_target, options);
            if (metric == metrics.front()) document["per_target"][target]["per_type"] = per_type_json(of_target);
        }
        auto const counts = sentence_counts(targets);
        document["average"][name] = {{"f1", score::mean_f1(counts)}};
        document["average"][name].update(interval_json(counts, options));
    }
    if (!system.unfiltered.empty() && metrics.front() == Metric::entity)
        document["metric"]["unfiltered"] = tally_json(score::tally(Metric::entity, system.unfiltered), options);
    return document;
}

Json comparison_json(score::TargetCounts const& a, score::TargetCounts const& b, ScoreOptions const& options) {
    auto const comparison = score::compare_f1(a, b, options.bootstrap);
    return {{"f1", comparison.difference},
            {"low", comparison.interval.low},
            {"high", comparison.interval.high},
            {"p_value", comparison.p_value}};
}

/// Pooled over targets, and the mean over them where there are several.
Json difference_json(System const& a, System const& b, std::vector<Metric> const& metrics,
                     ScoreOptions const& options) {
    Json document{{"metric", Json::object()}};
    for (auto const metric : metrics) {
        std::string const name{score::name_of(metric)};
        document["metric"][name] = comparison_json({score::tally(metric, a.sentences).per_sentence},
                                                   {score::tally(metric, b.sentences).per_sentence}, options);
        auto const targets_a = sentence_counts(score::tally_per_target(metric, a.sentences));
        if (targets_a.size() < 2) continue;
        document["average"][name] =
            comparison_json(targets_a, sentence_counts(score::tally_per_target(metric, b.sentences)), options);
    }
    return document;
}

void print_counts(std::string const& name, Json const& counts) {
    fmt::print("{:<24} ", name);
    if (counts.contains("tp"))
        fmt::print("precision {:6.2f}  recall {:6.2f}  ", 100 * counts["precision"].get<double>(),
                   100 * counts["recall"].get<double>());
    fmt::print("F1 {:6.2f}", 100 * counts["f1"].get<double>());
    if (counts.contains("low"))
        fmt::print(" [{:.2f}, {:.2f}]", 100 * counts["low"].get<double>(), 100 * counts["high"].get<double>());
    if (counts.contains("tp"))
        fmt::print("  (tp {}, fp {}, fn {})", counts["tp"].dump(), counts["fp"].dump(), counts["fn"].dump());
    if (counts.contains("p_value")) fmt::print("  p {:.4f}", counts["p_value"].get<double>());
    fmt::print("\n");
}

void print_averages(Json const& document) {
    auto const averages = document.find("average");
    if (averages == document.end()) return;
    for (auto const& [name, counts] : averages->items()) print_counts("average " + name, counts);
}

void print_targets(Json const& document) {
    auto const targets = document.find("per_target");
    if (targets == document.end()) return;
    for (auto const& [target, of_target] : targets->items()) {
        for (auto const& [name, counts] : of_target["metric"].items()) print_counts(target + " " + name, counts);
        for (auto const& [type, counts] : of_target["per_type"].items()) print_counts("  " + type, counts);
    }
}

void print_system(Json const& document) {
    for (auto const& [name, counts] : document["metric"].items()) print_counts(name, counts);
    for (auto const& [type, counts] : document["per_type"].items()) print_counts("  " + type, counts);
    print_targets(document);
    print_averages(document);
    if (auto const unparsable = document["unparsable"].get<std::int64_t>(); unparsable > 0)
        fmt::print("{} unparsable completions\n", unparsable);
}

void score_files(ScoreOptions const& options) {
    if (!options.against.empty() && options.bootstrap.resamples == 0)
        throw InputError{"--against needs resamples", "give --resamples of at least 1"};
    auto const gold = read_gold(options);
    auto const misplaced = prompt::misplaced(gold.lines);
    warn_of_gold(misplaced);
    auto const& descriptions = gold.descriptions;
    auto const read = [&](std::vector<fs::path> const& paths) {
        auto system = read_system(paths, gold, options);
        warn_of_system(system, paths, descriptions ? &*descriptions : nullptr);
        return system;
    };
    auto const system = read(options.predictions);
    std::optional<System> other;
    if (!options.against.empty()) other = read(options.against);
    auto const metrics = metrics_of(options, {&system, other ? &*other : nullptr});
    auto document = system_json(system, metrics, options);
    document["gold_not_in_text"] = misplaced.entities;
    if (other) {
        document["against"] = system_json(*other, metrics, options);
        document["difference"] = difference_json(system, *other, metrics, options);
    }
    if (options.json) {
        fmt::print("{}\n", to_text(document, 1));
        return;
    }
    print_system(document);
    if (!other) return;
    fmt::print("\nagainst\n");
    print_system(document["against"]);
    fmt::print("\ndifference\n");
    for (auto const& [name, counts] : document["difference"]["metric"].items()) print_counts(name, counts);
    print_averages(document["difference"]);
}

}  // namespace

void add_score_verb(CLI::App& app) {
    auto options = std::make_shared<ScoreOptions>();
    auto* const verb = app.add_subcommand("score", "Score predictions against gold");
    verb->add_option("--gold", options->gold, "GOLD.jsonl: {\"id\", \"text\", \"entities\"} a line");
    verb->add_option("--data", options->data,
                     "DATASET[:SPLIT[+SPLIT]] of the described corpora instead; default split test");
    verb->add_option("--root", options->root, "data root of --data; default SAMNER_DATA");
    verb->add_option(
            "--pred", options->predictions,
            "PREDICTIONS.jsonl: {\"id\", \"entities\"} or {\"id\", \"completion\"} a line; several with --combine")
        ->required();
    verb->add_option("--against", options->against, "predictions of another system, to compare with");
    verb->add_option("--metric", options->metric,
                     "entity, instructuie, multiset, offsets or with_misc; default all that the files allow");
    verb->add_option("--combine", options->combine,
                     "make several files, or several samples of a sentence, one answer: union, intersection or vote");
    verb->add_option("--types", options->types, "type names: what was asked for, to read completions")->delimiter(',');
    verb->add_option("--configs", options->folders,
                     "folders of data set descriptions, beside those that come with samner: of --data, and so that "
                     "messages tell labels of types from their names");
    verb->add_option("--format", options->format,
                     "of completions: json, json_map, enumeration, sentences, or auto: told apart by them")
        ->capture_default_str();
    verb->add_option("--resamples", options->bootstrap.resamples, "of the bootstrap; 0: no intervals")
        ->check(at_least(0))
        ->capture_default_str();
    verb->add_option("--confidence", options->bootstrap.confidence, "of the intervals")->capture_default_str();
    verb->add_option("--seed", options->bootstrap.seed, "of the bootstrap")->capture_default_str();
    verb->add_flag("--json", options->json, "one JSON document");
    add_examples(*verb, "samner score --gold gold.jsonl --pred predictions.jsonl");
    verb->callback([options] { score_files(*options); });
}

}  // namespace samner::app
