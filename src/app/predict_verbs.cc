#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/progress.h"
#include "app/shared_options.h"
#include "app/verbs.h"
#include "core/file.h"
#include "core/json.h"
#include "core/random.h"
#include "infer/generate.h"
#include "plan/run_file.h"
#include "select/select.h"
#include "task/engine.h"
#include "task/executor.h"
#include "task/predictions.h"
#include "task/select_experts.h"
#include "weights/safetensors.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    std::string data;  ///< DATASET[:SPLIT]
    fs::path root;
    std::vector<std::string> folders{"configs/data"};
    fs::path in;
    std::vector<std::string> types;
    fs::path out;
    std::string layout = "full";
    std::string format = "json";
    infer::Options infer;
    std::string fold = "never";
    // select
    fs::path encoder;
    std::vector<fs::path> experts;
    std::vector<fs::path> domains;
    std::string strategy = "sampling";
    std::size_t m = 3;
    std::size_t k = 10;
    std::uint64_t seed = 0;
    bool json = false;

    prompt::Options prompt() const { return {prompt::parse_layout(layout), prompt::parse_format(format)}; }
};

struct Texts {
    corpus::Dataset dataset;
    std::vector<corpus::Sentence> sentences;
};

/// The sentences to predict, with the types to ask for.
Texts read_texts(Options const& options) {
    if (options.data.empty() == options.in.empty()) throw InputError{"one of --data and --in has to be given"};
    if (!options.data.empty()) {
        auto const colon = options.data.find(':');
        auto const split = colon == std::string::npos ? "test" : options.data.substr(colon + 1);
        corpus::Catalogue const catalogue{{options.folders.begin(), options.folders.end()}};
        auto const& dataset = catalogue.at(options.data.substr(0, colon));
        return {dataset, corpus::read(dataset, split, options.root.empty() ? task::data_root({}) : options.root)};
    }
    if (options.types.empty())
        throw InputError{"--in needs --types", "name the entity types to find, separated by commas"};
    Texts texts;
    texts.dataset.id = "texts";
    for (auto const& type : options.types) texts.dataset.types.push_back({type, type, ""});
    for_each_jsonl(options.in, [&](Json const& line, std::string const& place) {
        texts.sentences.push_back({id_of(line, place), member<std::string>(line, "text", place), {}});
    });
    return texts;
}

void predict(Options const& options) {
    auto const texts = read_texts(options);
    task::Engine engine{options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
    Progress progress{"predicting", texts.sentences.size()};
    auto const predicted = task::predict(engine, texts.sentences, texts.dataset, options.prompt(),
                                         task::AdapterSource{options.model.adapter, nullptr}, options.infer,
                                         [&](std::size_t done) { progress.update(done); });
    write_atomically(options.out, task::to_jsonl(predicted.predictions));
}

void select_experts(Options const& options) {
    auto const texts = read_texts(options);
    std::vector<std::string> names;
    for (auto const& expert : options.experts) names.push_back(expert.string());
    std::vector<double> similarity;
    if (!options.domains.empty()) {
        if (options.domains.size() != options.experts.size()) {
            throw InputError{
                fmt::format("{} domain embeddings for {} experts", options.domains.size(), options.experts.size()),
                "give one an expert, in the same order"};
        }
        task::TextEncoder const encoder{options.encoder, options.model.device};
        std::vector<std::string> lines;
        for (auto const& sentence : texts.sentences) lines.push_back(sentence.text);
        auto const embeddings = encoder.encode(lines);
        auto const dimension = static_cast<std::size_t>(encoder.dimension());
        std::vector<float> target(dimension);
        for (std::size_t i = 0; i < embeddings.size(); ++i)
            target[i % dimension] += embeddings[i];  // the mean's direction
        std::vector<float> experts;
        for (auto const& domain : options.domains) {
            auto const mean = weights::SafetensorsFile{domain}.floats("mean");
            experts.insert(experts.end(), mean.begin(), mean.end());
        }
        similarity = select::domain_similarity(target, experts);
    }
    std::vector<std::vector<score::Mentions>> votes;
    if (options.strategy != "similarity") {
        RandomStream const draw{options.seed, "sampling/" + texts.dataset.id};
        auto order = draw.permutation(texts.sentences.size());
        order.resize(std::min(order.size(), options.k));
        std::ranges::sort(order);
        std::vector<corpus::Sentence> sample;
        for (auto const i : order) sample.push_back(texts.sentences[i]);
        task::Engine engine{options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
        Progress progress{"sampling evaluation", options.experts.size() * sample.size()};
        std::vector<task::AdapterSource> adapters;
        for (auto const& folder : options.experts) adapters.push_back({folder, nullptr});
        for (auto& predicted : task::predict(engine, sample, texts.dataset, options.prompt(), adapters, options.infer,
                                             [&](std::size_t done) { progress.update(done); })) {
            auto& mentions = votes.emplace_back();
            for (auto& prediction : predicted.predictions) mentions.push_back(std::move(prediction.mentions));
        }
    }
    auto const result =
        task::select_experts(names, similarity, votes, texts.dataset.type_names(), options.strategy, options.m);
    if (options.json) {
        fmt::print("{}\n", result.dump(1));
    } else {
        for (auto const& name : result["chosen"])
            fmt::print("{} {:.4f}\n", name.get<std::string>(),
                       result["metrics"][name.get<std::string>()].get<double>());
    }
}

void add_text_options(CLI::App& verb, Options& options) {
    verb.add_option("--data", options.data, "DATASET[:SPLIT] of the described corpora; default split test");
    verb.add_option("--root", options.root, "data root; default SAMNER_DATA");
    verb.add_option("--configs", options.folders, "folders of data set descriptions")->capture_default_str();
    verb.add_option("--in", options.in, "TEXTS.jsonl: {\"id\", \"text\"} a line");
    verb.add_option("--types", options.types, "entity types to find in --in")->delimiter(',');
    verb.add_option("--layout", options.layout, "short or full")->capture_default_str();
    verb.add_option("--format", options.format, "json, json_map, enumeration or sentences")->capture_default_str();
    verb.add_option("--max-new-tokens", options.infer.max_new_tokens, "hard stop")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    verb.add_option("--num-slots", options.infer.num_slots, "sequences decoded together")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
}

}  // namespace

void add_predict_verbs(CLI::App& app) {
    auto options = std::make_shared<Options>();
    auto* const predict_verb = app.add_subcommand("predict", "Find entities in a data set or in texts");
    add_model_options(*predict_verb, options->model);
    add_dtype_option(*predict_verb, options->model);
    add_text_options(*predict_verb, *options);
    predict_verb->add_option("--out", options->out, "PREDICTIONS.jsonl")->required();
    predict_verb
        ->add_option("--fold", options->fold,
                     "add the adapter to the base's weights first: never, auto (from 32 sentences on) or always")
        ->capture_default_str();
    predict_verb->callback([options] {
        options->infer.fold = infer::parse_fold(options->fold);
        use_threads(options->model.threads);
        predict(*options);
    });

    auto* const select_verb = app.add_subcommand("select", "Choose experts for a target domain");
    add_model_options(*select_verb, options->model);
    add_dtype_option(*select_verb, options->model);
    add_text_options(*select_verb, *options);
    select_verb->add_option("--experts", options->experts, "PEFT folders")->required();
    select_verb->add_option("--strategy", options->strategy, "similarity, sampling or fused")->capture_default_str();
    select_verb->add_option("--encoder", options->encoder, "sentence-transformers folder, for similarity and fused");
    select_verb->add_option(
        "--domains", options->domains,
        "embeddings of the experts' training texts (samner encode), one an expert, for similarity and fused");
    select_verb->add_option("-m", options->m, "experts to choose")->capture_default_str();
    select_verb->add_option("-k", options->k, "sentences of the sampling evaluation")->capture_default_str();
    select_verb->add_option("--seed", options->seed, "of the sampled sentences")->capture_default_str();
    select_verb->add_flag("--json", options->json, "one JSON document");
    select_verb->callback([options] {
        use_threads(options->model.threads);
        select_experts(*options);
    });
}

}  // namespace samner::app
