#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

#include "app/progress.h"
#include "app/shared_options.h"
#include "app/text_options.h"
#include "app/verbs.h"
#include "core/fields.h"
#include "core/file.h"
#include "infer/generate.h"
#include "model/encoder.h"
#include "select/select.h"
#include "task/engine.h"
#include "task/predictions.h"
#include "task/select_experts.h"
#include "weights/safetensors.h"
#include "work/predictions.h"
#include "work/texts.h"

namespace samner::app {
namespace {

namespace fs = std::filesystem;

struct Options {
    ModelOptions model;
    TextOptions text;
    TargetOptions target;
    fs::path out;
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
};

task::Engine engine_of(Options const& options) {
    return {options.model.base, options.model.device, parse_precision(options.model.dtype, "--dtype")};
}

void predict(Options const& options) {
    auto reader = options.text.reader();
    auto const texts = reader.read(options.target.texts(reader));
    auto engine = engine_of(options);
    Progress progress{"predicting", texts.size()};
    auto const predicted = task::predict(engine, texts, options.text.prompt(), {{options.model.adapter, nullptr}},
                                         options.infer, [&](std::size_t done) { progress.update(done); });
    write_atomically(options.out, work::to_jsonl(predicted.front().predictions));
}

/// Cosine of each expert's domain to that of the texts.
std::vector<double> domain_similarity(std::vector<work::Text> const& texts, Options const& options) {
    if (options.domains.size() != options.experts.size()) {
        throw InputError{
            fmt::format("{} domain embeddings for {} experts", options.domains.size(), options.experts.size()),
            "give one an expert, in the same order"};
    }
    task::TextEncoder const encoder{options.encoder, options.model.device};
    std::vector<std::string> lines;
    for (auto const& text : texts) lines.push_back(text.sentence->text);
    auto const target = model::centroid(encoder.encode(lines), encoder.dimension());
    std::vector<float> experts;
    for (auto const& domain : options.domains) {
        auto const mean = weights::SafetensorsFile{domain}.floats("mean");
        experts.insert(experts.end(), mean.begin(), mean.end());
    }
    return select::domain_similarity(target, experts);
}

void check_sample(Options const& options, work::Metric metric, std::size_t texts) {
    if (texts == 0) {
        throw InputError{fmt::format("no texts to choose experts by ({})", options.target.name()),
                         "give some of the target domain"};
    }
    if (metric != work::Metric::similarity && options.k > texts)
        spdlog::warn("-k is {}, but {} has {} texts: all of them are taken", options.k, options.target.name(), texts);
}

void select_experts(Options const& options) {
    auto const metric = value_named<work::Metric>(options.strategy, "--strategy", "command line");
    if (options.m < 1 || options.m > options.experts.size())
        throw InputError{fmt::format("-m is {} with {} experts", options.m, options.experts.size()),
                         "choose 1 or more, and no more than there are"};
    if (options.k < 1) throw InputError{"-k is 0", "sample at least one sentence"};
    auto reader = options.text.reader();
    auto const target = options.target.texts(reader);
    check_sample(options, metric, reader.read(target).size());
    std::vector<std::string> names;
    for (auto const& expert : options.experts) names.push_back(expert.string());
    std::vector<double> similarity;
    if (!options.domains.empty()) similarity = domain_similarity(reader.read(target), options);
    std::vector<std::vector<score::Mentions>> votes;
    if (metric != work::Metric::similarity) {
        auto const sample = reader.read(target.with(work::Sample{static_cast<std::int64_t>(options.k), options.seed}));
        auto engine = engine_of(options);
        Progress progress{"sampling evaluation", options.experts.size() * sample.size()};
        std::vector<task::AdapterSource> adapters;
        for (auto const& folder : options.experts) adapters.push_back({folder, nullptr});
        for (auto& predicted : task::predict(engine, sample, options.text.prompt(), adapters, options.infer,
                                             [&](std::size_t done) { progress.update(done); })) {
            auto& mentions = votes.emplace_back();
            for (auto& prediction : predicted.predictions) mentions.push_back(std::move(prediction.mentions));
        }
    }
    auto const selection = task::select_experts(names, similarity, votes, reader.type_names(target), metric, options.m);
    if (options.json) {
        fmt::print("{}\n", to_text(to_wire(selection), 1));
    } else {
        for (auto const& name : selection.chosen) fmt::print("{} {:.4f}\n", name, selection.metrics.at(name));
    }
}

void add_decoding_options(CLI::App& verb, Options& options) {
    add_target_options(verb, options.target);
    add_text_options(verb, options.text);
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
    add_decoding_options(*predict_verb, *options);
    predict_verb->add_option("--out", options->out, "PREDICTIONS.jsonl")->required();
    predict_verb
        ->add_option("--fold", options->fold,
                     "add the adapter to the base's weights first: never, auto (from 32 sentences on) or always")
        ->capture_default_str();
    predict_verb->callback([options] {
        options->infer.fold = value_named<infer::Fold>(options->fold, "--fold", "command line");
        use_threads(options->model.threads);
        predict(*options);
    });

    auto* const select_verb = app.add_subcommand("select", "Choose experts for a target domain");
    add_base_options(*select_verb, options->model);
    add_dtype_option(*select_verb, options->model);
    add_decoding_options(*select_verb, *options);
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
