#include "task/executor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "comm/comm.h"
#include "core/error.h"
#include "core/file.h"
#include "core/random.h"
#include "corpus/dataset.h"
#include "corpus/training_set.h"
#include "infer/generate.h"
#include "model/encoder.h"
#include "prompt/prompt.h"
#include "prompt/training_prompts.h"
#include "select/kmeans.h"
#include "select/select.h"
#include "task/engine.h"
#include "task/merge_adapters.h"
#include "task/predictions.h"
#include "task/select_experts.h"
#include "task/together.h"
#include "train/trainer.h"
#include "weights/adapter.h"
#include "weights/safetensors.h"

namespace samner::task {

std::filesystem::path data_root(plan::RunFile const& run) {
    if (!run.data.empty()) return run.data;
    if (auto const root = corpus::default_root()) return *root;
    throw InputError{"the run file has no `data`, and SAMNER_DATA is not set",
                     "set one of them to the folder of the corpora"};
}

struct Executor::Impl {
    plan::RunFile run;
    store::Artifacts const& artifacts;
    std::filesystem::path checkpoints;
    std::filesystem::path root;
    corpus::Catalogue catalogue;
    std::optional<Engine> engine_cache;
    std::optional<TextEncoder> encoder_cache;
    std::map<std::string, std::vector<corpus::Sentence>> splits;
    std::deque<std::pair<std::string, std::shared_ptr<weights::Adapter const>>> merged;  ///< by key, the latest last
    std::map<std::string, Predicted> decoded;  ///< by key, ahead of their tasks

    Impl(plan::RunFile file, store::Artifacts const& store, std::filesystem::path checkpoint_folder)
        : run{std::move(file)},
          artifacts{store},
          checkpoints{std::move(checkpoint_folder)},
          root{data_root(run)},
          catalogue{{run.datasets.begin(), run.datasets.end()}} {}

    Engine& engine() {
        if (!engine_cache) engine_cache.emplace(run.base, run.device, parse_precision(run.dtype, "run file"));
        return *engine_cache;
    }
    TextEncoder& encoder() {
        if (!encoder_cache) encoder_cache.emplace(run.encoder, run.device);
        return *encoder_cache;
    }
    std::vector<corpus::Sentence> const& split(std::string const& dataset, std::string const& name) {
        auto const key = dataset + "/" + name;
        auto const found = splits.find(key);
        if (found != splits.end()) return found->second;
        return splits[key] = corpus::read(catalogue.at(dataset), name, root);
    }

    /// All sentences that a recipe's data set gives.
    std::vector<corpus::Sentence> const& sentences_of(plan::DataRef const& ref) {
        if (ref.splits.size() == 1) return split(ref.id, ref.splits.front());
        auto const key = fmt::format("{}/{}", ref.id, fmt::join(ref.splits, "+"));
        if (auto const found = splits.find(key); found != splits.end()) return found->second;
        std::vector<corpus::Sentence> all;
        for (auto const& name : ref.splits) {
            auto part = corpus::read(catalogue.at(ref.id), name, root);
            std::ranges::move(part, std::back_inserter(all));
        }
        return splits[key] = std::move(all);
    }

    static prompt::Options prompt_options(Json const& payload) {
        auto const& options = payload.at("prompt");
        return {prompt::parse_layout(options.at("layout").get<std::string>()),
                prompt::parse_format(options.at("format").get<std::string>())};
    }

    std::vector<corpus::Sample> of_cluster(std::vector<corpus::Sample> samples, Json const& cluster) const {
        auto const labels = read_json(artifacts.path(cluster.at("labels").get<std::string>())).at("labels");
        std::vector<corpus::Sample> chosen;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            if (labels.at(i) == cluster.at("index")) chosen.push_back(samples[i]);
        }
        return chosen;
    }

    /// Calls visit(pools, samples) for each part of a payload, in order.
    void for_each_set(Json const& payload,
                      std::function<void(std::span<corpus::Pool const>, std::vector<corpus::Sample>)> const& visit) {
        for (auto const& part : payload.at("parts")) {
            std::vector<corpus::Pool> pools;
            for (auto const& dataset : part.at("datasets")) {
                auto const ref = plan::parse_data_ref(dataset.get<std::string>());
                pools.push_back({&catalogue.at(ref.id), sentences_of(ref)});
            }
            corpus::SetSize size{part.at("samples").get<std::int64_t>()};
            if (size.samples == 0) {
                size.at_least = part.at("between").at(0).get<std::int64_t>();
                size.at_most = part.at("between").at(1).get<std::int64_t>();
            }
            auto samples = corpus::training_set(pools, size, payload.at("keep_empty").get<double>(),
                                                payload.at("seed").get<std::uint64_t>());
            if (part.contains("cluster")) samples = of_cluster(std::move(samples), part.at("cluster"));
            visit(pools, std::move(samples));
        }
    }

    /// A target's sentences, all or those that a payload samples.
    std::vector<corpus::Sentence> target_sentences(Json const& payload) {
        auto const& target = payload.at("target");
        auto sentences = split(target.at("dataset").get<std::string>(), target.at("split").get<std::string>());
        if (auto const limit = target.at("sentences").get<std::size_t>(); limit > 0 && limit < sentences.size())
            sentences.resize(limit);
        if (!payload.contains("sample") || payload.at("sample").is_null()) return sentences;
        auto const& sample = payload.at("sample");
        RandomStream const draw{sample.at("seed").get<std::uint64_t>(),
                                "sampling/" + target.at("dataset").get<std::string>()};
        auto order = draw.permutation(sentences.size());
        order.resize(std::min(order.size(), sample.at("k").get<std::size_t>()));
        std::ranges::sort(order);
        std::vector<corpus::Sentence> chosen;
        for (auto const i : order) chosen.push_back(sentences[i]);
        return chosen;
    }

    std::pair<std::string, Json> train(plan::Task const& task, comm::Comm const* team) {
        auto options = train::Options::from_json(task.payload.at("options"), "train");
        options.seed += task.payload.at("seed").get<std::uint64_t>();
        auto const rates =
            prompt::Rates::from_json(task.payload.at("prompt").value("parts", Json("none")), "prompt.parts");
        std::vector<Engine::Tokens> examples;
        do_together(team, [&] {
            for_each_set(task.payload, [&](auto pools, auto samples) {
                prompt::TrainingPrompts const prompts{pools, std::move(samples), prompt_options(task.payload), rates,
                                                      task.payload.at("seed").get<std::uint64_t>()};
                for (std::size_t i = 0; i < prompts.size(); ++i) {
                    auto const rendered = prompts.at(i);
                    examples.push_back(engine().tokenize({rendered.text, rendered.answer}));
                }
            });
            return Json{};
        });
        auto steps = Json::array();
        Engine::Training training;
        training.checkpoint = checkpoints / task.key;
        std::optional<train::Team> ranks;
        if (team) training.team = &ranks.emplace(team_of(*team));
        training.on_step = [&](train::Step const& step) { steps.push_back(step.json()); };
        auto const trained = engine().train(options, examples, training);
        if (team && team->rank() > 0) return {"", nullptr};
        auto const hash =
            artifacts.commit(task.key, [&](std::filesystem::path const& out) { weights::write_adapter(out, trained); });
        return {hash, {{"samples", examples.size()}, {"steps", steps}}};
    }

    std::vector<std::string> training_texts(Json const& payload) {
        std::vector<std::string> texts;
        for_each_set(payload, [&](auto pools, auto const& samples) {
            for (auto const& sample : samples) texts.push_back(pools[sample.pool].sentences[sample.sentence].text);
        });
        return texts;
    }

    std::pair<std::string, Json> cluster(plan::Task const& task) {
        auto const texts = training_texts(task.payload);
        auto const clusters = task.payload.at("clusters").get<std::int64_t>();
        auto const found = select::kmeans(encoder().encode(texts), encoder().dimension(), clusters,
                                          task.payload.at("seed").get<std::uint64_t>());
        std::vector<std::int64_t> sizes(static_cast<std::size_t>(clusters));
        for (auto const label : found.labels) ++sizes[static_cast<std::size_t>(label)];
        Json const labels{{"labels", found.labels}};
        auto const hash = artifacts.commit(
            task.key, [&](std::filesystem::path const& out) { write_atomically(out, labels.dump() + "\n"); });
        return {hash, {{"texts", texts.size()}, {"sizes", sizes}, {"inertia", found.inertia}}};
    }

    std::pair<std::string, Json> encode(plan::Task const& task) {
        std::vector<std::string> texts;
        if (task.payload.contains("parts")) {
            texts = training_texts(task.payload);
        } else {
            for (auto const& sentence : target_sentences(task.payload)) texts.push_back(sentence.text);
        }
        auto const mean = model::centroid(encoder().encode(texts), encoder().dimension());
        auto const hash = artifacts.commit(task.key, [&](std::filesystem::path const& out) {
            std::vector<weights::TensorView> const tensors{
                {"mean", weights::Dtype::f32, {encoder().dimension()}, std::as_bytes(std::span{mean})}};
            weights::write_safetensors(out, tensors, {});
        });
        return {hash, {{"texts", texts.size()}}};
    }

    /// The adapter of an infer task.
    AdapterSource adapter_of(plan::Task const& task) const {
        auto const& adapter = task.payload.at("adapter");
        if (adapter.is_null()) return {};
        auto const key = adapter.get<std::string>();
        for (auto const& [name, values] : merged) {
            if (name == key) return {{}, values};
        }
        return {artifacts.path(key), nullptr};
    }

    std::vector<Predicted> predict_with(std::vector<AdapterSource> const& adapters, Json const& payload) {
        auto const& dataset = catalogue.at(payload.at("target").at("dataset").get<std::string>());
        infer::Options options;
        options.max_new_tokens = payload.at("max_new_tokens").get<std::int64_t>();
        options.num_slots = run.infer.num_slots;
        options.max_kept_tokens = run.infer.max_kept_tokens;
        options.fold = infer::parse_fold(run.infer.fold);
        return predict(engine(), target_sentences(payload), dataset, prompt_options(payload), adapters, options);
    }

    void decode_ahead(std::vector<plan::Task> const& tasks) {
        // An adapter that is folded in has the base to itself: the bits would depend on the company.
        if (infer::parse_fold(run.infer.fold) != infer::Fold::never) return;
        std::vector<AdapterSource> adapters;
        std::vector<std::string> keys;
        for (auto const& task : tasks) {
            try {
                auto adapter = adapter_of(task);
                if (!adapter.folder.empty()) {
                    auto const values = std::make_shared<weights::Adapter>(weights::read_adapter(adapter.folder));
                    weights::check_fits(*values, engine().checkpoint().config());
                    adapter = {{}, values};
                }
                adapters.push_back(adapter);
                keys.push_back(task.key);
            } catch (std::exception const& error) {
                spdlog::warn("task {} is left out of its batch: {}", task.key.substr(0, 12), describe(error));
            }
        }
        if (keys.empty()) return;
        try {
            auto predicted = predict_with(adapters, tasks.front().payload);
            for (std::size_t i = 0; i < keys.size(); ++i) decoded[keys[i]] = std::move(predicted.at(i));
        } catch (std::exception const& error) {
            if (is_stop(error)) return;  // the tasks will find it themselves
            spdlog::warn("{} tasks of a batch are done one by one: {}", keys.size(), describe(error));
        }
    }

    std::pair<std::string, Json> infer(plan::Task const& task) {
        auto const ahead = decoded.extract(task.key);
        auto const predicted =
            ahead ? std::move(ahead.mapped()) : std::move(predict_with({adapter_of(task)}, task.payload).front());
        auto const& predictions = predicted.predictions;
        auto const hash = artifacts.commit(
            task.key, [&](std::filesystem::path const& out) { write_atomically(out, to_jsonl(predictions)); });
        return {hash,
                {{"sentences", predictions.size()},
                 {"unparsable", std::ranges::count(predictions, true, &Prediction::unparsable)},
                 {"truncated", std::ranges::count(predictions, true, &Prediction::truncated)},
                 {"tokens_in", predicted.tokens_in},
                 {"tokens_out", predicted.tokens_out}}};
    }

    std::vector<float> centroid_of(std::string const& key) const {
        return weights::SafetensorsFile{artifacts.path(key)}.floats("mean");
    }

    std::pair<std::string, Json> select(plan::Task const& task) {
        auto const& payload = task.payload;
        std::vector<std::string> names;
        std::vector<float> centroids;
        std::vector<std::vector<score::Mentions>> votes;
        for (auto const& expert : payload.at("experts")) {
            names.push_back(expert.at("name").get<std::string>());
            auto const centroid = centroid_of(expert.at("centroid").get<std::string>());
            centroids.insert(centroids.end(), centroid.begin(), centroid.end());
            if (!expert.at("predictions").is_null()) {
                votes.push_back(read_mentions(artifacts.path(expert.at("predictions").get<std::string>())));
            }
        }
        auto const similarity =
            select::domain_similarity(centroid_of(payload.at("target_centroid").get<std::string>()), centroids);
        auto const types = catalogue.at(payload.at("target").at("dataset").get<std::string>()).type_names();
        return {"", select_experts(names, similarity, votes, types, payload.at("metric").get<std::string>(),
                                   payload.at("m").get<std::size_t>())};
    }

    std::pair<std::string, Json> merge(plan::Task const& task, comm::Comm const* team) {
        AdapterMerge request;
        for (auto const& key : task.payload.at("adapters"))
            request.adapters.push_back(artifacts.path(key.get<std::string>()));
        request.weights = task.payload.at("weights").get<std::vector<double>>();
        request.options = plan::merge_options(task.payload);
        auto result = merge_adapters(request, team);
        auto const adapter = std::make_shared<weights::Adapter const>(std::move(result.adapter));
        std::string hash;
        if (!team || team->rank() == 0) {
            hash = artifacts.commit(task.key, [&](std::filesystem::path const& out) {
                weights::write_adapter(out, *adapter, result.provenance);
            });
        }
        constexpr std::size_t kept = 4;
        merged.emplace_back(task.key, adapter);
        if (merged.size() > kept) merged.pop_front();
        return {hash, {{"experts", request.adapters.size()}}};
    }
};

Executor::Executor(plan::RunFile run, store::Artifacts const& artifacts, std::filesystem::path checkpoints)
    : impl_{std::make_unique<Impl>(std::move(run), artifacts, std::move(checkpoints))} {}
Executor::~Executor() = default;

void Executor::load_base(comm::Comm const& ranks, bool for_training) {
    impl_->engine().load_together(ranks, for_training);
}

void Executor::decode_ahead(std::vector<plan::Task> const& tasks) {
    impl_->decode_ahead(tasks);
}

std::pair<std::string, Json> Executor::run(plan::Task const& task, comm::Comm const* team) {
    if (task.kind == "train") return impl_->train(task, team);
    if (task.kind == "merge") return impl_->merge(task, team);
    if (team && team->rank() > 0) return {"", nullptr};
    if (task.kind == "cluster") return impl_->cluster(task);
    if (task.kind == "encode") return impl_->encode(task);
    if (task.kind == "infer") return impl_->infer(task);
    if (task.kind == "select") return impl_->select(task);
    throw Error{fmt::format("no way to do a task of kind '{}'", task.kind),
                "this is a fault of the plan: please report it"};
}

}  // namespace samner::task
