#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "app/command_line.h"
#include "app/decoding_options.h"
#include "app/library.h"
#include "app/progress.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/fields.h"
#include "core/file.h"
#include "core/hash_memory.h"
#include "infer/generate.h"
#include "model/encoder.h"
#include "select/select.h"
#include "task/engine.h"
#include "task/inputs.h"
#include "task/predictions.h"
#include "task/select_experts.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"
#include "work/infer.h"
#include "work/texts.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    DecodingOptions decoding;
    fs::path encoder;
    std::vector<fs::path> experts;
    std::vector<std::string> domains;  ///< EXPERT=FILE
    std::string strategy = "sampling";
    std::int64_t m = 3;
    std::int64_t k = 10;
    std::int64_t answers = 1;
    std::optional<double> temperature;
    std::uint64_t seed = 0;
    bool json = false;
};

/// The experts' folders, as they were given.
std::vector<std::string> names_of(std::vector<fs::path> const& experts) {
    std::vector<std::string> names;
    for (auto const& expert : experts) {
        for (auto const& other : names) {
            if (fs::weakly_canonical(without_slash(other)) != fs::weakly_canonical(without_slash(expert))) continue;
            throw InputError{fmt::format("--experts names '{}' twice (command line)", expert.string()),
                             "name each expert once"};
        }
        names.push_back(expert.string());
    }
    return names;
}

/// Folders, with the adapters of a library in its place.
std::vector<fs::path> with_libraries(std::vector<fs::path> const& folders) {
    std::vector<fs::path> experts;
    for (auto const& folder : folders) {
        if (fs::is_directory(folder) && !fs::exists(folder / "adapter_config.json"))
            for (auto const& expert : adapters_in(folder)) experts.push_back(expert);
        else
            experts.push_back(folder);
    }
    return experts;
}

/// A word of --domains: the expert that it names, and the file behind =.
struct Domain {
    std::size_t expert;
    fs::path file;
};

/// The expert of which `same` holds and the file, where a word's part before a = is a name; a name may hold a =, too.
/// @throws InputError where there are several
std::optional<Domain> find_domain(std::string const& word, std::vector<fs::path> const& experts,
                                  bool (*same)(fs::path const& name, fs::path const& expert)) {
    std::optional<Domain> found;
    for (std::size_t i = 0; i < experts.size(); ++i) {
        auto const expert = without_slash(experts[i].lexically_normal());
        for (auto equals = word.find('='); equals != std::string::npos; equals = word.find('=', equals + 1)) {
            if (!same(without_slash(fs::path{word.substr(0, equals)}.lexically_normal()), expert)) continue;
            if (found)
                throw InputError{fmt::format("'{}' may mean '{}' or '{}' (command line: --domains)", word,
                                             experts[found->expert].string(), experts[i].string()),
                                 "write the expert's folder as --experts has it"};
            found = Domain{i, word.substr(equals + 1)};
        }
    }
    return found;
}

/// An expert is named by its folder as in --experts or, where no folder is just that, by the last part of one.
/// @throws InputError unless the word names exactly one expert
Domain read_domain(std::string const& word, std::vector<fs::path> const& experts) {
    auto found =
        find_domain(word, experts, [](fs::path const& name, fs::path const& expert) { return name == expert; });
    if (!found)
        found = find_domain(word, experts,
                            [](fs::path const& name, fs::path const& expert) { return name == expert.filename(); });
    if (found) return *found;
    auto const equals = word.find('=');
    if (equals == std::string::npos)
        throw InputError{fmt::format("'{}' does not say whose domain it is (command line: --domains)", word),
                         "write EXPERT=FILE, with an expert of --experts"};
    std::vector<std::string> known;
    for (auto const& expert : experts) known.push_back(without_slash(expert).filename().string());
    refuse_name(word.substr(0, equals), known, "an expert", "command line: --domains");
}

/// The means of the experts' domains, in the order of --experts.
std::vector<float> read_domains(Options const& options, std::int64_t dimension) {
    std::vector<std::optional<fs::path>> files(options.experts.size());
    for (auto const& word : options.domains) {
        auto const [expert, file] = read_domain(word, options.experts);
        if (files[expert])
            throw InputError{fmt::format("'{}' has two domains, '{}' and '{}' (command line: --domains)",
                                         options.experts[expert].string(), files[expert]->string(), file.string()),
                             "give each expert one"};
        files[expert] = file;
    }
    std::vector<float> means;
    for (std::size_t i = 0; i < files.size(); ++i) {
        if (!files[i])
            throw InputError{fmt::format("'{}' has no domain (command line: --domains)", options.experts[i].string()),
                             fmt::format("add {}=FILE", without_slash(options.experts[i]).filename().string())};
        auto const mean = weights::SafetensorsFile{*files[i]}.floats("mean");
        if (std::ssize(mean) != dimension)
            throw InputError{fmt::format("the mean in '{}' has {} numbers, the encoder's embeddings have {}",
                                         files[i]->string(), mean.size(), dimension),
                             "encode domains and target with the same encoder"};
        means.insert(means.end(), mean.begin(), mean.end());
    }
    return means;
}

/// Everything that a selection is made of, checked before any of it is used.
struct Setup {
    work::Metric metric = work::Metric::sampling;
    std::vector<std::string> names = {};
    prompt::Options prompt = {};
    std::unique_ptr<task::Engine> engine = {};
    std::unique_ptr<task::TextEncoder> encoder = {};
    std::vector<float> domains = {};                               ///< means, row by row; empty without an encoder
    std::vector<std::vector<work::WantedType>> expert_types = {};  ///< likewise, of a strategy that compares types
    std::vector<work::WantedType> wanted = {};                     ///< types of the target
    std::vector<work::Text> target = {};
    std::vector<work::Text> sample = {};
    std::vector<std::string> types = {};
};

void check_options(Options const& options, work::Metric metric) {
    options.decoding.target.check();
    if (options.m < 1 || std::cmp_greater(options.m, options.experts.size()))
        throw InputError{fmt::format("-m is {} with {} experts (command line)", options.m, options.experts.size()),
                         "choose 1 or more, and no more than there are"};
    if (options.k < 1)
        throw InputError{fmt::format("-k is {} (command line)", options.k), "sample at least one sentence"};
    if (options.answers < 1)
        throw InputError{fmt::format("--answers is {} (command line)", options.answers), "let each expert answer once"};
    if (options.answers > 1 && !work::by_sampling(metric))
        throw InputError{fmt::format("--answers has no influence on --strategy {} (command line)", options.strategy),
                         "leave it out, or choose by sampling or fused"};
    if (options.temperature && options.answers == 1)
        throw InputError{"--temperature has no influence on a single answer (command line)",
                         "leave it out, or give --answers 2 or more"};
    if (options.temperature && !(*options.temperature > 0))
        throw InputError{fmt::format("--temperature is {} (command line)", *options.temperature),
                         "give it a number above 0"};
    if (!options.domains.empty() && options.encoder.empty())
        throw InputError{"--domains is given without --encoder (command line)",
                         "similarity compares the target, as the encoder embeds it, with the experts' domains: give "
                         "both, or neither where the experts have cards"};
    if (!options.domains.empty() && work::by_types(metric))
        throw InputError{fmt::format("--domains says nothing of the types that --strategy {} compares (command line)",
                                     options.strategy),
                         "leave it out: the experts' cards name both"};
}

/// Domains, and the types where they are compared, as the experts' cards have them.
/// @throws InputError naming the expert that lacks them
void read_evidence_of_cards(Setup& setup, Options const& options, HashMemory& hashes) {
    std::vector<work::Card> cards;
    for (auto const& folder : options.experts) {
        auto [card, missing] = work::card_of_weights(folder, weights::adapter_hash(folder, hashes.hasher()));
        if (card && !card->domain) missing = "its card has no centroid";
        if (card && work::by_types(setup.metric) && card->types.empty()) missing = "its card names no types";
        if (!missing.empty())
            throw InputError{
                fmt::format("the expert '{}' cannot be compared with the texts: {}", folder.string(), missing),
                fmt::format("make its card: samner card {} --encoder E --data … (or --in … --types …); or "
                            "give --domains EXPERT=FILE ...; or use --strategy sampling",
                            folder.string())};
        cards.push_back(std::move(*card));
    }
    auto const folder = encoder_of(options.encoder, cards);
    auto const sha256 = task::encoder_hash(folder, hashes.hasher());
    for (std::size_t i = 0; i < cards.size(); ++i) {
        auto const& domain = *cards[i].domain;
        if (domain.encoder_sha256 != sha256)
            throw InputError{fmt::format("the card of '{}' has a centroid of another encoder ({}) than '{}'",
                                         options.experts[i].string(), domain.encoder, folder.string()),
                             "give --encoder, or make its card anew with samner card"};
        setup.domains.insert(setup.domains.end(), domain.centroid.begin(), domain.centroid.end());
        if (work::by_types(setup.metric)) setup.expert_types.push_back(cards[i].types);
    }
    setup.encoder = std::make_unique<task::TextEncoder>(folder, options.model.device);
}

/// @throws InputError for what is wrong with any of the options, or what they name
Setup set_up(Options const& options, work::TextReader& reader) {
    Setup setup;
    setup.metric = value_named<work::Metric>(options.strategy, "--strategy", "command line");
    check_options(options, setup.metric);
    setup.names = names_of(options.experts);
    setup.engine = std::make_unique<task::Engine>(options.model.base, options.model.device,
                                                  parse_precision(options.model.dtype, "--dtype"));
    for (auto const& folder : options.experts)
        weights::check_fits(weights::AdapterFile{folder}, setup.engine->checkpoint().config());
    HashMemory hashes{HashMemory::default_file()};
    auto const cards = cards_of(options.experts, hashes.hasher());
    setup.prompt = options.decoding.text.prompt(cards);
    if (!options.domains.empty()) {
        setup.encoder = std::make_unique<task::TextEncoder>(options.encoder, options.model.device);
        setup.domains = read_domains(options, setup.encoder->dimension());
    } else if (setup.metric != work::Metric::sampling || !options.encoder.empty()) {
        read_evidence_of_cards(setup, options, hashes);
    }
    auto const target = options.decoding.target.texts(reader);
    setup.target = reader.read(target);
    if (setup.target.empty()) {
        throw InputError{fmt::format("no texts to choose experts by ({})", options.decoding.target.name()),
                         "give some of the target domain"};
    }
    if (work::by_sampling(setup.metric) && std::cmp_greater(options.k, setup.target.size()))
        spdlog::warn("-k is {}, but {} has {} texts: all of them are taken", options.k, options.decoding.target.name(),
                     setup.target.size());
    setup.sample = reader.read(target.with(work::Sample{options.k, options.seed}));
    setup.types = reader.type_names(target);
    work::add_types(setup.wanted, reader.dataset(target.sources.front()));
    return setup;
}

/// Cosine of each expert's domain to that of the texts; nothing without an encoder.
std::vector<double> domain_similarity(Setup const& setup) {
    if (!setup.encoder) return {};
    std::vector<std::string> lines;
    for (auto const& text : setup.target) lines.push_back(text.sentence->text);
    auto const target = model::centroid(setup.encoder->encode(lines), setup.encoder->dimension());
    return select::domain_similarity(target, setup.domains);
}

/// Cosine of each expert's types to those of the target; nothing unless the strategy compares them.
std::vector<double> type_similarity(Setup const& setup) {
    if (setup.expert_types.empty()) return {};
    auto const centroid_of = [&](std::vector<work::WantedType> const& types) {
        return model::centroid(setup.encoder->encode(work::type_texts(types)), setup.encoder->dimension());
    };
    std::vector<float> of_experts;
    for (auto const& types : setup.expert_types) {
        auto const centroid = centroid_of(types);
        of_experts.insert(of_experts.end(), centroid.begin(), centroid.end());
    }
    return select::domain_similarity(centroid_of(setup.wanted), of_experts);
}

/// Each expert's answers to the sampled sentences.
std::vector<task::Answers> answers_of(Setup& setup, Options const& options) {
    auto const prompts = options.experts.size() * setup.sample.size();
    Progress progress{"sampling evaluation", prompts * static_cast<std::size_t>(options.answers)};
    std::vector<task::AdapterSource> adapters;
    for (auto const& folder : options.experts) adapters.push_back({.folder = folder});
    auto decoding = options.decoding.infer;
    if (options.answers > 1) {
        decoding.sampling.temperature = options.temperature.value_or(work::usual_temperature);
        decoding.sampling.seed = options.seed;
    }
    std::vector<task::Answers> answers(adapters.size());
    for (std::size_t i = 0; std::cmp_less(i, options.answers); ++i) {
        auto const tell = [&](std::size_t done) { progress.update(i * prompts + done); };
        auto all = task::predict(*setup.engine, setup.sample, setup.prompt, adapters, decoding, tell, i);
        for (std::size_t expert = 0; expert < all.size(); ++expert) {
            auto& mentions = answers[expert].emplace_back();
            for (auto& prediction : all[expert].predictions) mentions.push_back(std::move(prediction.mentions));
        }
    }
    return answers;
}

void select_experts(Options const& options) {
    auto reader = options.decoding.text.reader(options.decoding.target.described());
    auto setup = set_up(options, reader);
    auto const similarity = domain_similarity(setup);
    task::Evidence evidence{setup.names, similarity};
    evidence.type_similarity = type_similarity(setup);
    if (work::by_sampling(setup.metric)) evidence.answers = answers_of(setup, options);
    auto const selection =
        task::select_experts(evidence, setup.types, setup.metric, static_cast<std::size_t>(options.m));
    if (selection.pseudo_labels && selection.pseudo_labels->mentions == 0)
        spdlog::warn(
            "the experts agree on no entity in {} sampled sentences: all of them score 0, and sampling does "
            "not tell them apart — sample more sentences with -k",
            setup.sample.size());
    if (options.json) {
        fmt::print("{}\n", to_text(to_wire(selection), 1));
    } else {
        for (auto const& name : selection.chosen) fmt::print("{} {:.4f}\n", name, selection.metrics.at(name));
    }
}

}  // namespace

void add_select_verb(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const select_verb = app.add_subcommand("select", "Choose experts for a target domain");
    add_base_options(*select_verb, options->model);
    add_dtype_option(*select_verb, options->model);
    add_decoding_options(*select_verb, options->decoding);
    select_verb->add_option("--experts", options->experts, "PEFT folders, or folders of them")->required();
    select_verb
        ->add_option("--strategy", options->strategy,
                     fmt::format("{}", fmt::join(names_of_values<work::Metric>(), ", ")))
        ->capture_default_str();
    select_verb->add_option("--encoder", options->encoder,
                            "sentence-transformers folder, for all strategies but sampling; default that of the cards");
    select_verb->add_option(
        "--domains", options->domains,
        "EXPERT=FILE of each expert, in place of its card's centroid (samner card): its folder, or that one's last "
        "part, and embeddings of its training texts (samner encode)");
    select_verb->add_option("-m", options->m, "experts to choose")->capture_default_str();
    select_verb->add_option("-k", options->k, "sentences of the sampling evaluation")->capture_default_str();
    select_verb->add_option("--answers", options->answers, "of each expert to each sampled sentence; all of them vote")
        ->capture_default_str();
    select_verb->add_option("--temperature", options->temperature,
                            fmt::format("at which several answers are drawn; default {}", work::usual_temperature));
    select_verb->add_option("--seed", options->seed, "of the sampled sentences and answers")->capture_default_str();
    select_verb->add_flag("--json", options->json, "one JSON document");
    add_examples(*select_verb, "samner select --model M --experts LIBRARY --in texts.jsonl --types person,place -m 2");
    select_verb->callback([options] {
        use_threads(options->model.threads);
        options->experts = with_libraries(options->experts);
        select_experts(*options);
    });
}

}  // namespace samner::app
