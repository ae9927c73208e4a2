#include "plan/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "work/card.h"

namespace samner::plan {

std::vector<std::string> data_of_others(RunFile const& run, std::string const& expert,
                                        std::set<std::string> const& pool) {
    auto const ids_of = [&](std::string const& name) {
        std::set<std::string> ids;
        auto const found = run.experts.find(name);
        if (found == run.experts.end() || !found->second.adapter.empty()) return ids;
        for (auto const& ref : found->second.refs()) ids.insert(ref.id);
        return ids;
    };
    auto const own = ids_of(expert);
    std::set<std::string> left_out;
    for (auto const& other : pool) {
        auto const theirs = ids_of(other);
        bool const narrower = !theirs.empty() && theirs.size() < own.size() && std::ranges::includes(own, theirs);
        if (narrower) left_out.insert(theirs.begin(), theirs.end());
    }
    if (left_out.size() == own.size()) return {};  // nothing would be left of it
    return {left_out.begin(), left_out.end()};
}

Graph::Graph(RunFile run, Inputs inputs) : run_{std::move(run)}, inputs_{std::move(inputs)} {}

std::string Graph::add(work::Task task) {
    auto const key = work::key_of_task(task);
    if (!tasks_.contains(key)) {
        auto after = work::inputs_of(task);
        tasks_[key] = {std::move(task), std::move(after)};
        fresh_.push_back(key);
    }
    return key;
}

work::Recipe Graph::recipe(std::vector<Expert> const& experts, Seeds const& seeds) {
    work::Recipe recipe{{}, run_.keep_empty, seeds.train};
    for (auto const& expert : experts) {
        for (auto const& share : expert.shares) {
            if (!inputs_.experts.at(share.expert).adapter.empty()) {
                throw InputError{
                    fmt::format("expert '{}' is an adapter that exists: there is nothing to train on", share.expert),
                    "leave it out of unified models and mixes"};
            }
            auto const samples = run_.experts.at(share.expert).samples;
            auto& part = recipe.parts.emplace_back();
            part.expert = share.expert;
            if (!share.without.empty()) part.expert += fmt::format(" without {}", fmt::join(share.without, "+"));
            part.data = sources(share);
            part.samples = samples;
            if (samples == 0) part.between = run_.samples_between;
            if (expert.mixed()) part.cluster = work::OfCluster{{cluster(share, seeds)}, share.cluster};
        }
    }
    return recipe;
}

std::int64_t Graph::expected_samples(std::vector<Expert> const& experts) const {
    std::int64_t all = 0;
    for (auto const& expert : experts) {
        for (auto const& share : expert.shares) {
            auto samples = run_.experts.at(share.expert).samples;
            auto const& between = run_.samples_between;
            if (samples == 0)
                samples = std::clamp(inputs_.experts.at(share.expert).sentences, between.front(), between.back());
            all += samples / share.clusters;
        }
    }
    return all;
}

std::vector<work::DatasetSource> Graph::sources(Expert::Share const& share) const {
    auto all = inputs_.experts.at(share.expert).sources;
    std::erase_if(all, [&](work::DatasetSource const& source) {
        return std::ranges::find(share.without, source.dataset) != share.without.end();
    });
    return all;
}

std::string Graph::cluster(Expert::Share const& share, Seeds const& seeds) {
    Expert::Share whole{share.expert};
    whole.without = share.without;
    std::vector<Expert> const one{{share.expert, {whole}}};
    auto of = recipe(one, seeds);
    auto const texts = expected_samples(one);
    return add(work::Cluster{.encoder = inputs_.encoder,
                             .recipe = std::move(of),
                             .clusters = share.clusters,
                             .kmeans_seed = seeds.cluster,
                             .arithmetic = inputs_.of_encoder,
                             .texts = texts});
}

std::vector<Expert> Graph::set_apart(std::vector<Expert> pool) const {
    std::set<std::string> names;
    for (auto const& expert : pool)
        for (auto const& share : expert.shares) names.insert(share.expert);
    for (auto& expert : pool)
        for (auto& share : expert.shares) share.without = data_of_others(run_, share.expert, names);
    return pool;
}

Graph::Existing Graph::existing(Expert const& expert) const {
    if (expert.mixed() || inputs_.experts.at(expert.name).adapter.empty()) return {};
    return {&run_.experts.at(expert.name), &inputs_.experts.at(expert.name)};
}

std::string Graph::train(std::vector<Expert> const& experts, Seeds const& seeds) {
    if (experts.size() == 1) {
        if (auto const [expert, found] = existing(experts.front()); expert)
            return add(
                work::Import{.sha256 = found->adapter, .folder = expert->adapter, .expert = experts.front().name});
    }
    auto of = recipe(experts, seeds);
    auto const samples = expected_samples(experts);
    return add(work::Train{.base = inputs_.base,
                           .recipe = std::move(of),
                           .options = run_.train,
                           .prompt = run_.prompt,
                           .arithmetic = inputs_.arithmetic,
                           .samples = samples});
}

std::string Graph::encode(Expert const& expert, Seeds const& seeds) {
    if (auto const [given, found] = existing(expert); given) {
        if (found->domain)
            return add(work::Encode{
                .encoder = inputs_.encoder, .of = *found->domain, .arithmetic = inputs_.of_encoder, .texts = 1});
        if (found->sources.empty()) {
            throw InputError{
                fmt::format("expert '{}' is an adapter whose domain is not known: {}", expert.name,
                            found->no_domain.empty() ? "no texts of its domain" : found->no_domain),
                fmt::format("selections compare domains: name data sets in experts.{}.texts, or make its card with "
                            "samner card {}",
                            expert.name, given->adapter)};
        }
        work::Texts texts{{found->sources.begin(), found->sources.end()}};
        return add(work::Encode{.encoder = inputs_.encoder,
                                .of = std::move(texts),
                                .arithmetic = inputs_.of_encoder,
                                .texts = found->sentences});
    }
    auto of = recipe({expert}, seeds);
    auto const texts = expected_samples({expert});
    return add(work::Encode{
        .encoder = inputs_.encoder, .of = std::move(of), .arithmetic = inputs_.of_encoder, .texts = texts});
}

std::string Graph::encode(Context const& context) {
    return add(work::Encode{
        .encoder = inputs_.encoder, .of = context.texts, .arithmetic = inputs_.of_encoder, .texts = context.sentences});
}

std::string Graph::encode_types(std::string const& of, std::vector<work::Source> const& sources,
                                std::set<std::string> texts) {
    for (auto const& source : sources) {
        if (auto const* const dataset = std::get_if<work::DatasetSource>(&source)) {
            if (auto const found = inputs_.types.find(dataset->dataset); found != inputs_.types.end())
                texts.insert(found->second.begin(), found->second.end());
        } else {
            auto const given = work::type_texts(std::get<work::FileSource>(source).types);
            texts.insert(given.begin(), given.end());
        }
    }
    if (texts.empty()) throw InputError{fmt::format("no types are known of {}", of), "select by another metric"};
    auto const number = std::ssize(texts);
    return add(work::Encode{.encoder = inputs_.encoder,
                            .of = work::Types{of, {texts.begin(), texts.end()}},
                            .arithmetic = inputs_.of_encoder,
                            .texts = number});
}

std::string Graph::encode_types(Expert const& expert) {
    std::vector<work::Source> all;
    std::set<std::string> known;
    for (auto const& share : expert.shares) {
        auto const own = sources(share);
        all.insert(all.end(), own.begin(), own.end());
        auto const& types = inputs_.experts.at(share.expert).types;
        known.insert(types.begin(), types.end());
    }
    return encode_types(expert.name, all, std::move(known));
}

std::string Graph::encode_types(Context const& context) {
    return encode_types(work::Texts{context.texts.sources}.name(), context.texts.sources);
}

std::string Graph::infer(Model const& model, work::Texts texts, std::int64_t sentences,
                         std::optional<work::Sampling> sampling) {
    work::Infer task;
    task.base = inputs_.base;
    if (model.adapter) task.adapter = work::Input{*model.adapter};
    task.delta = model.delta;
    task.model = model.name;
    task.texts = std::move(texts);
    task.prompt = run_.prompt.fixed;
    task.max_new_tokens = run_.infer.max_new_tokens;
    task.fold = run_.infer.fold;
    task.num_slots = run_.infer.num_slots;
    task.sampling = sampling;
    task.arithmetic = inputs_.arithmetic;
    task.sentences = sentences;
    return add(std::move(task));
}

std::string Graph::infer(Model const& model, Context const& context, std::optional<work::Sampling> sampling) {
    return infer(model, context.texts, context.sentences, sampling);
}

std::string Graph::cluster(Context const& context, std::int64_t clusters) {
    if (clusters > context.sentences) {
        throw InputError{
            fmt::format("{} clusters of {} sentences of '{}'", clusters, context.sentences, context.target),
            fmt::format("ask for 1 to {}", context.sentences)};
    }
    return add(work::Cluster{.encoder = inputs_.encoder,
                             .recipe = {},
                             .target = context.texts,
                             .clusters = clusters,
                             .kmeans_seed = context.seeds.cluster,
                             .arithmetic = inputs_.of_encoder,
                             .texts = context.sentences});
}

std::vector<std::string> Graph::infer_sample(Model const& model, Context const& context, Evaluation const& evaluation) {
    auto const& [k, answers, temperature] = evaluation;
    auto const texts = context.texts.with(work::Sample{k, context.seeds.sample});
    std::vector<std::string> keys;
    for (std::int64_t i = 0; i < answers; ++i) {
        std::optional<work::Sampling> drawn;
        if (answers > 1) drawn = {temperature, context.seeds.sample, static_cast<std::uint64_t>(i)};
        keys.push_back(infer(model, texts, std::min(k, context.sentences), drawn));
    }
    return keys;
}

std::string Graph::select(work::Metric metric, std::variant<std::int64_t, work::Rule> m, Evaluation const& evaluation,
                          std::vector<Expert> const& experts, Context const& context) {
    work::Select task;
    task.metric = metric;
    if (auto const* const rule = std::get_if<work::Rule>(&m)) {
        task.m = std::ssize(experts);  // at most
        task.rule = *rule;
    } else {
        task.m = std::get<std::int64_t>(m);
    }
    for (auto const& expert : experts) {
        auto& candidate = task.experts.emplace_back();
        candidate.name = expert.name;
        candidate.centroid = {encode(expert, context.seeds)};
        if (work::by_types(metric)) candidate.type_centroid = work::Input{encode_types(expert)};
        if (!work::by_sampling(metric)) continue;
        Model const model{train({expert}, context.seeds), expert.name};
        auto const keys = infer_sample(model, context, evaluation);
        candidate.predictions = work::Input{keys.front()};
        for (std::size_t i = 1; i < keys.size(); ++i) candidate.more_predictions.push_back({keys[i]});
    }
    task.target_centroid = {encode(context)};
    if (work::by_types(metric)) task.target_type_centroid = work::Input{encode_types(context)};
    task.target = context.texts;
    return add(std::move(task));
}

Model Graph::merge(merge::Method method, merge::Settings const& settings,
                   std::vector<std::pair<std::string, double>> adapters, std::vector<std::string> names,
                   Seeds const& seeds, std::string name) {
    if (merge::operator_of(method) == merge::Method::slerp && adapters.size() != 2) {
        throw InputError{fmt::format("{} of {} experts", merge::to_string(method), adapters.size()),
                         "slerp takes two; karcher takes any number"};
    }
    std::ranges::sort(adapters);
    work::MergeRecipe recipe;
    for (auto const& [adapter, weight] : adapters) {
        recipe.adapters.push_back({adapter});
        recipe.weights.push_back(weight);
    }
    recipe.settings = merge::of_method(settings, method, seeds.merge);
    recipe.settings.options();  // throws where they contradict each other
    recipe.names = std::move(names);
    if (settings.space == merge::Space::delta) return {std::nullopt, std::move(name), std::move(recipe)};
    return {add(work::Merge{std::move(recipe), inputs_.layers}), std::move(name)};
}

std::vector<std::string> Graph::take_new() {
    return std::exchange(fresh_, {});
}

void Graph::finished(std::string const& key, work::Result const& result) {
    done_.insert(key);
    if (auto const* const selection = std::get_if<work::Selection>(&result)) selections_[key] = *selection;
}

bool Graph::is_lost(std::string const& key) const {
    if (done_.contains(key)) return false;
    return failed_.contains(key) ||
           std::ranges::any_of(tasks_.at(key).after, [&](std::string const& before) { return is_lost(before); });
}

work::Selection const* Graph::selection(std::string const& key) const {
    auto const found = selections_.find(key);
    return found == selections_.end() ? nullptr : &found->second;
}

}  // namespace samner::plan
