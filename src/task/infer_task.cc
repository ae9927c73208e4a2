#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "infer/generate.h"
#include "task/tasks.h"
#include "weights/adapter.h"
#include "weights/checkpoint.h"

namespace samner::task {
namespace {

/// The answers of each adapter, decoded in one batch.
/// @param keys  of the adapters' tasks
std::vector<Predicted> predict_with(std::vector<AdapterSource> const& adapters, std::vector<std::string> const& keys,
                                    work::Infer const& task, Context& context) {
    infer::Options options;
    options.max_new_tokens = task.max_new_tokens;
    options.num_slots = task.num_slots;
    // Where bits depend on the company, they must not depend on what this rank has decoded before.
    options.max_kept_tokens = task.arithmetic.exact() ? context.workplace().max_kept_tokens : 0;
    options.fold = task.fold;
    auto const drawn = task.sampling.value_or(work::Sampling{.temperature = 0});
    options.sampling.temperature = drawn.temperature;
    options.sampling.seed = drawn.seed;
    auto const texts = context.texts().read(task.texts, context.labels());
    auto const sentences = texts.size();
    if (!context.engine().is_loaded(false))
        context.tell(keys.front(), {0, std::ssize(texts), "loading the base model"});
    if (task.delta) context.tell(keys.front(), {0, std::ssize(texts), "merging into the base's weights"});
    // Answers come about in the order of the prompts, adapter by adapter.
    auto const tell = [&](std::size_t answered) {
        if (answered == 0) return;
        auto const whole = (answered - 1) / sentences;
        context.tell(keys.at(whole), {static_cast<std::int64_t>(answered - whole * sentences), std::ssize(texts)});
    };
    return predict(context.engine(), texts, task.prompt, adapters, options, tell, drawn.number);
}

}  // namespace

Done do_task(work::Infer const& task, std::string const& key, Context& context) {
    auto const ahead = context.decoded().extract(key);
    auto const predicted = ahead ? std::move(ahead.mapped())
                                 : std::move(predict_with({context.adapter(task)}, {key}, task, context).front());
    auto const& predictions = predicted.predictions;
    auto const hash = context.artifacts().commit(
        key, [&](std::filesystem::path const& out) { write_atomically(out, work::to_jsonl(predictions)); });
    return {hash, work::Pass{.sentences = std::ssize(predictions),
                             .unparsable = std::ranges::count(predictions, true, &work::Prediction::unparsable),
                             .truncated = std::ranges::count(predictions, true, &work::Prediction::truncated),
                             .tokens_in = predicted.tokens_in,
                             .tokens_out = predicted.tokens_out}};
}

void decode_ahead(std::vector<std::pair<std::string, work::Infer>> const& tasks, Context& context) {
    if (tasks.empty()) return;
    // An adapter that is folded in has the base to itself: the bits would depend on the company.
    if (tasks.front().second.fold != infer::Fold::never) return;
    std::vector<AdapterSource> adapters;
    std::vector<std::string> keys;
    for (auto const& [key, task] : tasks) {
        try {
            auto adapter = context.adapter(task);
            if (!adapter.folder.empty()) {
                auto const values = std::make_shared<weights::Adapter>(weights::read_adapter(adapter.folder));
                weights::check_fits(*values, context.engine().checkpoint().config());
                adapter = {.values = values};
            }
            adapters.push_back(adapter);
            keys.push_back(key);
        } catch (std::exception const& error) {
            spdlog::warn("task {} is left out of its batch: {}", key.substr(0, 12), describe(error));
        }
    }
    if (keys.empty()) return;
    try {
        auto predicted = predict_with(adapters, keys, tasks.front().second, context);
        for (std::size_t i = 0; i < keys.size(); ++i) context.decoded()[keys[i]] = std::move(predicted.at(i));
    } catch (std::exception const& error) {
        if (is_stop(error)) return;  // the tasks will find it themselves
        spdlog::warn("{} tasks of a batch are done one by one: {}", keys.size(), describe(error));
    }
}

}  // namespace samner::task
