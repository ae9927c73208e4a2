#include "task/engine.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "comm/comm.h"
#include "comm/nccl.h"
#include "core/error.h"
#include "core/hash.h"
#include "infer/generate.h"
#include "merge/loops.h"
#include "model/encoder.h"
#include "model/language_model.h"
#include "task/agreement.h"
#include "task/load_together.h"
#include "task/merger.h"
#include "token/tokenizer.h"
#include "train/trainer.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace samner::task {
namespace {

std::unique_ptr<model::Ops> make_ops(std::string const& device, Precision precision) {
    if (work::own_kernels(device, precision)) return model::make_cpu_ops();
    return model::make_aten_ops(device, precision);
}

work::Arithmetic arithmetic_of(model::Ops const& ops, std::string const& device, Precision precision) {
    work::Arithmetic arithmetic{device.substr(0, device.find(':')), precision};  // any device of a kind will do
    if (work::own_kernels(device, precision)) return arithmetic;
    arithmetic.libtorch = model::libtorch_version();
    arithmetic.processor = ops.device_name();
    return arithmetic;
}

weights::TensorView float_tensor(std::string name, std::vector<std::int64_t> shape, std::vector<float> const& values) {
    return {std::move(name), weights::Dtype::f32, std::move(shape), std::as_bytes(std::span{values})};
}

/// @throws InputError for an example whose sizes or token ids are wrong
std::vector<train::Example> checked(std::vector<Engine::Tokens> const& examples, std::int64_t vocabulary) {
    std::vector<train::Example> inputs;
    for (std::size_t i = 0; i < examples.size(); ++i) {
        auto const& [ids, labels] = examples[i];
        auto const known = [&](std::int32_t id) { return id >= 0 && id < vocabulary; };
        if (ids.size() != labels.size() || !std::ranges::all_of(ids, known) ||
            !std::ranges::all_of(labels, [&](std::int32_t id) { return id == train::not_trained_on || known(id); })) {
            throw InputError{
                fmt::format("training example {} has {} ids and {} labels, or one outside the vocabulary of {}", i,
                            ids.size(), labels.size(), vocabulary)};
        }
        inputs.push_back({ids, labels});
    }
    return inputs;
}

weights::Checkpoint open_planned(std::filesystem::path const& base, PlannedFiles& files) {
    files.check();
    auto checkpoint = weights::Checkpoint::open(base);
    files.check(checkpoint.files());
    return checkpoint;
}

std::vector<std::filesystem::path> encoder_paths(std::filesystem::path const& folder) {
    auto paths = model::encoder_files(folder);
    for (auto& path : paths) path = folder / path;
    return paths;
}

}  // namespace

struct Engine::Impl {
    PlannedFiles files;
    weights::Checkpoint checkpoint;
    std::string device;
    Precision precision;
    std::unique_ptr<model::Ops> ops;
    std::string loaded_hash;
    std::optional<token::Tokenizer> loaded_tokenizer;
    std::optional<model::LanguageModel> model;
    infer::PrefixCache prefixes;                ///< of `model`
    std::unique_ptr<comm::DeviceComm> devices;  ///< of the ranks that loaded the model together, where they have such
    int device_ranks = 0;
    bool with_backward = false;

    Impl(std::filesystem::path const& base, std::string name, Precision numbers, PlannedFiles planned)
        : files{std::move(planned)},
          checkpoint{open_planned(base, files)},
          device{std::move(name)},
          precision{numbers},
          ops{make_ops(device, precision)} {}

    token::Tokenizer const& tokenizer() {
        if (!loaded_tokenizer) {
            auto opened = token::Tokenizer::open(checkpoint.path());
            files.check();
            loaded_tokenizer = std::move(opened);
        }
        return *loaded_tokenizer;
    }

    /// Names the base model and what computes with it.
    std::string const& hash() {
        if (loaded_hash.empty()) {
            auto const of_files = checkpoint.content_hash();
            files.check();
            loaded_hash = of_files + " " + device.substr(0, device.find(':'));  // any one will do
            if (precision != Precision::fp32) loaded_hash += fmt::format(" {}", to_string(precision));
        }
        return loaded_hash;
    }

    model::LanguageModel const& load(bool backward) {
        if (!model || (backward && !with_backward)) {
            model.reset();
            prefixes.clear();
            auto const start = std::chrono::steady_clock::now();
            auto loaded = model::load_language_model(checkpoint, *ops, backward);
            files.check();
            std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
            spdlog::debug("loaded the base model for {} in {:.2f} s", backward ? "training" : "decoding", took.count());
            model = std::move(loaded);
            with_backward = backward;
        }
        return *model;
    }

    /// The base's weights with the updates of adapters that are merged in delta space.
    std::unique_ptr<model::PreparedAdapter> merged(AdapterMerge const& request) {
        Merger const merger{request, merge::Space::delta, nullptr};
        for (auto const& expert : merger.experts()) weights::check_fits(expert, checkpoint.config());
        std::vector<std::string> names;
        for (auto const& module : merger.merge().modules()) names.push_back(module.name);
        std::string content = "delta";
        for (auto const& [name, value] : merger.provenance()) content += fmt::format("\n{} {}", name, value);
        merge::UpdateMemory memory;
        auto const add = [&](std::size_t module, std::span<float> weight) {
            auto const add_part = [&](std::size_t begin, std::span<float const> part) {
                merge::loops::add(weight.subspan(begin, part.size()).data(), part.data(), part.size());
            };
            merger.merge().delta(module, add_part, memory);
            merger.release(module);
        };
        auto folded = model::PreparedAdapter::fold(names, sha256(content), checkpoint, *ops, add);
        files.check();  // it reads the base's tensors once more
        return std::make_unique<model::PreparedAdapter>(std::move(folded));
    }

    std::unique_ptr<model::PreparedAdapter> adapter(AdapterSource const& source, bool fold = false) {
        auto const& [folder, values, delta] = source;
        if (delta) return merged(*delta);
        auto const prepared = [&](weights::Adapter const& adapter) {
            if (!fold) return std::make_unique<model::PreparedAdapter>(adapter, checkpoint.config(), *ops);
            auto folded = model::PreparedAdapter::fold(adapter, checkpoint, *ops);
            files.check();  // it reads the base's tensors once more
            return std::make_unique<model::PreparedAdapter>(std::move(folded));
        };
        if (values) return prepared(*values);
        if (folder.empty()) return nullptr;
        try {
            return prepared(weights::read_adapter(folder));
        } catch (...) {
            std::throw_with_nested(Error{fmt::format("adapter '{}'", folder.string())});
        }
    }
};

Engine::Engine(std::filesystem::path const& base, std::string const& device, Precision precision, PlannedFiles files)
    : impl_{std::make_unique<Impl>(base, device, precision, std::move(files))} {}
Engine::~Engine() = default;
weights::Checkpoint const& Engine::checkpoint() const {
    return impl_->checkpoint;
}
token::Tokenizer const& Engine::tokenizer() const {
    return impl_->tokenizer();
}

work::Arithmetic Engine::arithmetic() const {
    return arithmetic_of(*impl_->ops, impl_->device, impl_->precision);
}

Engine::Tokens Engine::tokenize(Answered const& example) const {
    Tokens tokens;
    tokens.ids = impl_->tokenizer().encode(example.prompt, true);
    tokens.labels.assign(tokens.ids.size(), train::not_trained_on);
    auto answer = impl_->tokenizer().encode(example.answer);
    auto const& end_tokens = impl_->checkpoint.config().end_tokens;
    if (end_tokens.empty()) {
        throw InputError{fmt::format("the model names no end token ({})", impl_->checkpoint.path().string()),
                         "add eos_token_id to generation_config.json"};
    }
    answer.push_back(end_tokens.front());
    tokens.ids.insert(tokens.ids.end(), answer.begin(), answer.end());
    tokens.labels.insert(tokens.labels.end(), answer.begin(), answer.end());
    return tokens;
}

void Engine::load_together(comm::Comm const& ranks, bool for_training) {
    impl_->model.reset();
    impl_->prefixes.clear();
    impl_->devices = ranks.size() > 1 ? comm::connect_devices(ranks, impl_->device) : nullptr;
    impl_->device_ranks = ranks.size();
    LoadOptions const options{impl_->device == "cpu", impl_->devices.get()};
    auto loaded = task::load_together(impl_->checkpoint, *impl_->ops, for_training, ranks, options);
    on_all(&ranks, [&] { impl_->files.check(); });
    impl_->model = std::move(loaded.model);
    impl_->with_backward = for_training;
    if (ranks.rank() == 0 && options.on_host) {
        spdlog::info("{} ranks on {} node{} share the base model: {:.2f} GB a node, of which rank 0 prepared {:.2f}",
                     ranks.size(), loaded.nodes, loaded.nodes == 1 ? "" : "s", static_cast<double>(loaded.bytes) / 1e9,
                     static_cast<double>(loaded.filled) / 1e9);
    }
    if (!for_training) return;
    impl_->loaded_hash =
        bytes_of_all(&ranks, [&] { return ranks.rank() == 0 ? impl_->hash() : std::string{}; }).front();
}

bool Engine::is_loaded(bool for_training) const {
    return impl_->model && (impl_->with_backward || !for_training);
}

weights::Adapter Engine::train(train::Options const& options, std::vector<Tokens> const& examples,
                               Training const& training) {
    auto const& config = impl_->checkpoint.config();
    train::Context context;
    if (training.team) context.team = *training.team;
    if (impl_->devices && context.team.size == impl_->device_ranks) {
        context.team.device_sum = [&](float* values, std::size_t count) { impl_->devices->sum(values, count); };
    }
    context.checkpoint = training.checkpoint;
    context.writer = training.writer;
    context.guard = training.guard;
    context.on_step = training.on_step;
    std::vector<train::Example> inputs;
    weights::Adapter start;
    auto const hashes = train::gather_from_team(context.team, [&] {
        if (options.dtype != impl_->precision)
            throw InputError{fmt::format("a training in {} by an engine in {}", to_string(options.dtype),
                                         to_string(impl_->precision)),
                             "give both the same dtype"};
        inputs = checked(examples, config.vocab_size);
        auto settings = options.lora();
        settings.base_model_name_or_path =
            training.base_name.empty() ? impl_->checkpoint.path().filename().string() : training.base_name;
        start = training.init.empty() ? train::initial_adapter(config, settings, options.seed)
                                      : weights::read_adapter(training.init);
        start.settings.lora_dropout = options.lora_dropout;  // how it is trained from here on
        if (!training.base_name.empty()) start.settings.base_model_name_or_path = training.base_name;
        impl_->load(true);
        return context.checkpoint.empty() || context.team.rank > 0 ? std::string{} : impl_->hash();
    });
    context.inputs = hashes.front();  // one rank reads all of the base for it
    return train::train(impl_->load(true), *impl_->ops, options, inputs, std::move(start), context);
}

train::Team team_of(comm::Comm const& ranks) {
    return {ranks.rank(), ranks.size(), [&ranks](std::string_view bytes) { return ranks.all_gather(bytes); },
            [&ranks](std::span<float> values) { ranks.tree_sum(values); }};
}

std::vector<Engine::Completion> Engine::generate(std::vector<Prompt> const& prompts, infer::Options options,
                                                 std::function<void(std::size_t)> const& progress,
                                                 std::function<void(std::size_t, Completion const&)> const& completed) {
    if (prompts.empty()) return {};
    bool const alike = std::ranges::all_of(
        prompts, [&](auto const& adapter) { return adapter == prompts.front().adapter; }, &Prompt::adapter);
    bool const fold = alike && (options.fold == infer::Fold::always ||
                                (options.fold == infer::Fold::automatic && prompts.size() >= infer::fold_from));
    std::map<AdapterSource, std::unique_ptr<model::PreparedAdapter>> adapters;
    std::vector<infer::Request> requests;
    for (auto const& [text, adapter, sample, name] : prompts) {
        auto const [prepared, is_new] = adapters.try_emplace(adapter);
        if (is_new) prepared->second = impl_->adapter(adapter, fold);
        requests.push_back({impl_->tokenizer().encode(text, true), prepared->second.get(), sample, name});
    }
    if (options.end_tokens.empty()) options.end_tokens = impl_->checkpoint.config().end_tokens;
    auto const read = [&](std::size_t i, infer::Completion const& generated) -> Completion {
        std::span<std::int32_t const> tokens{generated.tokens};
        auto const text = generated.stopped ? tokens.first(tokens.size() - 1) : tokens;
        return {impl_->tokenizer().decode(text, false), generated.tokens, generated.stopped,
                static_cast<std::int64_t>(requests[i].prompt.size())};
    };
    infer::Observer observer{progress, {}, {}, {}};
    if (completed)
        observer.completed = [&](std::size_t i, infer::Completion const& one) { completed(i, read(i, one)); };
    auto const generated =
        infer::generate(impl_->load(impl_->with_backward), *impl_->ops, requests, options, observer, &impl_->prefixes);
    std::vector<Completion> completions;
    for (std::size_t i = 0; i < generated.size(); ++i) completions.push_back(read(i, generated[i]));
    return completions;
}

std::vector<float> Engine::logits(std::vector<std::int32_t> const& ids, std::filesystem::path const& adapter) {
    auto const prepared = impl_->adapter({.folder = adapter});
    return model::sequence_logits(impl_->load(impl_->with_backward), *impl_->ops, ids, prepared.get());
}

struct TextEncoder::Impl {
    std::string device;
    std::unique_ptr<model::Ops> ops;
    token::Tokenizer tokenizer;
    model::Encoder encoder;

    Impl(std::filesystem::path const& folder, std::string name)
        : device{std::move(name)},
          ops{make_ops(device, Precision::fp32)},
          tokenizer{token::Tokenizer::open(folder)},
          encoder{folder, *ops} {}
};

TextEncoder::TextEncoder(std::filesystem::path const& folder, std::string const& device, PlannedFiles files) {
    files.check();
    impl_ = std::make_unique<Impl>(folder, device);
    files.check(encoder_paths(folder));
}
TextEncoder::~TextEncoder() = default;
std::int64_t TextEncoder::dimension() const {
    return impl_->encoder.dimension();
}

work::Arithmetic TextEncoder::arithmetic() const {
    return arithmetic_of(*impl_->ops, impl_->device, Precision::fp32);
}

std::vector<float> TextEncoder::encode(std::vector<std::string> const& texts) const {
    std::vector<std::vector<std::int32_t>> ids;
    for (auto const& text : texts)
        ids.push_back(impl_->tokenizer.encode_truncated(text, static_cast<std::size_t>(impl_->encoder.max_length())));
    return impl_->encoder.encode(ids).encoded;
}

std::string encoder_hash(std::filesystem::path const& folder, FileHash const& hash) {
    std::string hashes;
    for (auto const& file : model::encoder_files(folder))
        hashes += fmt::format("{} {}\n", file.string(), hash(folder / file));
    return sha256(hashes);
}

void write_embeddings(std::filesystem::path const& path, std::vector<float> const& embeddings, std::int64_t dimension) {
    std::vector<float> mean;
    if (!embeddings.empty()) mean = model::centroid(embeddings, dimension);
    std::vector<weights::TensorView> tensors{
        float_tensor("embeddings", {std::ssize(embeddings) / dimension, dimension}, embeddings)};
    // Without texts there is no mean: the tensor is left out rather than made up.
    if (!mean.empty()) tensors.push_back(float_tensor("mean", {dimension}, mean));
    weights::write_safetensors(path, tensors, {});
}

}  // namespace samner::task
