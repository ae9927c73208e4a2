#include "task/inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "model/encoder.h"
#include "token/tokenizer.h"
#include "train/options.h"
#include "weights/adapter.h"
#include "weights/architecture.h"
#include "weights/checkpoint.h"
#include "work/card.h"

namespace samner::task {
namespace {

/// Hashes, and notes each file in `files`.
FileHash noting(std::vector<HashedFile>& files, FileHash const& hash) {
    return [&](std::filesystem::path const& path) { return files.emplace_back(HashedFile::of(path, hash)).sha256; };
}

plan::BaseSize size_of(weights::ModelConfig const& config, train::Options const& options,
                       std::vector<HashedFile> const& files) {
    plan::BaseSize size{config.hidden_size, config.num_layers, config.vocab_size, weights::num_parameters(config)};
    for (auto const& linear : weights::linear_modules(config)) size.linear_parameters += linear.out * linear.in;
    try {
        size.adapter_parameters = train::num_factors(train::adapted_modules(config, options.lora()));
    } catch (InputError const&) {  // whether anything is to be trained is not known here
    }
    for (auto const& file : files) size.bytes += static_cast<std::int64_t>(file.size);
    return size;
}

/// Texts of a user, or a split of a data set.
work::Source source_of(plan::Target const& target, work::TextReader& reader, FileHash const& hash) {
    if (target.texts.empty()) return reader.hashed({target.dataset, {target.split}}, hash);
    auto file = work::TextReader::hashed(target.texts, target.types, hash);
    file.gold = target.gold;
    return file;
}

/// @throws InputError where there is nothing to be scored and should be
void count_sentences(plan::Inputs::Target& target, work::TextReader& reader, std::string const& name) {
    auto const texts = reader.read(target.texts);
    target.sentences = std::ssize(texts);
    if (texts.empty())
        throw InputError{fmt::format("the {} has no sentences", name), "name a data set and split that has some"};
    if (!target.texts.has_gold()) return;
    auto const labelled = [](work::Text const& text) { return !text.sentence->entities.empty(); };
    if (std::ranges::none_of(texts, labelled)) {
        throw InputError{
            fmt::format("the {} has {} sentences and no labels: nothing can be scored", name, texts.size()),
            "name a labelled split; `samner predict` answers texts without labels"};
    }
}

/// What an expert's domain is tested on. @throws InputError also where it is trained on that
plan::Inputs::Target test_sets(std::string const& name, plan::RunFile const& run, work::TextReader& reader,
                               FileHash const& hash) {
    auto const& expert = run.experts.at(name);
    plan::Inputs::Target target;
    if (run.domain_sentences > 0) target.texts.views.emplace_back(work::First{run.domain_sentences});
    auto const trained_on = expert.adapter.empty() ? expert.refs() : std::vector<work::DatasetRef>{};
    for (auto const& ref : expert.test_refs()) {
        for (auto const& other : trained_on) {
            auto const shared = std::ranges::find_first_of(ref.splits, other.splits);
            if (ref.id == other.id && shared != ref.splits.end())
                throw InputError{fmt::format("expert '{}' is trained and tested on {}:{}", name, ref.id, *shared),
                                 fmt::format("name other parts, as {}:all[:80%] in experts.{}.datasets and "
                                             "{}:all[80%:] in experts.{}.test",
                                             ref.id, name, ref.id, name)};
        }
        target.texts.sources.emplace_back(reader.hashed(ref, hash));
    }
    count_sentences(target, reader, fmt::format("domain '{}'", name));
    return target;
}

/// Notes what the types of data sets are.
void add_types(plan::Inputs& inputs, std::vector<work::Source> const& sources, work::TextReader& reader) {
    for (auto const& source : sources) {
        auto const& dataset = reader.dataset(source);
        inputs.types[dataset.id] = dataset.type_texts();
    }
}

/// Notes what the card of an expert that exists knows, where no texts stand for its domain.
void read_card(plan::Inputs::Corpora& corpora, plan::ExpertRecipe const& expert, std::string const& name,
               std::string const& encoder) {
    if (!expert.texts.empty()) return;
    auto const [card, missing] = work::card_of_weights(expert.adapter, corpora.adapter);
    if (!card) {
        corpora.no_domain = missing;
        return;
    }
    corpora.types = work::type_texts(card->types);
    if (!card->domain) {
        corpora.no_domain = "its card (samner.json) has no centroid";
    } else if (card->domain->encoder_sha256 != encoder) {
        corpora.no_domain = fmt::format("its card's centroid is of another encoder ({})", card->domain->encoder);
    } else {
        corpora.domain = work::Known{name, expert.adapter, card->domain->sha256()};
    }
}

}  // namespace

work::Card::Domain domain_of(std::filesystem::path const& encoder, std::string const& device,
                             std::vector<std::string> const& texts, FileHash const& hash) {
    TextEncoder const model{encoder, device};
    return {std::filesystem::absolute(encoder).lexically_normal().string(), encoder_hash(encoder, hash),
            std::ssize(texts), model::centroid(model.encode(texts), model.dimension())};
}

std::string base_hash(Engine const& engine, FileHash const& hash) {
    auto const& checkpoint = engine.checkpoint();
    auto const weights = checkpoint.content_hash(hash);
    if (checkpoint.tokenizer_path() != checkpoint.path()) hash(checkpoint.tokenizer_path());
    return sha256(weights + engine.tokenizer().hash());
}

plan::Inputs examine_inputs(std::vector<plan::Experiment> const& experiments, plan::RunFile const& run,
                            FileHash const& hash) {
    plan::check_names(experiments, run);
    plan::Inputs inputs;
    weights::ModelConfig config;
    {
        Engine const engine{run.base, run.device, run.dtype};
        if (engine.checkpoint().config().end_tokens.empty()) {
            throw InputError{fmt::format("the base model names no end token ({})", run.base),
                             "add eos_token_id to its generation_config.json"};
        }
        inputs.layers = static_cast<int>(engine.checkpoint().config().num_layers);
        inputs.base = base_hash(engine, noting(inputs.files.base, hash));
        inputs.arithmetic = engine.arithmetic();
        config = engine.checkpoint().config();
        inputs.base_size = size_of(config, run.train, inputs.files.base);
    }
    inputs.of_encoder = TextEncoder{run.encoder, run.device}.arithmetic();
    inputs.encoder = encoder_hash(run.encoder, noting(inputs.files.encoder, hash));
    work::TextReader reader{{run.datasets.begin(), run.datasets.end()}, run.data};
    reader.catalogue().warn_of_replaced();
    auto const named = plan::names_in(experiments);
    for (auto const& [name, expert] : run.experts) {
        if (!named.experts.contains(name)) continue;
        auto& corpora = inputs.experts[name];
        if (!expert.adapter.empty()) {
            weights::check_fits(weights::read_adapter(expert.adapter), config);
            corpora.adapter = weights::adapter_hash(expert.adapter, hash);
            read_card(corpora, expert, name, inputs.encoder);
        }
        for (auto const& ref : expert.refs()) {
            auto source = reader.hashed(ref, hash);
            corpora.sentences += std::ssize(reader.sentences(source));
            corpora.sources.push_back(std::move(source));
        }
    }
    for (auto const& [name, given] : run.targets) {
        if (!named.targets.contains(name)) continue;
        auto& target = inputs.targets[name];
        target.texts.sources.push_back(source_of(given, reader, hash));
        if (given.sentences > 0) target.texts.views.emplace_back(work::First{given.sentences});
        count_sentences(target, reader, fmt::format("target '{}' ({})", name, given.name()));
    }
    for (auto const& experiment : experiments) {
        if (!experiment.targets.of_experts()) continue;
        for (auto const& name : experiment.targets.names)
            if (!inputs.domains.contains(name)) inputs.domains[name] = test_sets(name, run, reader, hash);
    }
    for (auto const& [name, corpora] : inputs.experts)
        add_types(inputs, {corpora.sources.begin(), corpora.sources.end()}, reader);
    for (auto const& [name, target] : inputs.targets) add_types(inputs, target.texts.sources, reader);
    for (auto const& [name, target] : inputs.domains) add_types(inputs, target.texts.sources, reader);
    return inputs;
}

Workplace workplace_of(plan::RunFile const& run, std::filesystem::path const& checkpoints,
                       plan::ModelFiles const& files) {
    return {run.base,
            run.encoder,
            run.data,
            {run.datasets.begin(), run.datasets.end()},
            run.device,
            run.dtype,
            run.infer.max_kept_tokens,
            checkpoints,
            files};
}

}  // namespace samner::task
