#include "plan/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"

namespace samner::plan {
namespace {

[[noreturn]] void not_there_yet(Term const& term) {
    throw InputError{fmt::format("'{}' is not there yet ({})", term.op, term.place.text()), "leave this row out"};
}

}  // namespace

std::map<std::string, int> const& operator_revisions() {
    static std::map<std::string, int> const revisions{{"train", 1}, {"cluster", 1}, {"encode", 1},
                                                      {"infer", 1}, {"select", 1},  {"merge", 1}};
    return revisions;
}

std::set<std::string> Predictions::keys() const {
    std::set<std::string> all;
    if (kind == Kind::stored) all.insert(key);
    for (auto const& part : parts) all.merge(part.keys());
    return all;
}

Plan::Plan(std::vector<Experiment> experiments, RunFile run, Inputs inputs)
    : experiments_{std::move(experiments)}, run_{std::move(run)}, inputs_{std::move(inputs)} {
    check_names(experiments_, run_);
    for (auto const& experiment : experiments_) {
        for (auto const& row : experiment.rows) {
            for (auto const& target : experiment.targets) {
                for (auto const seed : run_.seeds) {
                    cells_.push_back({experiment.name, row.name, target, seed, Cell::Status::pending, {}});
                    terms_.push_back(row.term);
                }
            }
        }
    }
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) expand(cell);
}

std::string Plan::add(std::string const& kind, Json const& identity, Json payload, std::vector<std::string> after,
                      double cost, std::int64_t sentences) {
    Json key{{"operator", kind}, {"revision", operator_revisions().at(kind)}, {"of", identity}};
    // What computes has the machine's arithmetic in its key; the rest inherits it through its inputs.
    if (kind == "train" || kind == "cluster" || kind == "encode" || kind == "infer")
        key["numerics"] = {{"device", run_.device},
                           {"dtype", kind == "train" || kind == "infer" ? run_.dtype : "fp32"}};  // encoders are fp32
    auto hash = sha256(canonical(key));
    if (!tasks_.contains(hash)) {
        tasks_[hash] = {hash, kind, std::move(payload), std::move(after), cost, 1};
        sentences_[hash] = sentences;
        fresh_.push_back(hash);
    }
    return hash;
}

std::vector<std::string> Plan::names_of(Term const& pool, std::string const& target) {
    std::vector<std::string> names;
    if (pool.op == "without") {
        names = names_of(*pool.argument("pool"), target);
        auto const out = pool.argument("expert")->name;
        std::erase(names, out == "target" ? target : out);
    } else if (pool.op == "mix") {
        auto const clusters = static_cast<std::int64_t>(pool.argument("clusters")->number);
        for (std::int64_t i = 0; i < clusters; ++i) {
            names.push_back(fmt::format("{}[{}]", pool.text(), i + 1));
            mixed_[names.back()] = {names_of(*pool.argument("pool"), target), clusters, i};
        }
    } else {
        for (auto const& item : pool.all("experts")) {
            if (item->type == Type::name) {
                names.push_back(item->name);
            } else {
                std::ranges::move(names_of(*item, target), std::back_inserter(names));
            }
        }
    }
    return names;
}

std::vector<Plan::Part> Plan::parts_of(std::vector<std::string> const& experts, std::int64_t seed) {
    std::vector<Part> parts;
    for (auto const& name : experts) {
        auto const mixed = mixed_.find(name);
        if (mixed == mixed_.end()) {
            parts.push_back({name});
            continue;
        }
        for (auto const& domain : mixed->second.domains) {
            if (mixed_.contains(domain)) {
                throw InputError{fmt::format("a mix of mixed experts ({})", name), "mix experts of the run file"};
            }
            parts.push_back(
                {domain, mixed->second.clusters, mixed->second.cluster, cluster(domain, mixed->second.clusters, seed)});
        }
    }
    return parts;
}

std::int64_t Plan::expected_samples(std::vector<Part> const& parts) const {
    std::int64_t all = 0;
    for (auto const& part : parts) {
        auto samples = run_.experts.at(part.expert).samples;
        if (samples == 0) {
            auto const there = inputs_.to_draw_from.find(part.expert);
            samples = std::clamp(there == inputs_.to_draw_from.end() ? 0 : there->second, run_.samples_between.front(),
                                 run_.samples_between.back());
        }
        all += samples / part.clusters;
    }
    return all;
}

Json Plan::payload_of(std::vector<Part> const& parts) const {
    auto list = Json::array();
    for (auto const& part : parts) {
        auto const& recipe = run_.experts.at(part.expert);
        list.push_back({{"expert", part.expert}, {"datasets", recipe.datasets}, {"samples", recipe.samples}});
        if (recipe.samples == 0) list.back()["between"] = run_.samples_between;
        if (!part.labels.empty()) list.back()["cluster"] = {{"labels", part.labels}, {"index", part.cluster}};
    }
    return list;
}

Json Plan::identity_of(std::vector<Part> const& parts) const {
    auto list = Json::array();
    for (auto const& part : parts) {
        auto const& recipe = run_.experts.at(part.expert);
        auto hashes = Json::array();
        for (auto const& dataset : recipe.datasets) {
            auto const ref = parse_data_ref(dataset);
            auto splits = Json::array({ref.id});
            for (auto const& split : ref.splits) splits.push_back(inputs_.data.at(ref.id + "/" + split));
            hashes.push_back(std::move(splits));
        }
        list.push_back({{"data", hashes}, {"samples", recipe.samples}});
        if (recipe.samples == 0) list.back()["between"] = run_.samples_between;
        if (!part.labels.empty()) list.back()["cluster"] = {{"labels", part.labels}, {"index", part.cluster}};
    }
    return list;
}

std::vector<std::string> Plan::labels_of(std::vector<Part> const& parts) {
    std::vector<std::string> keys;
    for (auto const& part : parts) {
        if (!part.labels.empty()) keys.push_back(part.labels);
    }
    return keys;
}

std::string Plan::cluster(std::string const& expert, std::int64_t clusters, std::int64_t seed) {
    std::vector<Part> const parts{{expert}};
    Json const identity{{"encoder", inputs_.encoder},
                        {"parts", identity_of(parts)},
                        {"keep_empty", run_.keep_empty},
                        {"clusters", clusters},
                        {"seed", seed}};
    return add("cluster", identity,
               {{"parts", payload_of(parts)}, {"keep_empty", run_.keep_empty}, {"clusters", clusters}, {"seed", seed}},
               {}, 0.01 * static_cast<double>(expected_samples(parts)), 0);
}

Json Plan::target_json(std::string const& name) const {
    auto const& target = run_.targets.at(name);
    return {{"dataset", target.dataset}, {"split", target.split}, {"sentences", target.sentences}};
}

std::string Plan::train(std::vector<std::string> const& experts, std::int64_t seed) {
    Json prompt{{"layout", run_.prompt.layout}, {"format", run_.prompt.format}};
    if (run_.prompt.parts != "none") prompt["parts"] = run_.prompt.parts;
    auto const parts = parts_of(experts, seed);
    auto options = run_.train;
    options.erase("checkpoint_every");  // no influence on the result
    Json const identity{{"base", inputs_.base}, {"parts", identity_of(parts)},   {"options", options},
                        {"prompt", prompt},     {"keep_empty", run_.keep_empty}, {"seed", seed}};
    auto const samples = expected_samples(parts);
    auto const key = add("train", identity,
                         {{"parts", payload_of(parts)},
                          {"options", run_.train},
                          {"prompt", prompt},
                          {"keep_empty", run_.keep_empty},
                          {"seed", seed}},
                         labels_of(parts), 0.5 * static_cast<double>(samples), 0);
    // A step's micro-batches are what ranks share.
    auto const batch =
        std::clamp<std::int64_t>(options.value("batch_size", std::int64_t{1}), 1, std::max<std::int64_t>(samples, 1));
    auto const micro_batch = options.value("micro_batch_size", batch);
    tasks_.at(key).width = static_cast<int>((batch + micro_batch - 1) / micro_batch);
    return key;
}

std::string Plan::encode_experts(std::string const& expert, std::int64_t seed) {
    auto const parts = parts_of({expert}, seed);
    Json const identity{
        {"encoder", inputs_.encoder}, {"parts", identity_of(parts)}, {"keep_empty", run_.keep_empty}, {"seed", seed}};
    return add("encode", identity, {{"parts", payload_of(parts)}, {"keep_empty", run_.keep_empty}, {"seed", seed}},
               labels_of(parts), 0.01 * static_cast<double>(expected_samples(parts)), 0);
}

std::string Plan::encode_target(std::string const& name) {
    auto const& target = run_.targets.at(name);
    Json const identity{{"encoder", inputs_.encoder},
                        {"data", inputs_.data.at(target.dataset + "/" + target.split)},
                        {"sentences", target.sentences}};
    return add("encode", identity, {{"target", target_json(name)}}, {},
               0.01 * static_cast<double>(inputs_.sentences.at(name)), 0);
}

std::string Plan::infer(Model const& model, Context const& context, std::int64_t k) {
    auto const& target = run_.targets.at(context.target);
    Json const prompt{{"layout", run_.prompt.layout}, {"format", run_.prompt.format}};
    Json const adapter = model.adapter ? Json(*model.adapter) : Json(nullptr);
    Json const sample = k > 0 ? Json{{"k", k}, {"seed", context.seed}} : Json(nullptr);
    auto const sentences =
        k > 0 ? std::min(k, inputs_.sentences.at(context.target)) : inputs_.sentences.at(context.target);
    Json identity{{"base", inputs_.base},
                  {"adapter", adapter},
                  {"data", inputs_.data.at(target.dataset + "/" + target.split)},
                  {"sentences", target.sentences},
                  {"sample", sample},
                  {"prompt", prompt},
                  {"max_new_tokens", run_.infer.max_new_tokens}};
    if (model.adapter && run_.infer.fold != "never") identity["fold"] = run_.infer.fold;
    std::vector<std::string> after;
    if (model.adapter) after.push_back(*model.adapter);
    Json payload{{"target", target_json(context.target)},
                 {"sample", sample},
                 {"prompt", prompt},
                 {"max_new_tokens", run_.infer.max_new_tokens}};
    auto const batch = k > 0 ? sha256(canonical(payload)) : "";  // few prompts, and the same for all experts
    payload["adapter"] = adapter;
    auto const key =
        add("infer", identity, std::move(payload), std::move(after), 0.5 * static_cast<double>(sentences), sentences);
    tasks_.at(key).batch = batch;
    return key;
}

std::string Plan::select(Term const& term, Context const& context) {
    auto const metric = term.argument("metric")->name;
    auto const m = static_cast<std::int64_t>(term.argument("m")->number);
    auto const k = static_cast<std::int64_t>(term.argument("k")->number);
    auto const names = names_of(*term.argument("pool"), context.target);
    if (m > std::ssize(names)) {
        throw InputError{fmt::format("m is {}, but the pool has {} experts for the target '{}' ({})", m, names.size(),
                                     context.target, term.place.text()),
                         "choose a smaller m"};
    }
    auto experts = Json::array();
    std::vector<std::string> after;
    for (auto const& name : names) {
        Json expert{{"name", name}, {"centroid", encode_experts(name, context.seed)}, {"predictions", nullptr}};
        after.push_back(expert["centroid"]);
        if (metric != "similarity") {
            expert["predictions"] = infer({train({name}, context.seed)}, context, k);
            after.push_back(expert["predictions"]);
        }
        experts.push_back(std::move(expert));
    }
    auto const centroid = encode_target(context.target);
    after.push_back(centroid);
    Json const payload{{"metric", metric},
                       {"m", m},
                       {"experts", experts},
                       {"target_centroid", centroid},
                       {"target", target_json(context.target)}};
    return add("select", payload, payload, std::move(after), 0.1, 0);
}

std::optional<std::vector<Plan::Chosen>> Plan::chosen(Term const& set, Context const& context) {
    if (set.type == Type::pool) {
        std::vector<Chosen> all;
        for (auto const& name : names_of(set, context.target)) all.push_back({name, 1.0});
        return all;
    }
    if (set.op != "select") not_there_yet(set);
    auto const key = select(set, context);
    auto const result = done_.find(key);
    if (result == done_.end()) {
        waiting_[key].insert(expanding_);
        return std::nullopt;
    }
    std::vector<Chosen> experts;
    for (auto const& name : result->second.at("chosen")) {
        experts.push_back(
            {name.get<std::string>(), result->second.at("metrics").at(name.get<std::string>()).get<double>()});
    }
    return experts;
}

std::optional<Plan::Model> Plan::model(Term const& term, Context const& context) {
    if (term.op == "base") return Model{};
    if (term.op == "unified") {
        auto experts = names_of(*term.argument("pool"), context.target);
        std::ranges::sort(experts);
        return Model{train(experts, context.seed)};
    }
    if (term.op == "expert") {
        auto const names = names_of(*term.argument("pool"), context.target);
        auto const which = term.argument("which");
        auto const name =
            which->type == Type::number ? names.at(static_cast<std::size_t>(which->number) - 1) : which->name;
        return Model{train({name}, context.seed)};
    }
    if (term.op != "merge") not_there_yet(term);
    auto const experts = chosen(*term.argument("set"), context);
    if (!experts) return std::nullopt;
    auto const weights = term.argument("weights");
    std::vector<std::pair<std::string, double>> weighted;  // adapter, weight
    std::vector<double> metrics;
    for (auto const& expert : *experts) metrics.push_back(expert.metric);
    std::ranges::sort(metrics);
    for (std::size_t i = 0; i < experts->size(); ++i) {
        double weight = 1;
        if (weights->type == Type::list) {
            if (weights->arguments.size() != experts->size()) {
                throw InputError{fmt::format("{} weights for {} experts ({})", weights->arguments.size(),
                                             experts->size(), weights->place.text()),
                                 "give one weight an expert, best first"};
            }
            weight = weights->arguments[i].second->number;
        } else if (weights->name == "metric") {
            auto const middle = metrics[metrics.size() / 2];
            weight = middle != 0 ? (*experts)[i].metric / middle : 1.0;
        }
        weighted.emplace_back(train({(*experts)[i].expert}, context.seed), weight);
    }
    // One expert of weight 1 is that expert, whatever the method.
    if (weighted.size() == 1 && weighted.front().second == 1) return Model{weighted.front().first};
    std::ranges::sort(weighted);
    auto const how = term.argument("how");
    if (how->name.starts_with("slerp") && weighted.size() != 2) {
        throw InputError{fmt::format("{} of {} experts ({})", how->name, weighted.size(), how->place.text()),
                         "slerp takes two; karcher takes any number"};
    }
    auto payload = merge_settings(run_.merge, how->name, static_cast<std::int64_t>(context.seed));
    try {
        merge_options(payload);
    } catch (InputError const& error) {
        throw InputError{fmt::format("{} ({})", error.what(), how->place.text()), error.remedy()};
    }
    payload["adapters"] = Json::array();
    payload["weights"] = Json::array();
    std::vector<std::string> after;
    for (auto const& [adapter, weight] : weighted) {
        payload["adapters"].push_back(adapter);
        payload["weights"].push_back(weight);
        after.push_back(adapter);
    }
    auto const key = add("merge", payload, payload, std::move(after), 1, 0);
    tasks_.at(key).width = inputs_.layers;
    return Model{key};
}

std::optional<Predictions> Plan::predictions(Term const& term, Context const& context) {
    if (term.type == Type::model) {
        auto const resolved = model(term, context);
        if (!resolved) return std::nullopt;
        return Predictions{Predictions::Kind::stored, infer(*resolved, context, 0), {}};
    }
    Predictions result;
    bool open = false;
    auto const take = [&](std::optional<Predictions> part) {
        open = open || !part;
        if (part) result.parts.push_back(std::move(*part));
    };
    auto const each_expert = [&](Term const& pool) {
        for (auto const& name : names_of(pool, context.target)) {
            take(Predictions{Predictions::Kind::stored, infer({train({name}, context.seed)}, context, 0), {}});
        }
    };
    if (term.op == "union") {
        result.kind = Predictions::Kind::union_of;
        for (auto const& part : term.all("predictions"))
            take(predictions(*part, context));  // every part, so that all their tasks are known
    } else if (term.op == "best_by_gold") {
        result.kind = Predictions::Kind::best_by_gold;
        each_expert(*term.argument("pool"));
    } else if (term.op == "vote" && term.argument("runs")->op == "each") {
        result.kind = Predictions::Kind::vote;
        each_expert(*term.argument("runs")->argument("pool"));
    } else {
        not_there_yet(term.op == "vote" ? *term.argument("runs") : term);
    }
    if (open) return std::nullopt;
    return result;
}

void Plan::expand(std::size_t index) {
    auto& cell = cells_[index];
    if (cell.predictions) return;
    expanding_ = index;
    cell.predictions = predictions(*terms_[index], {cell.target, cell.seed});
    if (!cell.predictions) return;
    for (auto const& key : cell.predictions->keys()) users_[key].insert(index);
    settle(index);
}

void Plan::settle(std::size_t index) {
    auto& cell = cells_[index];
    if (cell.status != Cell::Status::pending || !cell.predictions) return;
    auto const keys = cell.predictions->keys();
    if (std::ranges::all_of(keys, [&](std::string const& key) { return done_.contains(key); })) {
        cell.status = Cell::Status::done;
    } else if (std::ranges::any_of(keys, [&](std::string const& key) { return is_lost(key); })) {
        cell.status = Cell::Status::failed;
    }
}

bool Plan::is_lost(std::string const& key) const {
    if (done_.contains(key)) return false;
    return failed_.contains(key) ||
           std::ranges::any_of(tasks_.at(key).after, [&](std::string const& before) { return is_lost(before); });
}

std::vector<Task> Plan::take_new() {
    std::vector<Task> result;
    for (auto const& key : fresh_) result.push_back(tasks_.at(key));
    fresh_.clear();
    return result;
}

void Plan::finished(std::string const& key, Json const& result) {
    done_[key] = result;
    if (auto const found = waiting_.find(key); found != waiting_.end()) {
        auto const cells = std::move(found->second);
        waiting_.erase(found);
        for (auto const cell : cells) expand(cell);
    }
    if (auto const found = users_.find(key); found != users_.end()) {
        for (auto const cell : found->second) settle(cell);
    }
}

void Plan::failed(std::string const& key) {
    failed_.insert(key);
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) settle(cell);
    for (auto const& [select, cells] : waiting_) {
        if (!is_lost(select)) continue;
        for (auto const cell : cells) cells_[cell].status = Cell::Status::failed;
    }
}

std::int64_t Plan::passes(Term const& term) const {
    if (term.type == Type::model) return 1;
    std::int64_t count = 0;
    if (term.op == "union") {
        for (auto const& part : term.all("predictions")) count += passes(*part);
    } else if (term.op == "best_by_gold") {
        count = static_cast<std::int64_t>(pool_size(*term.argument("pool")));
    } else if (term.op == "vote" && term.argument("runs")->op == "each") {
        count = static_cast<std::int64_t>(pool_size(*term.argument("runs")->argument("pool")));
    }
    return count;
}

Plan::Totals Plan::totals() const {
    Totals totals;
    for (auto const& experiment : experiments_) {
        for (auto const& row : experiment.rows) {
            for (auto const& target : experiment.targets) {
                auto const asked = passes(*row.term) * std::ssize(run_.seeds);
                totals.passes_asked += asked;
                totals.sentences_asked += asked * inputs_.sentences.at(target);
            }
        }
    }
    for (auto const& [key, task] : tasks_) {
        if (task.kind != "infer" || !task.payload.at("sample").is_null()) continue;
        ++totals.passes_run;
        totals.sentences_run += sentences_.at(key);
    }
    totals.open = std::ranges::count_if(cells_, [](Cell const& cell) { return !cell.predictions; });
    return totals;
}

Json Plan::json() const {
    auto list = Json::array();
    for (auto const& [key, task] : tasks_) {
        auto const state = done_.contains(key) ? "done" : failed_.contains(key) ? "failed" : "waiting";
        list.push_back({{"key", key},
                        {"kind", task.kind},
                        {"state", state},
                        {"after", task.after},
                        {"sentences", sentences_.at(key)},
                        {"tokens", nullptr},
                        {"seconds", task.cost}});
    }
    auto const sums = totals();
    return {{"tasks", list},
            {"passes_asked", sums.passes_asked},
            {"passes_run", sums.passes_run},
            {"sentences_asked", sums.sentences_asked},
            {"sentences_run", sums.sentences_run},
            {"cells_open", sums.open}};
}

}  // namespace samner::plan
